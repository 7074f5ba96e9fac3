"""Comparisons of a library's version with a constant, as values: which library, which version, what is compared how."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace
from packaging.version import InvalidVersion, Version

from mldebt.facts.flow import Origin
from mldebt.facts.names import binding_scope
from mldebt.facts.schema import Attribute, Build, Call, Compare, Comprehension, Const, Expr, Ref, Return, Subscript
from mldebt.module import Module

from .evidence import owner, receiver
from .version_ranges import Range

_DEEPEST = 12
_VERSION_NAMES = (".__version__", ".VERSION", ".version.version", ".version.full_version")
_PARSES = frozenset(
    "parse Version LooseVersion StrictVersion parse_version digit_version TorchVersion NumpyVersion".split()
)
_METADATA = frozenset({"importlib.metadata.version", "importlib_metadata.version"})
_DISTRIBUTIONS = frozenset({"pkg_resources.get_distribution", "importlib.metadata.distribution"})
_TEXTS = frozenset("replace strip rstrip lstrip base_version public lower".split())
_MIRRORED = {"<": ">", ">": "<", "<=": ">=", ">=": "<=", "==": "==", "!=": "!="}
# What spells the version of a library, in any of the ways above.
SPELLINGS = frozenset({"__version__", "VERSION", "full_version", "get_distribution", "distribution", "version"})


_SPECIFIER = re.compile(r"\s*(<=?|>=?)\s*(\d+(?:\.\d+)*)\s*")


class Subject(Struct, frozen=True):
    """A library's version in some form: text, version, parts, major or float."""

    library: str
    form: str


class VersionTest(Struct, frozen=True):
    """``library op bound``, or ``library.startswith(bound)``.

    ``form`` is that of what is compared: texts and floats do not order as versions do. ``partial``: the code asks
    something more beside it, as in ``1.0 <= library < 1.9``.
    """

    library: str
    op: str
    bound: Version
    form: str
    partial: bool = False

    @property
    def shown(self) -> str:
        op = "starts with" if self.op == "startswith" else self.op
        return f"{self.library} {op} {self.bound.major if self.form == 'major' else self.bound}"

    def holds(self, there: Range) -> bool | None:
        """Whether the test holds for all versions of a range, for none (False), or that depends."""
        low, high, bound, op = there.low, there.high, self.bound, self.op
        if self.form in ("text", "float") and op != "startswith":
            return self._coarse(there)
        if op in ("==", "!=", "startswith"):
            return self._equal(there)
        if self.form == "major":
            step = {">": ">=", "<=": "<"}
            if op in step:
                return replace(self, op=step[op], bound=Version(str(bound.major + 1))).holds(there)
        if low is not None and self.form == "parts":
            low = Version(".".join(map(str, low.release[: max(1, len(bound.release))])))
        if low is not None and (low > bound or (low == bound and op in ("<", ">="))):
            return op in (">", ">=")
        if high is not None and (high < bound or (high == bound and (not there.closed or op in (">", "<=")))):
            return op in ("<", "<=")
        return None

    def _coarse(self, there: Range) -> bool | None:
        """As ``holds``, where only majors of one figure compare as versions do."""
        if self.op not in ("<", "<=", ">", ">="):
            return None
        if there.low is not None and self.bound.major < there.low.major < 10:
            return self.op in (">", ">=") if there.high is None or there.high.major <= 10 else None
        if there.high is not None and there.high <= Version(str(self.bound.major)) and self.bound.major < 10:
            return self.op in ("<", "<=")
        return None

    def _equal(self, there: Range) -> bool | None:
        release = self.bound.release[:1] if self.form == "major" else self.bound.release
        exact = self.op != "startswith" and self.form in ("version", "text")
        end = self.bound if exact else Version(".".join(map(str, (*release[:-1], release[-1] + 1))))
        negated = self.op == "!="
        beyond = there.low is not None and (there.low > end or (there.low == end and not exact))
        before = there.high is not None and (there.high < self.bound or (there.high == self.bound and not there.closed))
        if beyond or before:
            return negated
        inside = there.low is not None and there.high is not None and there.low >= self.bound and there.high <= end
        if inside and not exact and not (there.high == end and there.closed):
            return not negated
        return None


