"""Data and models that are fetched from elsewhere without a version (MLD604)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property

from msgspec import Struct

from mldebt.facts.arguments import UNKNOWN, argument
from mldebt.facts.schema import Attribute, Call, Ref
from mldebt.module import CallSite, Module
from mldebt.rule import Analysis, Row, Table

from .spelled_names import SpelledNames

_HUB = re.compile(r"[\w.-]+/[\w.-]+")
_FAMILIES = re.compile(
    r"(distil|ro|al|de|x|m|cam|em|mp|big)?(bert|gpt2?|roberta|t5|bart|electra|xlnet|xlm|albert|opt|bloom|llama|mistral|"
    r"clip|vit|wav2vec2|whisper|pegasus|longformer|flaubert|marian|mpnet|minilm|all|paraphrase|multi-qa)(a)?(-[\w.]+)+",
    re.IGNORECASE,
)
_LOCAL = frozenset(
    ". .. model models output outputs result results checkpoint checkpoints ckpt saved save data tmp weights logs log "
    "runs out exp experiments artifacts pretrained trained final path dir cache local ~ home mnt content kaggle".split()
)
_FORMATS = frozenset(
    "csv json text parquet arrow pandas imagefolder audiofolder videofolder webdataset xml generator sql".split()
)
MOVING = re.compile(
    r"https?://(raw\.githubusercontent\.com/[^/]+/[^/]+/(refs/heads/)?(main|master|latest)/"
    r"|github\.com/[^/]+/[^/]+/(raw|blob)/(main|master|latest)/"
    r"|github\.com/[^/]+/[^/]+/(archive/(refs/heads/)?(main|master)|releases/latest)"
    r"|huggingface\.co/.+/resolve/main/)|^(s3|gs|abfs)://\S*/latest(/|\b)"
)
_FILE = re.compile(r"/(?:refs/heads/)?(?:main|master)/([^?#]+)")
_TESTING = re.compile(r"(^|/)(test_?utils?|testing)(/|\.py$)")  # what tests share
_MUTABLE = frozenset({"main", "master", "latest", "HEAD", "active"})
_ASKS = frozenset(
    """create parse completion acompletion ChatOpenAI ChatAnthropic stream OpenAI ChatGoogleGenerativeAI ChatMistralAI
    ChatLiteLLM GenerativeModel init_chat_model generate_content""".split()
)
_FLOATING = re.compile(
    r"(gpt-4o(-mini)?|gpt-4|gpt-4-turbo(-preview)?|gpt-4-32k|gpt-3\.5-turbo(-16k)?|gpt-4\.1(-mini|-nano)?|gpt-5(-mini|-nano)?|o1|o1-mini|o3|"
    r"o3-mini|o4-mini|chatgpt-4o-latest|claude-[\w.-]+-latest|claude-(2|instant)|gemini-(pro|1\.5-pro|1\.5-flash|2\.0-flash)(-latest)?|"
    r"mistral-(large|small|medium)-latest)"
)
_CLIENTS = (
    "openai",
    "anthropic",
    "litellm",
    "langchain",
    "langchain_openai",
    "langchain_anthropic",
    "mistralai",
    "instructor",
    "google",
    "langchain_google_genai",
    "langchain_mistralai",
    "langchain_community",
    "llama_index",
)
_CHECKS = frozenset({"sha256", "md5", "sha1", "hashlib", "checksum", "known_hash", "sha512", "blake2b"})


def is_checked(module: Module) -> bool:
    """Whether a file compares checksums."""
    return not module.mentions.isdisjoint(_CHECKS)


class External(Row, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A call that fetches something; see external.toml for the fields."""

    kind: str
    item: str
    position: int
    pin: list[str] = []  # noqa: RUF012 - msgspec copies it


class Fetch(Struct, frozen=True):
    """Something that is fetched unpinned: what, how, and where."""

    what: str
    how: str
    kind: str
    module: Module
    site: CallSite


