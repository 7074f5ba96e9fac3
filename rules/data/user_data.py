"""Training data that anybody may have written: uploads, feedback, scraped pages (MLD616)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cached_property

from mldebt_rules.glue.artefacts import Artefacts
from mldebt_rules.glue.paths import Paths
from mldebt_rules.glue.patterns import plain
from msgspec import Struct

from mldebt.facts.names import last_segment
from mldebt.facts.schema import Attribute, Call, Comprehension, Const, Expr, Format, If, Ref
from mldebt.facts.walk import statements, walk
from mldebt.module import Module
from mldebt.project.project import Project
from mldebt.rule import Analysis

from . import queries
from .learning import Learning, Learnings
from .mutations import called
from .provenance import Passed, Provenance, Start
from .stores import Put, Stores
from .together import together

_USER = re.compile(
    r"(?:^|[^a-z])(?:user_?)?(?:uploads?|uploaded|feedbacks?|ugc|user_?(?:content|generated|images?|posts?|"
    r"texts?|data|reports?|photos?|files?|reviews?|messages?)|crowd_?sourced|scraped?|crawled|comments|forum_posts)"
    r"(?=[^a-z]|$)",
    re.IGNORECASE,
)
_OPENS = frozenset(
    """glob iglob rglob listdir iterdir scandir ImageFolder DatasetFolder load_dataset image_dataset_from_directory
    text_dataset_from_directory flow_from_directory list_objects_v2 list_objects download_blob""".split()
)
_FETCHES = frozenset({"requests.get", "httpx.get", "urllib.request.urlopen", "requests.Session.get"})
_PARSERS = frozenset({"BeautifulSoup", "Selector", "trafilatura", "newspaper", "html2text", "readability"})
_REQUEST = frozenset({"request", "UploadFile", "file_uploader", "getlist", "uploaded_file", "chat_input", "text_input"})
_ROUTES = frozenset({"post", "put", "route", "websocket", "api_route"})
_SERVERS = frozenset({"fastapi", "flask", "starlette", "sanic", "litestar", "quart", "aiohttp", "bottle"})
_STEP = re.compile(
    r"filter|dedup|duplicat|review|moderat|sanitis|sanitiz|valid|approv|verif|clean_?lab|outlier|anomal|spam|toxic|trust"
    r"|quarantin|inspect|screen|allow_?list|block_?list|curat|audit|consent|is_safe|safe_?search|minhash|status|schema"
    r"|^query$|^where$|^isin$|^unique$",
    re.IGNORECASE,
)


class Ingested(Struct, frozen=True, eq=False):
    """A fit that learns from what users write. ``what``: as a message says it; ``put``: where it comes in."""

    learning: Learning
    start: Start
    what: str
    put: Put | None


class UserData(Analysis):
    """Finds them."""

    def __init__(self, project: Project) -> None:
        super().__init__(project)
        self._provenance = project[Provenance]
        self._stores = project[Stores]

    @cached_property
    def all(self) -> tuple[Ingested, ...]:
        found: dict[tuple[str, int, int], Ingested] = {}
        near = together(self.project, self._entrances)
        for learning in self.project[Learnings].within(near):
            if learning.features is None:
                continue
            module, scope = learning.module, learning.scope
            for start in self._provenance.of(module, scope, learning.features, self._stop, columns=False):
                key = (start.module.path, start.call.line, start.call.column)
                if key not in found and (one := self._ingested(learning, start)) is not None:
                    found[key] = one
        return tuple(found.values())

    @property
    def _entrances(self) -> frozenset[str]:
        """Files in which what users write may come in: pages, requests, and artefacts they fill or are named after."""
        found: set[str] = set()
        for path, module in self.project.modules.items():
            if module.role != "project" or module.is_test:
                continue
            heads = {fact.module.partition(".")[0] for fact in module.facts.imports}
            texts = any(_USER.search(text) for text in module.facts.strings)
            if heads & _SERVERS or module.mentions & _PARSERS or "execute" in module.mentions or texts:
                found.add(path)
        for node in self.project[Artefacts].run.values():
            named = _USER.search(node.pattern) is not None
            filled = any((one.via or one.place).path in found for one in node.writes)
            filled = filled or any(one.definition.module.path in found for one in node.writes)
            if named or filled:
                found.update(one.definition.module.path for one in node.reads)
        return frozenset(found)

    def _stop(self, module: Module, scope: int, call: Call) -> str:
        if self._stores.is_read(module, scope, call):
            return "read"
        last = called(module, scope, call.function)
        if last in _OPENS:
            return "search"
        if last in _ROUTES and any(name.partition(".")[0] in _SERVERS for name in module.names(scope, call.function)):
            return "request"
        if last in ("get", "urlopen") and not module.mentions.isdisjoint(_PARSERS):
            return "fetch" if any(name in _FETCHES for name in module.names(scope, call.function)) else ""
        return ""

    def _ingested(self, learning: Learning, start: Start) -> Ingested | None:
        if self._is_screened(learning, start):
            return None
        if start.kind == "fetch":
            return Ingested(learning, start, "scraped pages", None)
        if start.kind == "request":
            return Ingested(learning, start, "what a request brings", None)
        name = self._named(start)
        if name:
            return Ingested(learning, start, name, None)
        for put in self._stores.written(start):
            if (self._is_given(put) or self._is_fetched(put)) and not _screens(put.module, put.scope):
                return Ingested(learning, start, put.store, put)
        return None

    def _named(self, start: Start) -> str:
        """What is read, where its name says that users write it."""
        text = queries.text_of(start.module, start.scope, start.call.args[0]) if start.call.args else ""
        tables = queries.read(text)[0] if " " in text.strip() else ()
        names = [f"the table {table}" for table in tables]
        if not tables:
            names += self._texts(start)
        return next((name for name in names if _USER.search(name.rpartition(" ")[2])), "")

    def _texts(self, start: Start) -> Iterator[str]:
        """Paths a call is given, or is called on."""
        function = start.call.function
        values: list[Expr] = [*start.call.args[:1]]
        if isinstance(function, Attribute):
            values.append(function.value)
        elif isinstance(function, Ref) and "." in function.name:
            values.append(Ref(function.name.rpartition(".")[0], function.line, function.column))
        for value in values:
            for text in self.project[Paths].texts(start.module, start.scope, value):
                if plain(text) not in ("*", ""):
                    yield plain(text)

    def _is_screened(self, learning: Learning, start: Start) -> bool:
        """Whether anything on the way chooses, checks or compares what is read."""
        if any(_chooses(one) for one in start.via):
            return True
        text = queries.text_of(start.module, start.scope, start.call.args[0]) if start.call.args else ""
        if queries.condition(text) or "distinct" in text.lower():
            return True
        around: list[tuple[Module, int]] = [(start.module, start.scope), (learning.module, learning.scope)]
        around += [(one.module, one.scope) for one in start.via]
        return any(_screens(module, scope) for module, scope in around)

    def _is_given(self, put: Put) -> bool:
        """Whether a store is filled with what a request brings."""
        definition = put.module.definition(put.scope)
        uses = {part for use in definition.scope.uses for part in use.split(".")}
        for use in definition.scope.uses:
            head = use.partition(".")[0]
            uses |= {name.rpartition(".")[2] for name in self.project.resolve(put.module, put.scope, head)}
        annotations = [one.annotation for one in definition.scope.parameters if one.annotation is not None]
        uses |= {part for annotation in annotations for part in _names(annotation)}
        return not uses.isdisjoint(_REQUEST)

    def _is_fetched(self, put: Put) -> bool:
        """Whether pages from elsewhere are stored."""
        starts = self._provenance.of(put.module, put.scope, put.value, self._stop, (), put.users)
        kinds = {one.kind for one in starts if not any(_chooses(passed) for passed in one.via)}
        return bool(kinds & {"fetch", "request"})


def _screens(module: Module, scope: int) -> bool:
    """Whether a body calls or tests anything that sounds like a look at the data."""
    names = {called(module, scope, site.call.function) for site in module.call_sites(scope)}
    for stmt in statements(module.body(scope)):
        if isinstance(stmt, If):
            names.update(_names(stmt.test))
    return any(name[:1].islower() and _STEP.search(name) for name in names)  # a class may be the model that filters


def _chooses(one: Passed) -> bool:
    """Whether a step on the way keeps some rows only: a mask, a condition, an option that says so."""
    if not isinstance(one.expr, Call):
        return not isinstance(one.expr, (Const, Format, Comprehension)) and not isinstance(one.expr, Ref)
    function = one.expr.function
    name = last_segment(function)
    if _STEP.search(name):
        return True
    return any(keyword.name and _STEP.search(keyword.name) for keyword in one.expr.keywords)


def _names(expr: Expr) -> Sequence[str]:
    return [part for node in walk(expr) if isinstance(node, (Ref, Attribute)) for part in node.name.split(".")]
