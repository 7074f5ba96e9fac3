"""pyproject.toml and Pipfile: [project], dependency groups, Poetry, and where build back ends find packages."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator

from mldebt.sources.artefacts import Dependency, EntryPoint
from mldebt.sources.configs import TomlText, element_lines, line_starts
from mldebt.sources.manifests import Manifest, normal_name, requirement

_MANDATORY = frozenset({"", "main"})


def read_pyproject(toml: TomlText, path: str) -> Manifest:
    """Read what a pyproject.toml declares; a value of an unexpected type counts as absent."""
    project, poetry = _table(toml.values, "project"), _table(toml.values, "tool", "poetry")
    poetry_python = _table(poetry, "dependencies").get("python")
    requires = project.get("requires-python", poetry_python)
    name = project.get("name", poetry.get("name"))
    packages, find_in = _packages(toml)
    find = _table(toml.values, "tool", "setuptools", "packages", "find")
    package_mode = poetry.get("package-mode", True) is not False
    return Manifest(
        path,
        name=name if isinstance(name, str) else None,
        requires_python=requires if isinstance(requires, str) else None,
        installable="name" in project or ("name" in poetry and package_mode),
        packages=packages,
        find_in=find_in,
        include=tuple(_strings(find.get("include"))),
        exclude=tuple(_strings(find.get("exclude"))),
        dependencies=tuple(_dependencies(toml, path)),
        entry_points=tuple(_entry_points(toml, path)),
        problems=(toml.problem,) if toml.problem else (),
    )


def read_pipfile(toml: TomlText, path: str) -> Manifest:
    """Read the packages of a Pipfile."""
    found = [*_poetry_table(toml, path, ("packages",), ""), *_poetry_table(toml, path, ("dev-packages",), "dev")]
    return Manifest(path, dependencies=tuple(found), problems=(toml.problem,) if toml.problem else ())


def _table(values: object, *keys: str) -> dict[str, object]:
    for key in keys:
        values = values.get(key) if isinstance(values, dict) else None
    return values if isinstance(values, dict) else {}


def _strings(value: object) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def _dependencies(toml: TomlText, path: str) -> Iterator[Dependency]:
    project = _table(toml.values, "project")
    yield from _listed(toml, path, project.get("dependencies"), ("project", "dependencies"), "")
    for keys in (("project", "optional-dependencies"), ("dependency-groups",), ("tool", "pdm", "dev-dependencies")):
        for group, listed in _table(toml.values, *keys).items():
            yield from _listed(toml, path, listed, (*keys, group), group)
    uv = _table(toml.values, "tool", "uv").get("dev-dependencies")
    yield from _listed(toml, path, uv, ("tool", "uv", "dev-dependencies"), "dev")
    yield from _poetry_table(toml, path, ("tool", "poetry", "dependencies"), "")
    yield from _poetry_table(toml, path, ("tool", "poetry", "dev-dependencies"), "dev")
    for group in _table(toml.values, "tool", "poetry", "group"):
        yield from _poetry_table(toml, path, ("tool", "poetry", "group", group, "dependencies"), group)


def _listed(toml: TomlText, path: str, value: object, keys: tuple[str, ...], group: str) -> Iterator[Dependency]:
    listed = value if isinstance(value, list) else []
    lines = element_lines(toml.text, line_starts(toml.text), listed, toml.line(*keys)) if listed else []
    for item, line in zip(listed, lines, strict=False):
        if isinstance(item, str) and (dependency := requirement(item, path, line, group)):
            yield dependency


def _poetry_table(toml: TomlText, path: str, keys: tuple[str, ...], group: str) -> Iterator[Dependency]:
    for name, value in _table(toml.values, *keys).items():
        if name == "python":
            continue
        version = value.get("version", "") if isinstance(value, dict) else value
        version = version if isinstance(version, str) and version != "*" else ""
        optional = isinstance(value, dict) and value.get("optional") is True
        extra = "optional" if optional and not group else group
        yield Dependency(normal_name(name), version, path, toml.line(*keys, name), extra)


def _entry_points(toml: TomlText, path: str) -> Iterator[EntryPoint]:
    tables: list[tuple[tuple[str, ...], str]] = [
        (("project", "scripts"), "console_scripts"),
        (("project", "gui-scripts"), "gui_scripts"),
        (("tool", "poetry", "scripts"), "console_scripts"),
    ]
    plugins: tuple[tuple[str, ...], ...] = (("project", "entry-points"), ("tool", "poetry", "plugins"))
    for keys in plugins:
        tables += [((*keys, group), group) for group in _table(toml.values, *keys)]
    for keys, group in tables:
        for name, value in _table(toml.values, *keys).items():
            target = value.get("callable", value.get("reference")) if isinstance(value, dict) else value
            if isinstance(target, str):
                target = target.partition("[")[0].replace(" ", "")
                yield EntryPoint(group, name, target, path, toml.line(*keys, name))


def _packages(toml: TomlText) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The declared package directories, and the directories whose packages are all declared."""
    setuptools, find = _table(toml.values, "tool", "setuptools"), _table(toml.values, "tool", "setuptools", "packages")
    renamed = _table(setuptools, "package-dir")
    if isinstance(setuptools.get("packages"), list):
        source = renamed.get("")
        base = source if isinstance(source, str) else ""
        names = _strings(setuptools["packages"])
        return tuple(_renamed(name, renamed, base) for name in names), ()
    if "find" in find:
        return (), tuple(_strings(_table(find, "find").get("where"))) or (".",)
    if hatch := _strings(_table(toml.values, "tool", "hatch", "build", "targets", "wheel").get("packages")):
        return tuple(hatch), ()
    module = _table(toml.values, "tool", "flit", "module").get("name")
    if isinstance(module, str):
        return (module, f"src/{module}"), ()
    declared = _table(toml.values, "tool", "poetry").get("packages")
    found = []
    for item in declared if isinstance(declared, list) else []:
        if isinstance(item, dict) and isinstance(item.get("include"), str):
            source = item.get("from", "")
            found.append(posixpath.join(source if isinstance(source, str) else "", item["include"]))
    return tuple(found), ()


def _renamed(name: str, renamed: dict[str, object], base: str) -> str:
    """The directory of a package under setuptools' ``package-dir``: the longest parent that is listed wins."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        directory = renamed.get(".".join(parts[:length]))
        if isinstance(directory, str):
            return posixpath.join(directory, *parts[length:])
    return posixpath.join(base, *parts)