class Fetches(Analysis):
    """All of a project, in the order of places."""

    table = Table("external.toml", "external", External)

    @cached_property
    def all(self) -> tuple[Fetch, ...]:
        rows = self.project.rows(self.table)
        found: list[Fetch] = []
        for module in self.project.modules.values():
            if module.role == "project" and not module.is_test and not _TESTING.search(module.path):
                for name, site in module.calls_of(rows):
                    found += self.known(module, site, name, rows[name])
                found += self.pretrained(module)
                found += self.artifacts(module)
                found += self.language_models(module)
        return tuple(sorted(found, key=lambda one: (one.module.path, one.site.call.line, one.site.call.column)))

    def known(self, module: Module, site: CallSite, name: str, row: External) -> Iterator[Fetch]:
        call, scope = site.call, site.scope
        if self.pinned(module, scope, call, row.pin):
            return
        for value in self.texts(module, scope, call, row.item, row.position):
            yield from self.one(module, site, name, row, value)

    def one(self, module: Module, site: CallSite, name: str, row: External, value: str) -> Iterator[Fetch]:
        call, scope, how = site.call, site.scope, name.rpartition(".")[2]
        if row.kind == "hub" and self.is_hub_name(value, bare=how == "load_dataset"):
            yield Fetch(value, how, row.kind, module, site)
        moving = re.fullmatch(r"[\w.-]+/[\w.-]+(:(main|master))?", value)
        local = self.text(module, scope, call, "source", None) == "local"
        if row.kind == "repository" and moving and not local and not self.is_offered(module, scope, call):
            yield Fetch(value, how, row.kind, module, site)
        if row.kind == "openml":
            yield Fetch(value, how, row.kind, module, site)
        if row.kind == "tfds" and not re.search(r":\d+\.[\d*]+\.", value):
            yield Fetch(value, how, row.kind, module, site)
        if row.kind == "url" and MOVING.search(value) and not is_checked(module) and not self.is_own(value):
            yield Fetch(value, how, row.kind, module, site)
        if row.kind in ("drive", "kaggle") and not re.search(r"/versions/\d+|/\d+$", value) and not is_checked(module):
            yield Fetch(value, how, row.kind, module, site)
        if row.kind == "timm" and re.fullmatch(r"hf[-_]hub:[\w.-]+/[\w.-]+", value):
            yield Fetch(value, how, "timm", module, site)
        if row.kind == "registry" and re.fullmatch(r"models:/[^/]+/latest", value):
            yield Fetch(value, how, row.kind, module, site)

    def pretrained(self, module: Module) -> Iterator[Fetch]:
        """``AutoModel.from_pretrained("org/name")`` of any library class."""
        for scope in module.scopes_using(("from_pretrained",)):
            for site in module.call_sites(scope):
                function = site.call.function
                if not isinstance(function, Ref) or not function.name.endswith(".from_pretrained"):
                    continue
                names = self.project.resolve(module, scope, function.name)
                if not names or any(":" in name for name in names):
                    continue
                if self.pinned(module, scope, site.call, ("revision", "local_files_only")):
                    continue
                values = self.texts(module, scope, site.call, "pretrained_model_name_or_path", 0)
                values = values or self.texts(module, scope, site.call, "model_id", 1)  # an adapter's, after its model
                for value in filter(self.is_hub_name, values):
                    yield Fetch(value, "from_pretrained", "hub", module, site)

    def artifacts(self, module: Module) -> Iterator[Fetch]:
        """``run.use_artifact("flats:latest")`` of wandb."""
        if "wandb" in module.mentions:
            for scope in module.scopes_using(("use_artifact", "artifact")):
                for site in module.call_sites(scope):
                    function = site.call.function
                    if isinstance(function, (Ref, Attribute)) and function.name.endswith(("use_artifact", ".artifact")):
                        for value in self.texts(module, scope, site.call, "name", 0):
                            if value.endswith(":latest"):
                                yield Fetch(value, function.name.rpartition(".")[2], "registry", module, site)

    def language_models(self, module: Module) -> Iterator[Fetch]:
        """``client.chat.completions.create(model="gpt-4o")``: a name whose model changes."""
        heads = {one.module.partition(".")[0] for one in module.facts.imports}
        if not heads.intersection(_CLIENTS) or "AzureOpenAI" in module.mentions:  # whose names are of deployments
            return
        for scope in module.scopes_using(_ASKS):
            for site in module.call_sites(scope):
                function = site.call.function
                if isinstance(function, (Ref, Attribute)) and (last := function.name.rpartition(".")[2]) in _ASKS:
                    for value in self.asked(module, scope, site.call, last):
                        if _FLOATING.fullmatch(value.rpartition("/")[2]):
                            yield Fetch(value, last, "model", module, site)

    def asked(self, module: Module, scope: int, call: Call, last: str) -> tuple[str, ...]:
        """The language models that a call names."""
        position = 0 if last in ("GenerativeModel", "init_chat_model", "completion", "acompletion") else None
        found = self.texts(module, scope, call, "model", position)
        found = found or self.texts(module, scope, call, "model_name", position)
        for keyword in () if found else call.keywords:  # ``**OPTIONS``
            options = module.constant(scope, keyword.value) if keyword.name is None else None
            if isinstance(options, dict) and isinstance(options.get("model"), str):
                found = (options["model"],)
        return found

    def text(self, module: Module, scope: int, call: Call, name: str, position: int | None) -> str | None:
        given = argument(call, name, position)
        if given is None or given is UNKNOWN:
            return None
        value = module.constant(scope, given)
        return value if isinstance(value, str) and value else None

    def texts(self, module: Module, scope: int, call: Call, name: str, position: int | None) -> tuple[str, ...]:
        """What an argument may name: a constant, a default, a field, a leaf of a configuration."""
        given = argument(call, name, position)
        if given is None or given is UNKNOWN:
            return ()
        return self.project[SpelledNames].of(module, scope, given)

    def pinned(self, module: Module, scope: int, call: Call, names: tuple[str, ...] | list[str]) -> bool:
        """Whether an argument pins it, or may: ``**options`` count, a branch's name does not."""
        for name in names:
            given = argument(call, name)
            if given is UNKNOWN:
                return True
            if given is not None:
                if module.constant(scope, given) is None:
                    continue
                values = self.project[SpelledNames].of(module, scope, given)
                if not values or not _MUTABLE.issuperset(values):
                    return True
        return False

    def is_offered(self, module: Module, scope: int, call: Call) -> bool:
        """Whether torch.hub is asked for a model that this repository offers there itself."""
        offers = self.project.modules.get("hubconf.py")
        model = self.text(module, scope, call, "model", 1)
        return offers is not None and model in {one.name for one in offers.facts.scopes if one.parent == 0}

    def is_own(self, address: str) -> bool:
        """Whether an address is that of a file of this repository, which its owner changes, with a diff."""
        found = _FILE.search(address)
        return found is not None and found.group(1) in self.project.every

    def is_hub_name(self, value: str, bare: bool = False) -> bool:
        """``org/name``, or a bare name that stands on the hub; not a directory of the project's."""
        if value in _FORMATS or value.endswith((".py", ".json", ".csv", ".pt", ".bin", ".txt")):
            return False
        head = value.partition("/")[0]
        if head.lower() in _LOCAL or value in self._directories or head in self._directories:
            return False
        if "/" in value:
            return _HUB.fullmatch(value) is not None and value not in self._written
        known = re.fullmatch(r"[\w-]+", value) if bare else _FAMILIES.fullmatch(value)
        return known is not None and value not in self._written

    @cached_property
    def _directories(self) -> frozenset[str]:
        found = set()
        for path in self.project.every:
            head, _, rest = path.partition("/")
            if rest:
                found.add(head)
                found.add("/".join(path.split("/")[:2]))
        return frozenset(found)

    @cached_property
    def _written(self) -> frozenset[str]:
        """Names that the project saves models or data under."""
        found = set()
        for module in self.project.modules.values():
            for scope in module.scopes_using(("save_pretrained", "save_to_disk", "save_model")):
                for site in module.call_sites(scope):
                    function = site.call.function
                    if isinstance(function, (Ref, Attribute)) and function.name.rpartition(".")[2].startswith("save_"):
                        value = module.constant(scope, site.call.args[0]) if site.call.args else None
                        if isinstance(value, str):
                            found.add(value.removeprefix("./"))
        return frozenset(found)
