"""What is known of libraries: table rows with the user's on top, and which versions the project declares."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name

from mldebt.errors import ConfigurationError

if TYPE_CHECKING:
    from mldebt.project.project import Project
    from mldebt.rule import RowT, Table


class Knowledge:
    """Answers ``Project.rows`` and ``Project.declared``."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._rows: dict[int, tuple[Table[Any], Mapping[str, Any]]] = {}

    def declared(self, library: str) -> SpecifierSet | None:
        """All declared requirements of a distribution together; an assumed version wins."""
        name = canonicalize_name(library)
        assumed = self._project.options.assume.get(name)
        if assumed is not None:
            return SpecifierSet(f"=={assumed}")
        found: SpecifierSet | None = None
        for dependency in self._project.repository.dependencies:
            specifier = _specifier(dependency.specifier) if canonicalize_name(dependency.name) == name else None
            if specifier is not None:
                found = specifier if found is None else found & specifier
        return found

    def rows(self, table: Table[RowT]) -> Mapping[str, RowT]:
        """A table's rows by name. The table object is the key, and kept, so that its id stays its own."""
        known = self._rows.get(id(table))
        if known is None:
            known = self._rows[id(table)] = (table, {**table.rows, **self._own(table)})
        return known[1]

    def _own(self, table: Table[RowT]) -> dict[str, RowT]:
        try:
            rows = table.parse(self._project.options.knowledge.get(table.key, ()))
        except msgspec.ValidationError as error:
            raise ConfigurationError(f"knowledge.{table.key}: {error}") from error
        found = {}
        for row in rows:
            for name in self._project.linked(row.name) or (row.name,):
                found[name] = msgspec.structs.replace(row, name=name)
        return found


def _specifier(text: str) -> SpecifierSet | None:
    try:
        return SpecifierSet(text)
    except InvalidSpecifier:
        return None
