"""What a hash decides: a split, a bucket, a seed, the name of a file, or something that is kept for another process."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from mldebt.facts.schema import (
    Assign,
    Attribute,
    Binary,
    Build,
    Call,
    Compare,
    Comprehension,
    Const,
    Expr,
    Format,
    Lambda,
    Ref,
    Return,
    Slice,
    Subscript,
    Unary,
)
from mldebt.facts.walk import walk

from .following import Following, Use
from .origins import Origins

if TYPE_CHECKING:
    from mldebt.project.project import Project

_SHORT_LIVED = "short-lived"
_NAMES_A_FILE, _WRITTEN, _PART = "it names a file", "it is written to a file", "it decides which part a row is in"
_KEYS = "it is a key of what is kept in a file"
_SEEDS_ONE, _BUCKET = "it seeds a generator", "it decides which bucket a value is in"
_KEEPS = frozenset(
    "builtins.abs builtins.int builtins.str builtins.hex builtins.oct builtins.bin builtins.float builtins.format "
    "builtins.list builtins.dict builtins.map os.path.join pandas.Series pandas.DataFrame numpy.array "
    "numpy.abs".split()
)
_REMAINDERS = frozenset({"builtins.divmod", "numpy.mod", "numpy.remainder", "numpy.fmod", "math.fmod"})
_WRITES = frozenset(
    "json.dump json.dumps pickle.dump pickle.dumps joblib.dump torch.save numpy.save numpy.savez builtins.open io.open "
    "yaml.dump yaml.safe_dump pandas.DataFrame.to_csv".split()
)
_DUMPS = _WRITES - {"builtins.open", "io.open"}
_FILES = frozenset({"pathlib.Path", "os.path.join", "os.path.exists", "os.makedirs", *_WRITES})
_STORES = frozenset(
    "to_csv to_parquet to_json to_pickle to_feather to_sql to_hdf writerow writerows setex hset".split()
)
_TABLES = _STORES - {"writerow", "writerows", "setex", "hset"}
_QUERIES = frozenset({"execute", "executemany"})
_OF_A_PATH = frozenset({"joinpath", "with_name", "with_stem"})
_ELEMENTWISE = frozenset({"apply", "map", "transform", "applymap", "astype", "abs"})
_SEEDS = re.compile(r"(^|\.)(manual_seed|seed|default_rng|RandomState|Random|PRNGKey|seed_everything|set_seed)$")
# A bucket that lives and dies with the process: a colour, a lock, a thread of the pool.
_PASSING = re.compile(r"colou?r|palette|cmap|lock|queue|worker|thread|pool|port\b|proxy|proxies|device", re.IGNORECASE)
_TEMPORARY = re.compile(r"(^|/)tmp\b")
_TEMPORARY_NAME = re.compile(r"(^|[._])(tempfile|te?mp|te?mp_?(dir|path|folder|root)|gettempdir|mkdtemp)($|[._])", re.I)
_FILE_NAME = re.compile(r"path|file|fname|folder|(^|_)dir$", re.IGNORECASE)
# What outlives the process that fills it: by what opens it, and by what an earlier run left.
_OPENED = re.compile(
    r"^(shelve\.open|dbm(\.\w+)?\.open|diskcache\.\w+|h5py\.File|zarr\.(open|open_group|group)|lmdb\.open|"
    r"sqlitedict\.SqliteDict|tinydb\.TinyDB|redis\.(Redis|StrictRedis|from_url)(\.from_url)?|pymemcache\..*|"
    r"json\.loads?|pickle\.loads?|joblib\.load|torch\.load|yaml\.safe_load)$"
)


def purpose(project: Project, start: Use) -> str | None:
    """What a hash decides that outlives the process, in words; None: nothing that is known to."""
    uses = list(project[Following].uses(start, _keeps))
    if any(_is_temporary(use) for use in uses):
        return None
    made = any(_is_text_made(use.value) for use in uses)
    found = [_sink(project, use, made) for use in uses]
    if _SHORT_LIVED in found:
        return None
    return next((one for one in found if one), None)


def _keeps(use: Use) -> bool:
    """Whether the expression around a value still is the value, or holds it."""
    parent = use.around[0]
    if isinstance(parent, Call):
        if use.value is parent.function:
            return _method(parent) in _ELEMENTWISE
        return (
            not _KEEPS.isdisjoint(use.names(parent))
            or _is_formatted(parent)
            or (_method(parent) in _ELEMENTWISE and isinstance(use.value, Lambda))
        )
    if isinstance(parent, Attribute):  # ``column.map(hash).abs()``
        around = use.around[1] if len(use.around) > 1 else None
        return isinstance(around, Call) and around.function is parent and parent.name in _ELEMENTWISE
    if isinstance(parent, Binary):
        return parent.op in ("+", "-", "*", "/", "^", "//") or (parent.op == "%" and _is_text(parent.left))
    if isinstance(parent, Subscript):
        return use.value is parent.value and isinstance(parent.index, Slice)
    if isinstance(parent, Comprehension):
        return use.value is parent.element or use.value is parent.key
    if isinstance(parent, Build):
        return parent.kind in ("dict", "list", "tuple")
    if isinstance(parent, Lambda):
        return True
    return isinstance(parent, Format) or (isinstance(parent, Unary) and parent.op != "not")


def _sink(project: Project, use: Use, made: bool) -> str | None:
    """What one use decides; ``made``: the hash was put into a text somewhere."""
    parent = use.around[0] if use.around else None
    if isinstance(parent, Binary):
        if parent.op in ("%", "&") and parent.left is use.value and not _is_text(use.value):
            return _SHORT_LIVED if _is_passing(use) else _bucket(use)
        named = _is_text_made(use.value) or (made and isinstance(use.value, Ref) and parent.right is use.value)
        return _NAMES_A_FILE if parent.op == "/" and named else None
    if isinstance(parent, Call) and use.value is not parent.function:
        return _given(project, use, parent, made)
    if isinstance(parent, Compare) and _is_fraction(use.value):
        return _PART
    if isinstance(parent, (Subscript, Compare)):
        held = _container(use, parent)
        return _KEYS if held is not None and _is_kept(project, use, held) else None
    if isinstance(use.statement, Return) and not use.around and _is_text_made(use.value):
        return _NAMES_A_FILE if _FILE_NAME.search(use.module.facts.scopes[use.scope].name) else None
    if isinstance(use.statement, Assign) and use.value is use.statement.value:
        return _column(project, use, use.statement)
    return None


def _given(project: Project, use: Use, call: Call, made: bool) -> str | None:
    """What a call does with the value it is given."""
    names, last = use.names(call), _method(call)
    if any(_SEEDS.search(name) for name in names or (_dotted(call),)):
        return _SEEDS_ONE
    if not _REMAINDERS.isdisjoint(names) and call.args and call.args[0] is use.value:
        return _SHORT_LIVED if _is_passing(use) else _bucket(use)
    if made and not isinstance(use.value, Build) and (not _FILES.isdisjoint(names) or last in _OF_A_PATH):
        return _NAMES_A_FILE
    if not _WRITES.isdisjoint(names) or last in _STORES:
        return _WRITTEN
    if last in _QUERIES and isinstance(use.value, Build):
        return "it is written to a database"
    held = _receiver(call)
    if held is None or any(":" in name for name in names):
        return None
    return _KEYS if call.args and call.args[0] is use.value and _is_opened(project, use, held) else None


def _container(use: Use, parent: Subscript | Compare) -> Ref | None:
    """What a value is a key of: ``cache[key]``, ``key in cache``."""
    if isinstance(parent, Subscript):
        held: Expr | None = parent.value if parent.index is use.value else None
    else:
        held = parent.comparators[0] if parent.left is use.value and parent.ops[0] in ("in", "not in") else None
    return held if isinstance(held, Ref) else None


def _is_kept(project: Project, use: Use, held: Ref) -> bool:
    """Whether a container is read from a file or written to one."""
    return _is_opened(project, use, held) or any(_is_dumped(one) for one in _reads(project, use, held))


def _is_opened(project: Project, use: Use, held: Ref) -> bool:
    ends = project[Origins].of(use.module, use.scope, held)
    return any(
        _OPENED.match(name)
        for end in ends
        if isinstance(end.expr, Call) and not end.path
        for name in end.module.names(end.scope, end.expr.function)
    )


def _reads(project: Project, use: Use, held: Ref) -> Iterable[Use]:
    following = project[Following]
    if "." in held.name:
        return [
            one
            for one in following.reads(use.module, use.scope, held.name, use.statement)
            if isinstance(one.value, Ref) and one.value.name.partition(".")[2] == held.name.partition(".")[2]
        ]
    return following.variable(use.module, use.scope, held.name)


def _is_dumped(use: Use) -> bool:
    """``json.dump(cache, file)``."""
    parent = use.around[0] if use.around else None
    return isinstance(parent, Call) and use.value is not parent.function and not _DUMPS.isdisjoint(use.names(parent))


def _column(project: Project, use: Use, stmt: Assign) -> str | None:
    """``frame["id"] = frame["text"].map(hash)`` of a frame that is written to a file."""
    for target in stmt.targets:
        held = target.value if isinstance(target, Subscript) else None
        if isinstance(held, Ref) and "." not in held.name:
            methods = [
                chain.rpartition(".")[2]
                for chain in use.module.facts.scopes[use.scope].uses
                if chain.startswith(f"{held.name}.")
            ]
            if not _TABLES.isdisjoint(methods) or any(map(_is_dumped, _reads(project, use, held))):
                return _WRITTEN
    return None


def _bucket(use: Use) -> str:
    """What a remainder is good for."""
    around = use.around[1:]
    if any(isinstance(one, Compare) for one in around):
        return _PART
    for one in around:
        if isinstance(one, Call) and any(_SEEDS.search(name) for name in use.names(one)):
            return _SEEDS_ONE
    return _BUCKET


def _is_passing(use: Use) -> bool:
    """Whether the bucket is a colour, a lock or the like."""
    words = [use.module.facts.scopes[use.scope].name]
    targets = getattr(use.statement, "targets", ())
    modulo = use.around[0]
    parts = [*targets, *use.around[1:3], *([modulo.right] if isinstance(modulo, Binary) else [])]
    for part in parts:
        held = part.value if isinstance(part, Subscript) else part
        words += [node.name for node in _shallow(held) if isinstance(node, (Ref, Attribute))]
    return any(_PASSING.search(word) for word in words)


def _shallow(expr: Expr) -> list[Expr]:
    return [expr, *expr.args] if isinstance(expr, Call) else [expr]


def _is_temporary(use: Use) -> bool:
    """Whether a name is made for a file of this run alone."""
    parts = [part for one in (use.value, *use.around) for part in walk(one)] if _is_text_made(use.value) else []
    return any(
        _TEMPORARY.search(part.value)
        if isinstance(part, Const) and isinstance(part.value, str)
        else isinstance(part, (Ref, Attribute)) and _TEMPORARY_NAME.search(part.name)
        for part in parts
    )


def _is_fraction(value: Expr) -> bool:
    """``abs(hash(name)) / sys.maxsize``: a number between 0 and 1."""
    return isinstance(value, Binary) and value.op == "/"


def _is_formatted(call: Call) -> bool:
    """``"{}.npy".format(digest)``."""
    function = call.function
    return isinstance(function, Attribute) and function.name in ("format", "join") and _is_text(function.value)


def _is_text_made(value: Expr) -> bool:
    """Whether the hash was put into a text."""
    if isinstance(value, Call):
        return _is_formatted(value) or _method(value) in ("str", "hex", "oct", "format", "join")
    if isinstance(value, Subscript):
        return isinstance(value.index, Slice) and _is_text_made(value.value)
    return isinstance(value, Format) or (isinstance(value, Binary) and _is_text(value))


def _is_text(expr: Expr) -> bool:
    if isinstance(expr, Binary):
        return expr.op in ("+", "%", "*") and (_is_text(expr.left) or _is_text(expr.right))
    return isinstance(expr, Format) or (isinstance(expr, Const) and isinstance(expr.value, str))


def _dotted(call: Call) -> str:
    return call.function.name if isinstance(call.function, (Ref, Attribute)) else ""


def _method(call: Call) -> str:
    return _dotted(call).rpartition(".")[2]


def _receiver(call: Call) -> Ref | None:
    """``cache`` of ``cache.get(key)``."""
    function = call.function
    if isinstance(function, Attribute):
        return function.value if isinstance(function.value, Ref) else None
    head, dot, _ = function.name.rpartition(".") if isinstance(function, Ref) else ("", "", "")
    return Ref(head, function.line, function.column) if isinstance(function, Ref) and dot else None
