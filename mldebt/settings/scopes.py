"""What configuration says of some files only: ignores, severities and options, by folder and glob."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct, field

from mldebt.errors import UsageError
from mldebt.finding import Severity
from mldebt.settings.declaration import LEVELS, Declaration
from mldebt.settings.selectors import Vocabulary, nearest

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

_STARS = 12  # a glob with more is an attack on the regular expression it becomes
_OF_EVERY_RULE = ("severity", "enabled")


class Scope(Struct, frozen=True):
    """Settings of the files under ``folder`` that match ``globs``; later scopes win over earlier ones.

    ``ignore`` and ``restore`` are codes; ``severity`` and ``options`` are by code. No globs: every file there.
    """

    folder: str
    globs: tuple[str, ...] = ()
    ignore: frozenset[str] = frozenset()
    restore: frozenset[str] = frozenset()
    severity: Mapping[str, Severity] = field(default_factory=dict)
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    spec: GitIgnoreSpec | None = None

    def covers(self, path: str) -> bool:
        if self.folder:
            if not path.startswith(f"{self.folder}/"):
                return False
            path = path[len(self.folder) + 1 :]
        return self.spec is None or self.spec.match_file(path)


class RuleTables(Struct, frozen=True):
    """The ``rules`` tables of one place, checked against the rules there are."""

    enabled: Mapping[str, bool]
    severity: Mapping[str, Severity]
    options: Mapping[str, Mapping[str, Any]]


def scopes_of(declaration: Declaration, vocabulary: Vocabulary) -> Iterator[Scope]:
    """Everything a file says of some files only, in order of precedence, the weakest first.

    Raises:
        ConfigurationError: It names a rule or an option that does not exist, or a malformed glob.
    """
    document, folder = declaration.document, declaration.folder
    tables = rule_tables(declaration, vocabulary, document.rules, "rules")
    # The root's own `ignore` and `enabled` decide which rules run at all; below the root they only hide findings.
    ignore = codes(declaration, vocabulary, document.ignore, "ignore") if folder else frozenset()
    off, on = _switched(tables) if folder else (frozenset(), frozenset())
    yield Scope(folder, (), ignore | off, on, tables.severity, tables.options)
    for glob, selectors in document.per_file_ignores.items():
        found = codes(declaration, vocabulary, selectors, "per-file-ignores", glob)
        yield Scope(folder, (glob,), found, spec=compiled(declaration, [glob], "per-file-ignores", glob))
    for index, override in enumerate(document.overrides):
        tables = rule_tables(declaration, vocabulary, override.rules, "overrides", index, "rules")
        off, on = _switched(tables)
        severity = dict(tables.severity)
        for name, level in override.severity.items():
            severity[_one(declaration, vocabulary, name, "overrides", index, "severity", name)] = severity_named(level)
        yield Scope(
            folder,
            tuple(override.files),
            codes(declaration, vocabulary, override.ignore, "overrides", index, "ignore") | off,
            on,
            severity,
            tables.options,
            compiled(declaration, override.files, "overrides", index, "files"),
        )


def severity_named(label: str) -> Severity:
    return Severity[label.upper()]


def codes(
    declaration: Declaration, vocabulary: Vocabulary, selectors: Iterable[str], *keys: str | int
) -> frozenset[str]:
    """The codes of selectors; one that means nothing is an error at its line."""
    return frozenset().union(*(_codes(declaration, vocabulary, selector, *keys) for selector in selectors))


def compiled(declaration: Declaration, globs: Sequence[str], *keys: str | int) -> GitIgnoreSpec:
    """Globs as in a ``.gitignore``; a malformed one is an error at its line."""
    from pathspec import GitIgnoreSpec  # 33 modules, and most scans have no globs

    for glob in globs:
        try:
            GitIgnoreSpec.from_lines([glob])
        except ValueError as error:
            raise declaration.error(f"{keys[0]}: {error}", *keys, value=glob) from None
        if glob.count("*") > _STARS:
            raise declaration.error(f"{keys[0]}: too many * in {glob!r}", *keys, value=glob)
    if globs and all(glob.startswith("!") for glob in globs):
        raise declaration.error(f"{keys[0]}: {globs[0]!r} alone matches nothing", *keys, value=globs[0])
    return GitIgnoreSpec.from_lines(globs)


def rule_tables(
    declaration: Declaration, vocabulary: Vocabulary, tables: Mapping[str, Any], *keys: str | int
) -> RuleTables:
    """``rules.<rule>`` tables by code, option values in the types of the rules' fields."""
    enabled: dict[str, bool] = {}
    severity: dict[str, Severity] = {}
    options: dict[str, dict[str, Any]] = {}
    for name, table in tables.items():
        code = _one(declaration, vocabulary, name, *keys, name)
        if not isinstance(table, dict):
            raise declaration.error(f"rules.{name}: expected a table of options", *keys, name)
        for key, value in table.items():
            place = (*keys, name, key)
            if key == "enabled":
                if not isinstance(value, bool):
                    raise declaration.error(f"rules.{name}.enabled: expected true or false", *place)
                enabled[code] = value
            elif key == "severity":
                if value not in LEVELS:
                    hint = nearest(str(value), LEVELS)
                    raise declaration.error(f"rules.{name}.severity: expected {', '.join(LEVELS)}{hint}", *place)
                severity[code] = severity_named(value)
            else:
                field_name, converted = _option(declaration, vocabulary, code, value, *place)
                options.setdefault(code, {})[field_name] = converted
    return RuleTables(enabled, severity, options)


def _option(
    declaration: Declaration, vocabulary: Vocabulary, code: str, value: Any, *keys: str | int
) -> tuple[str, Any]:
    rule, key = keys[-2:]
    known = vocabulary.options(code)
    name = str(key).replace("-", "_")
    if name not in known:
        choices = [option.replace("_", "-") for option in known] + list(_OF_EVERY_RULE)
        message = f"rule {rule} has no option {key!r}{nearest(str(key), choices)}"
        raise declaration.error(message, *keys)
    try:
        return name, msgspec.convert(value, known[name])
    except msgspec.ValidationError as error:
        raise declaration.error(f"rules.{rule}.{key}: {str(error).replace('`', '')}", *keys) from None


def _codes(declaration: Declaration, vocabulary: Vocabulary, selector: str, *keys: str | int) -> frozenset[str]:
    try:
        return vocabulary.expand(selector)
    except UsageError as error:
        raise declaration.error(f"{keys[0]}: {error}", *keys, value=selector) from None


def _one(declaration: Declaration, vocabulary: Vocabulary, name: str, *keys: str | int) -> str:
    try:
        return vocabulary.one(name)
    except UsageError as error:
        raise declaration.error(f"{keys[0]}: {error}", *keys) from None


def _switched(tables: RuleTables) -> tuple[frozenset[str], frozenset[str]]:
    off = frozenset(code for code, enabled in tables.enabled.items() if not enabled)
    return off, frozenset(tables.enabled) - off