class VersionReader:
    """Reads version tests in one scope; unknown is None."""

    def __init__(self, module: Module, scope: int, given: Mapping[str, Expr] | None = None) -> None:
        self._module, self._scope, self._given = module, scope, given or {}

    def test(self, expr: Expr) -> VersionTest | None:
        """The version test an expression is: written there, or in the one line of a function it calls."""
        if isinstance(expr, Compare):
            return self._written(expr)
        if isinstance(expr, Call):
            on = receiver(expr)
            if on is not None and on[1] == "startswith" and len(expr.args) == 1:
                return self._compared(on[0], "startswith", expr.args[0])
            if on is not None and on[1] == "contains" and len(expr.args) == 1:
                return self._specified(expr.args[0], on[0])
            return self._asked(expr)
        return None

    def _written(self, expr: Compare) -> VersionTest | None:
        first, *more = expr.comparators
        if not more:
            return (
                self._specified(expr.left, first)
                if expr.ops[0] == "in"
                else self._compared(expr.left, expr.ops[0], first)
            )
        if len(more) > 1 or self.subject(first) is None:
            return None
        upper = self._compared(first, expr.ops[1], more[0])
        return replace(upper, partial=True) if upper is not None else None

    def _specified(self, left: Expr, right: Expr) -> VersionTest | None:
        """``version in SpecifierSet("<1.9")``."""
        if not isinstance(right, Call) or self._last(right.function) != "SpecifierSet" or len(right.args) != 1:
            return None
        text, subject = self._module.constant(self._scope, right.args[0]), self.subject(left)
        match = _SPECIFIER.fullmatch(text) if isinstance(text, str) else None
        if subject is None or subject.form not in ("text", "version") or match is None:
            return None
        return VersionTest(subject.library, match[1], Version(match[2]), "version")

    def _asked(self, call: Call) -> VersionTest | None:
        """``torch_at_least("1.9")`` and ``at_least("torch", "1.9")``, functions that do nothing but compare."""
        if not isinstance(call.function, Ref) or not 1 <= len(call.args) <= 2 or call.keywords:
            return None
        names = self._module.names(self._scope, call.function)
        definition = self._module.project.definition(names[0]) if len(names) == 1 and ":" in names[0] else None
        if definition is None or not definition.is_function:
            return None
        parameters = definition.scope.parameters
        body = definition.body
        if len(parameters) != len(call.args) or len(body) != 1:
            return None
        if not isinstance(body[0], Return) or not isinstance(body[0].value, Compare):
            return None
        given = {parameter.name: value for parameter, value in zip(parameters, call.args, strict=True)}
        return VersionReader(definition.module, definition.index, given).test(body[0].value)

    def _compared(self, left: Expr, op: str, right: Expr) -> VersionTest | None:
        if op not in _MIRRORED and op != "startswith":
            return None
        subject = self.subject(left)
        if subject is None:
            subject, right, op = self.subject(right), left, _MIRRORED.get(op, op)
        if subject is None:
            return None
        bound = self._bound(right)
        return None if bound is None else VersionTest(subject.library, op, bound, subject.form)

    def _bound(self, expr: Expr, depth: int = 3) -> Version | None:
        if isinstance(expr, Ref):
            expr = self._given.get(expr.name) or self._assigned(expr) or expr
        if isinstance(expr, Call) and len(expr.args) == 1 and self._last(expr.function) in _PARSES and depth:
            return self._bound(expr.args[0], depth - 1)
        value = self._module.constant(self._scope, expr)
        if isinstance(value, (list, tuple)):
            if not value or not all(isinstance(part, (int, str)) for part in value):
                return None
            value = ".".join(map(str, value))
        if isinstance(value, bool) or not isinstance(value, (str, int, float)):
            return None
        try:
            return Version(str(value).rstrip("."))
        except InvalidVersion:
            return None

    def _assigned(self, ref: Ref) -> Expr | None:
        """``Version("1.9")`` of ``LEAST = Version("1.9")``."""
        if "." in ref.name:
            return None
        bound = binding_scope(self._module.facts, self._scope, ref.name)
        if bound is None:
            return None
        flow = self._module.project.flow(self._module.definition(bound))
        origins = flow.origins(ref) if bound == self._scope else flow.definitions(ref.name)
        one = origins[0] if len(origins) == 1 else None
        return one.value if one is not None and one.kind == "assign" and isinstance(one.value, Call) else None

    # What is compared.

    def subject(self, expr: Expr, depth: int = _DEEPEST) -> Subject | None:
        """The library version an expression is made of, and how."""
        if depth <= 0:
            return None
        if isinstance(expr, (Ref, Attribute)):
            return self._named(expr, depth)
        if isinstance(expr, Subscript):
            return self._part(expr, depth)
        if isinstance(expr, Call):
            return self._called(expr, depth)
        if isinstance(expr, Comprehension) and len(expr.generators) == 1:
            return self._of_form(expr.generators[0].iterable, ("parts",), "parts", depth)
        if isinstance(expr, Build) and expr.kind == "tuple" and expr.items:
            return self._of_form(expr.items[0], ("major",), "parts", depth)
        return None

    def _named(self, expr: Ref | Attribute, depth: int) -> Subject | None:
        if isinstance(expr, Ref) and "." not in expr.name:
            return self._variable(expr, depth)
        names = self._module.names(self._scope, expr)
        libraries = {name.partition(".")[0] for name in names if ":" not in name and name.endswith(_VERSION_NAMES)}
        if names:
            if len(libraries) == 1 and len(names) == 1:
                return Subject(libraries.pop(), "text")
            return self._elsewhere(names[0], depth) if len(names) == 1 and ":" in names[0] else None
        before, last = owner(expr), expr.name.rpartition(".")[2]
        if before is None:
            return None
        if last == "version" and isinstance(before, Call):
            return self._distribution(before, _DISTRIBUTIONS)
        if last in ("release", "major"):
            return self._of_form(before, ("version",), "parts" if last == "release" else "major", depth)
        return self._of_form(before, ("version", "text"), "text", depth) if last in _TEXTS else None

    def _variable(self, ref: Ref, depth: int) -> Subject | None:
        flow = self._module.project.flow(self._module.definition(self._scope))
        origins: Sequence[Origin] = flow.origins(ref)
        if origins:
            if [origin.kind for origin in origins] == ["import"]:
                names = self._module.names(self._scope, ref)
                external = len(names) == 1 and names[0].endswith(_VERSION_NAMES) and ":" not in names[0]
                if external:
                    return Subject(names[0].partition(".")[0], "text")
                return self._elsewhere(names[0], depth) if len(names) == 1 else None
            return self._defined(origins, depth)
        around = binding_scope(self._module.facts, self._scope, ref.name)
        names = self._module.project.resolve(self._module, self._scope, ref.name)
        if not names and around is not None:
            outer = self._module.project.flow(self._module.definition(around))
            return VersionReader(self._module, around)._defined(outer.definitions(ref.name), depth - 1)
        if len(names) == 1 and names[0].endswith(_VERSION_NAMES) and ":" not in names[0]:
            return Subject(names[0].partition(".")[0], "text")
        return self._elsewhere(names[0], depth) if len(names) == 1 else None

    def _elsewhere(self, name: str, depth: int) -> Subject | None:
        """The value of a variable of some module of the project."""
        path, colon, variable = name.partition(":")
        module = self._module.project.modules.get(path)
        if not colon or module is None or not variable or "." in variable:
            return None
        flow = self._module.project.flow(module.definition(0))
        return VersionReader(module, 0)._defined(flow.definitions(variable), depth - 1)

    def _defined(self, origins: Sequence[Origin], depth: int) -> Subject | None:
        if len(origins) != 1 or origins[0].kind != "assign" or origins[0].value is None:
            return None
        if origins[0].path:
            first = origins[0].path == (0,)
            return self._of_form(origins[0].value, ("parts",), "major", depth) if first else None
        return self.subject(origins[0].value, depth - 1)

    def _part(self, expr: Subscript, depth: int) -> Subject | None:
        found = self.subject(expr.value, depth - 1)
        index = expr.index
        if found is None or found.form not in ("parts", "text", "halves"):
            return None
        if isinstance(index, Const):
            # ``"2.1.0+cu118".split("+")[0]`` is the text again.
            form = "text" if found.form == "halves" else "major"
            return Subject(found.library, form) if index.value == 0 else None
        start = getattr(index, "lower", None)
        return found if start is None or (isinstance(start, Const) and start.value == 0) else None

    def _called(self, call: Call, depth: int) -> Subject | None:
        function, last = call.function, self._last(call.function)
        if last in ("version", "get_distribution"):
            return self._distribution(call, _METADATA)
        if call.args and last in _PARSES and not call.keywords:
            return self._of_form(call.args[0], ("text",), "version", depth)
        if isinstance(function, Ref) and "." not in function.name and call.args:
            first = call.args[-1] if function.name == "map" else call.args[0]
            if function.name in ("tuple", "list", "map"):
                return self._of_form(first, ("parts",), "parts", depth)
            if function.name in ("int", "float", "str"):
                form = {"int": "major", "float": "float", "str": "text"}[function.name]
                wanted = ("major",) if form == "major" else ("text", "version")
                return self._of_form(first, wanted, form, depth)
        on = receiver(call)
        if on is None:
            return None
        if last == "split":
            plus = bool(call.args) and isinstance(call.args[0], Const) and call.args[0].value != "."
            found = self._of_form(on[0], ("text",), "parts", depth)
            return Subject(found.library, "halves") if found is not None and plus else found
        return self._of_form(on[0], ("text",), "text", depth) if last in _TEXTS else None

    def _distribution(self, call: Call, functions: frozenset[str]) -> Subject | None:
        names = self._module.names(self._scope, call.function)
        if len(names) != 1 or names[0] not in functions or len(call.args) != 1:
            return None
        asked = call.args[0]
        if isinstance(asked, Ref) and asked.name in self._given:
            asked = self._given[asked.name]
        name = asked.value if isinstance(asked, Const) else self._module.constant(self._scope, asked)
        return Subject(name.replace("-", "_"), "text") if isinstance(name, str) else None

    def _of_form(self, expr: Expr, wanted: tuple[str, ...], form: str, depth: int) -> Subject | None:
        found = self.subject(expr, depth - 1)
        return Subject(found.library, form) if found is not None and found.form in wanted else None

    def _last(self, function: Expr) -> str:
        """The last segment of a function's own name, not of what it was imported as."""
        if not isinstance(function, (Ref, Attribute)):
            return ""
        names = self._module.project.resolve(self._module, self._scope, function.name) if type(function) is Ref else ()
        return (names[0] if len(names) == 1 else function.name).rpartition(".")[2].rpartition(":")[2]
