"""What a scan was told: the configuration, every rule in it known, and the request that carries it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct, field
from msgspec.structs import replace

from mldebt.errors import ConfigurationError
from mldebt.finding import Confidence, ScanError, Severity
from mldebt.settings.declaration import Declaration
from mldebt.settings.files import nested_declarations, passed_over
from mldebt.settings.scopes import Scope, scopes_of
from mldebt.settings.selectors import ALWAYS, RuleClass, Vocabulary

if TYPE_CHECKING:  # both stand above: a request only carries them
    from mldebt.baseline import Baseline
    from mldebt.sources.commits import Commit


class Config(Struct, frozen=True):
    """Everything that was configured, with defaults in the place of what was not.

    Args:
        active: Codes of the rules that run, the scan's own included; preview rules only with ``preview``.
        narrowed: The command line left out rules that would have run, so there is no score.
        severity: The least severity shown.
        confidence: The least confidence shown.
        fail_on: The least severity that makes the exit code 1.
        exclude: Globs instead of the default excludes; empty keeps those.
        library: Whether the repository is a library; None: to be found out.
        jobs: Processes; None: as many as pay.
        scopes: What holds for some files only, the weakest first.
        plugins: Rule files and folders that were loaded.
        origins: Setting names to the file that said it, for ``--show-settings``.
        files: The configuration files that were followed.
        notes: What the user should be told.
        errors: Configuration files of the repository that are broken, and were passed over.
    """

    root: Path
    active: frozenset[str] = frozenset()
    narrowed: bool = False
    severity: Severity = Severity.MINOR
    confidence: Confidence = Confidence.MEDIUM
    fail_on: Severity = Severity.MINOR
    preview: bool = False
    exclude: tuple[str, ...] = ()
    extend_exclude: tuple[str, ...] = ()
    knowledge: Mapping[str, tuple[Mapping[str, Any], ...]] = field(default_factory=dict)
    assume: Mapping[str, str] = field(default_factory=dict)
    library: bool | None = None
    single_file_implementations: bool = False
    experiment_dirs: tuple[str, ...] = ()
    jobs: int | None = None
    cache_dir: Path | None = None
    output_format: str = "text"
    isolated: bool = False
    scopes: tuple[Scope, ...] = ()
    plugins: tuple[Path, ...] = ()
    origins: Mapping[str, str] = field(default_factory=dict)
    files: tuple[Path, ...] = ()
    notes: tuple[str, ...] = ()
    errors: tuple[ScanError, ...] = ()
    vocabulary: Vocabulary = Vocabulary()

    def selects(self, rule: RuleClass | str) -> bool:
        """Whether a rule runs at all."""
        return _code(rule) in self.active

    def ignored(self, rule: RuleClass | str, path: str) -> bool:
        """Whether findings of a rule in a file are left out."""
        code, ignored = _code(rule), False
        for scope in self.scopes:
            if code in scope.ignore and scope.covers(path):
                ignored = True
            elif code in scope.restore and scope.covers(path):
                ignored = False
        return ignored

    def severity_of(self, rule: RuleClass | str, path: str) -> Severity | None:
        """The severity configured for a rule's findings in a file; None: the finding's own."""
        code = _code(rule)
        said = [scope.severity[code] for scope in self.scopes if code in scope.severity and scope.covers(path)]
        return said[-1] if said else None

    def options_for(self, rule: RuleClass | str, path: str = "") -> Mapping[str, Any]:
        """The options configured for a rule, ready for its constructor.

        Args:
            rule: The rule or its code.
            path: The file the rule looks at; without one, what holds for the whole repository.
        """
        code = _code(rule)
        options: dict[str, Any] = {}
        for scope in self.scopes:
            if code in scope.options and scope.covers(path):
                options |= scope.options[code]
        return options

    def with_nested(self, paths: Iterable[str]) -> Config:
        """The same with the configuration files below the root; one with a mistake is passed over, and in ``errors``.

        Args:
            paths: Every listed path, relative to the root.
        """
        if self.isolated:
            return self
        declarations, notes, errors = nested_declarations(self.root, paths)
        scopes = [scope for declaration in declarations for scope in self._scopes_below(declaration, errors)]
        return replace(
            self,
            scopes=(*self.scopes, *scopes),
            files=(*self.files, *(declaration.path for declaration in declarations)),
            notes=(*self.notes, *notes),
            errors=(*self.errors, *errors),
        )

    def _scopes_below(self, declaration: Declaration, errors: list[ScanError]) -> tuple[Scope, ...]:
        try:
            return tuple(scopes_of(declaration, self.vocabulary))
        except ConfigurationError as error:
            errors.append(passed_over(error))
            return ()

    def only(self, *selected: str) -> Config:
        """The same with these codes alone, preview rules included; broken files and rules are still reported."""
        return replace(self, active=ALWAYS.union(selected), narrowed=True, severity=Severity.INFO)

    @property
    def fingerprint(self) -> str:
        """Equal for two configurations under which a scan of the same files gives the same report."""
        neutral = replace(self, jobs=None, cache_dir=None, origins={}, files=(), vocabulary=Vocabulary())
        content = msgspec.json.encode(neutral, order="deterministic", enc_hook=str)
        return blake2b(content, digest_size=16).hexdigest()


class Request(Struct, frozen=True):
    """One scan, as asked for.

    Args:
        root: The repository; absolute.
        paths: What to report on, files or directories under the root; empty means all of it.
        config: The root's configuration; the pipeline adds nested files (``Config.with_nested``).
        jobs: Processes; None: as the configuration says, else as many as there are cores.
        cache_dir: Where facts are kept between scans.
        use_cache: Whether they are.
        stdin: A file's path relative to the root, and its content instead of what is on disk.
        overlay: Files' contents instead of what is on disk, by path; the project around them is as usual.
        mend: The report's findings carry their fixes.
        fix: Apply fixes, in memory: ``Outcome.changes`` has what they come to, and the report what is left.
        unsafe: Apply ``suggest`` fixes too.
        progress: Called with a stage's name, how much of it is done, and how much there is.
        profile: Measure rules and stages.
        baseline: Debt that is known, and no longer reported.
        base: The commit to compare with: what it holds already is not reported. Its id is empty before the first one.
        staged: Look at the index, not at what is on disk.
        force_exclude: Files named in ``paths`` are left out too where the configuration says so.
    """

    root: Path
    paths: tuple[Path, ...] = ()
    config: Config = field(default_factory=lambda: Config(Path()))
    jobs: int | None = None
    cache_dir: Path | None = None
    use_cache: bool = True
    stdin: tuple[str, bytes] | None = None
    overlay: Mapping[str, bytes] = field(default_factory=dict)
    mend: bool = False
    fix: bool = False
    unsafe: bool = False
    progress: Callable[[str, int, int], None] | None = None
    profile: bool = False
    force_exclude: bool = False
    baseline: Baseline | None = None
    base: Commit | None = None
    staged: bool = False

    def relative(self, path: Path) -> str:
        """A path as reports write it: relative to the root, with forward slashes; ``""`` is the root."""
        relative = path.relative_to(self.root).as_posix() if path.is_absolute() else path.as_posix()
        return "" if relative == "." else relative

    def paths_below(self) -> tuple[str, ...]:
        """The paths to report on, relative to the root; none when that is all of it."""
        below = tuple(sorted({self.relative(path) for path in self.paths}))
        return () if "" in below else below


def _code(rule: RuleClass | str) -> str:
    return rule if isinstance(rule, str) else rule.code
