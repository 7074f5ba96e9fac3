"""Defaults, under the configuration files, under the command line: one configuration."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Protocol

import msgspec

from mldebt.config import Config
from mldebt.finding import Confidence, Severity
from mldebt.settings.declaration import Declaration, Document, explained
from mldebt.settings.files import Settings, stays_inside
from mldebt.settings.scopes import codes, compiled, rule_tables, scopes_of, severity_named
from mldebt.settings.selectors import ALL, ALWAYS, RuleClass, Vocabulary, choose, nearest


@dataclass(frozen=True, slots=True)
class CommandLine:
    """What the command line says about the settings. None and empty: nothing."""

    select: tuple[str, ...] | None = None
    ignore: tuple[str, ...] = ()
    extend_select: tuple[str, ...] = ()
    severity: Severity | None = None
    confidence: Confidence | None = None
    fail_on: Severity | None = None
    preview: bool | None = None
    jobs: int | str | None = None
    cache_dir: Path | None = None
    output_format: str | None = None


class KnowledgeTable(Protocol):
    """What checking a user's rows needs of a knowledge table."""

    key: str
    row: type[msgspec.Struct]

    def parse(self, rows: Sequence[Mapping[str, Any]], /) -> object: ...


def configure(
    settings: Settings,
    rules: Iterable[RuleClass],
    line: CommandLine = CommandLine(),
    tables: Iterable[KnowledgeTable] | None = None,
) -> Config:
    """The configuration of a scan: defaults, under the files, under the command line.

    Args:
        settings: The files, as read.
        rules: Every rule there is, plug-ins' included.
        line: The command line.
        tables: Every knowledge table there is; None: rows are taken as they are.

    Raises:
        ConfigurationError: A file names a rule, an option or a table that does not exist, or a path outside of the
            repository; or a row does not fit its table.
        UsageError: The command line names a rule that does not exist.
    """
    vocabulary = Vocabulary.of(rules)
    main = settings.main
    document = main.document if main else Document()
    user = settings.user.document if settings.user else Document()
    preview = document.preview or False if line.preview is None else line.preview
    configured, active = _active(main, vocabulary, line)
    if not preview:
        previews = frozenset(rule.code for rule in vocabulary.rules if rule.preview)
        configured, active = configured - previews, active - previews
    if main is not None:
        compiled(main, document.exclude or (), "exclude")
        compiled(main, document.extend_exclude, "extend-exclude")
    jobs = line.jobs or document.jobs or user.jobs
    return Config(
        settings.root,
        active=active,
        narrowed=not configured <= active,
        severity=_shown_from(line, document),
        confidence=line.confidence or Confidence[(document.confidence or "medium").upper()],
        fail_on=line.fail_on if line.fail_on is not None else severity_named(document.fail_on or "minor"),
        preview=preview,
        exclude=tuple(document.exclude or ()),
        extend_exclude=tuple(document.extend_exclude),
        knowledge=_knowledge(main, tables),
        assume=document.assume,
        library=document.library,
        single_file_implementations=document.single_file_implementations or False,
        experiment_dirs=tuple(document.experiment_dirs or ()),
        jobs=None if jobs == "auto" or jobs is None else int(jobs),
        cache_dir=_cache_dir(settings, line),
        output_format=line.output_format or document.output_format or user.output_format or "text",
        isolated=settings.isolated,
        scopes=tuple(scopes_of(main, vocabulary)) if main else (),
        plugins=settings.plugins,
        origins=_origins(settings, line),
        files=tuple(each.path for each in (settings.user, main) if each),
        notes=(*settings.notes, *_preview_notes(vocabulary, line, preview)),
        errors=settings.errors,
        vocabulary=vocabulary,
    )


def _active(
    main: Declaration | None, vocabulary: Vocabulary, line: CommandLine
) -> tuple[frozenset[str], frozenset[str]]:
    """The codes on by the files alone, and with the command line."""
    every = vocabulary.expand(ALL)
    configured, refused = every, frozenset[str]()
    if main is not None:
        document = main.document
        codes(main, vocabulary, document.select or (), "select")
        codes(main, vocabulary, document.extend_select, "extend-select")
        refused = codes(main, vocabulary, document.ignore, "ignore")
        enabled = rule_tables(main, vocabulary, document.rules, "rules").enabled
        configured = choose(
            every,
            vocabulary,
            document.select,
            [*document.extend_select, *(code for code, on in enabled.items() if on)],
            [*document.ignore, *(code for code, on in enabled.items() if not on)],
        )
    active = choose(configured, vocabulary, line.select, line.extend_select, line.ignore)
    for selector in line.ignore:
        refused |= vocabulary.expand(selector)
    return configured | ALWAYS - refused, active | ALWAYS - refused


def _knowledge(
    main: Declaration | None, tables: Iterable[KnowledgeTable] | None
) -> dict[str, tuple[Mapping[str, Any], ...]]:
    """The users' rows by table, each checked."""
    rows = {} if main is None else main.document.knowledge
    if main is not None and rows and tables is not None:
        known = {table.key: table for table in tables}
        for key in rows:
            if key not in known:
                raise main.error(f"unknown knowledge table {key!r}{nearest(key, known)}", "knowledge", key)
            _check_rows(main, known[key])
    return {key: tuple(rows[key]) for key in rows}


def _check_rows(main: Declaration, table: KnowledgeTable) -> None:
    try:
        table.parse(main.document.knowledge[table.key])
    except msgspec.ValidationError as error:
        raise explained(main, str(error), table.row.__struct_fields__, ("knowledge", table.key)) from None


def _shown_from(line: CommandLine, document: Document) -> Severity:
    """The least severity shown: what makes the scan fail is shown unless it was said otherwise."""
    if line.severity is not None:
        return line.severity
    if document.severity is not None:
        return severity_named(document.severity)
    fail_on = line.fail_on if line.fail_on is not None else severity_named(document.fail_on or "minor")
    return min(Severity.MINOR, fail_on)


def _cache_dir(settings: Settings, line: CommandLine) -> Path | None:
    """The directory for caches, if one is named. A repository may only name one in itself."""
    if line.cache_dir is not None:
        return line.cache_dir
    for declaration in (settings.main, settings.user):
        if declaration is None or declaration.document.cache_dir is None:
            continue
        said = declaration.document.cache_dir
        if declaration is settings.user or settings.explicit:
            return declaration.path.parent / Path(said).expanduser()
        path = settings.root / said
        if Path(said).is_absolute() or not stays_inside(settings.root, path):
            raise declaration.error(f"cache-dir: {said!r} lies outside of the repository", "cache-dir")
        return path
    return None


def _origins(settings: Settings, line: CommandLine) -> dict[str, str]:
    said: dict[str, str] = {}
    for declaration in (settings.user, settings.main):
        if declaration is not None:
            said |= dict.fromkeys(declaration.table, declaration.label)
    given = (each.name for each in fields(line) if getattr(line, each.name) not in (None, ()))
    return said | {name.replace("_", "-"): "command line" for name in given}


def _preview_notes(vocabulary: Vocabulary, line: CommandLine, preview: bool) -> list[str]:
    """A preview rule that was asked for by name and does not run."""
    asked = {code for word in [*(line.select or ()), *line.extend_select] for code in vocabulary.expand(word)
             if vocabulary.specificity(word) == 4}  # fmt: skip
    off = [rule for rule in vocabulary.rules if rule.preview and not preview and rule.code in asked]
    return [f"{rule.code} {rule.name()} is a preview rule and runs only with --preview" for rule in off]
