"""What ``mldebt scan`` shows instead of or beside findings: files, settings, time."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from pathlib import Path
from typing import Any

from msgspec.structs import fields

from mldebt.cli.session import Session
from mldebt.config import Config
from mldebt.registry import Registry
from mldebt.rule import Rule
from mldebt.sources.discover import discover

# What a configuration holds beside settings, and what has a table of its own.
_NOT_SETTINGS = frozenset(
    {"root", "active", "narrowed", "isolated", "scopes", "origins", "files", "notes", "errors", "vocabulary"}
)


def show_files(session: Session) -> str:
    """The Python files that would be read, relative to the root, one a line."""
    request = session.request()
    below = request.paths_below()
    listing = discover(
        session.root,
        exclude=session.config.exclude,
        extend_exclude=session.config.extend_exclude,
        named=[path for path in below if (session.root / path).is_file()],
    )
    return "".join(f"{file.path}\n" for file in listing.python if not below or within(file.path, below))


def within(path: str, below: tuple[str, ...]) -> bool:
    """Whether a path is one of these, or in one of them."""
    return any(path == each or path.startswith(f"{each}/") for each in below)


def show_settings(config: Config) -> str:
    """Every setting with its value and where it comes from."""
    rows = [("root", str(config.root), "")]
    for field in fields(config):
        if field.name not in _NOT_SETTINGS:
            name = field.name.replace("_", "-")
            rows.append((name, _shown(getattr(config, field.name)), config.origins.get(name, "default")))
    rows.append(("rules", ", ".join(sorted(config.active)), _selection_origin(config)))
    for scope in config.scopes:
        where = " ".join([f"{scope.folder}/" if scope.folder else "", *scope.globs]).strip() or "everywhere"
        for label, codes in (("ignore", scope.ignore), ("restore", scope.restore)):
            if codes:
                rows.append((f"{label} in {where}", ", ".join(sorted(codes)), ""))
        rows += [(f"severity of {code} in {where}", level.label, "") for code, level in scope.severity.items()]
        rows += [(f"options of {code} in {where}", _shown(options), "") for code, options in scope.options.items()]
    return "".join(f"{name} = {value}{f'  # {origin}' if origin else ''}\n" for name, value, origin in rows)


def _selection_origin(config: Config) -> str:
    said = {config.origins[name] for name in ("select", "ignore", "extend-select", "rules") if name in config.origins}
    return ", ".join(sorted(said)) or "default"


def _shown(value: Any) -> str:
    if isinstance(value, IntEnum):
        return value.name.lower()
    if isinstance(value, tuple):
        return "[" + ", ".join(_shown(each) for each in value) + "]"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key} = {_shown(each)}" for key, each in value.items()) + "}"
    if isinstance(value, bool):
        return str(value).lower()
    return repr(str(value)) if isinstance(value, str | Path) else "auto" if value is None else str(value)


def show_profile(seconds: Mapping[str, float], registry: Registry) -> str:
    """CPU seconds by rule, the dearest first; rules that open whole files are marked."""
    rows = []
    for code, spent in sorted(seconds.items(), key=lambda item: -item[1]):
        rule = registry.rule(code)
        name = rule.name() if rule else ""
        whole = rule is not None and issubclass(rule, Rule) and rule.calls is None and not rule.mentions
        rows.append(f"{spent:8.3f} s  {code}  {name}{'  (opens whole files)' if whole else ''}")
    return "\n".join(rows)
