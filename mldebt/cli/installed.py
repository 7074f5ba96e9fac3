"""The settings files of a repository, and the rules there are in it: what commands need that scan nothing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import platformdirs

from mldebt.registry import Registry, installed, with_files
from mldebt.settings.files import Settings, read_settings
from mldebt.sources.discover import find_root


def registered(given: Mapping[str, Any]) -> Registry:
    """The rules there are in the repository around the working directory, for commands that scan nothing."""
    return registry_of(settings_of(find_root((), given.get("root"), Path.cwd()), given))


def settings_of(root: Path, given: Mapping[str, Any]) -> Settings:
    return read_settings(
        root,
        given.get("config"),
        isolated=given.get("isolated", False),
        trust_plugins=given.get("trust_plugins", False),
        user_file=platformdirs.user_config_path("mldebt", appauthor=False) / "config.toml",
    )


def registry_of(settings: Settings) -> Registry:
    return with_files(settings.plugins) if settings.plugins else installed()
