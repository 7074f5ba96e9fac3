from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mldebt.config import Config, Request
from mldebt.configure import CommandLine, configure
from mldebt.errors import ConfigurationError, UsageError
from mldebt.finding import Confidence, ScanError, Severity
from mldebt.rule import Problem, ProjectRule
from mldebt.settings.files import read_settings
from mldebt.settings.lines import line_of
from mldebt.settings.selectors import ALWAYS, META, Vocabulary, choose


@dataclass(frozen=True)
class _Silent(ProjectRule):
    severity, confidence, minutes = Severity.MINOR, Confidence.HIGH, 5
    examples = ()

    @classmethod
    def family(cls) -> str:
        return {"4": "randomness", "5": "plain-data"}[cls.code[3]]

    def check(self, project: Any, /) -> Iterator[Problem]:
        yield from ()


@dataclass(frozen=True)
class Unseeded(_Silent):
    code = "MLD401"
    most: int = 3
    seeders: frozenset[str] = frozenset()
    ratio: float = 0.5

    @classmethod
    def name(cls) -> str:
        return "unseeded-run"


@dataclass(frozen=True)
class Reseeded(_Silent):
    code = "MLD404"

    @classmethod
    def name(cls) -> str:
        return "reseeded-run"


@dataclass(frozen=True)
class Magic(_Silent):
    code = "MLD502"

    @classmethod
    def name(cls) -> str:
        return "magic-column"


@dataclass(frozen=True)
class Trial(_Silent):
    code = "MLD509"
    preview = True

    @classmethod
    def name(cls) -> str:
        return "trial-rule"


RULES = (Unseeded, Reseeded, Magic, Trial)
NOTHING = CommandLine()
STABLE = frozenset({"MLD401", "MLD404", "MLD502"})


def configured(root: Path, text: str = "", line: CommandLine = NOTHING, **more: Any) -> Config:
    if text:
        (root / "mldebt.toml").write_text(dedent(text), encoding="utf-8")
    return configure(read_settings(root, **more), RULES, line)


def rules_of(config: Config) -> frozenset[str]:
    return config.active - frozenset(META)


def refusal(root: Path, text: str) -> ConfigurationError:
    with pytest.raises(ConfigurationError) as caught:
        configured(root, text)
    return caught.value


def test_without_files_the_defaults_hold(tmp_path: Path) -> None:
    config = configured(tmp_path)
    assert rules_of(config) == STABLE
    assert (config.severity, config.confidence, config.fail_on) == (Severity.MINOR, Confidence.MEDIUM, Severity.MINOR)
    assert (config.library, config.jobs, config.cache_dir, config.narrowed) == (None, None, None, False)


def test_every_key_can_be_said_in_pyproject(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(
        dedent(
            """
            [tool.mldebt]
            select = ["MLD4"]
            ignore = ["reseeded-run"]
            extend-select = ["plain-data"]
            severity = "major"
            confidence = "high"
            fail-on = "critical"
            preview = true
            exclude = ["third_party/"]
            extend-exclude = ["*.gen.py"]
            library = true
            single-file-implementations = true
            experiment-dirs = ["runs"]
            jobs = 2
            cache-dir = ".cache/mldebt"
            output-format = "concise"
            [tool.mldebt.assume]
            torch = "2.4"
            [[tool.mldebt.knowledge.seeders]]
            name = "acme.seed_all"
            """
        )
    )
    config = configured(tmp_path)
    assert rules_of(config) == {"MLD401", "MLD502", "MLD509"}
    assert (config.severity, config.confidence, config.fail_on) == (Severity.MAJOR, Confidence.HIGH, Severity.CRITICAL)
    assert (config.exclude, config.extend_exclude) == (("third_party/",), ("*.gen.py",))
    assert (config.library, config.single_file_implementations, config.experiment_dirs) == (True, True, ("runs",))
    assert (config.jobs, config.cache_dir, config.output_format) == (2, tmp_path / ".cache/mldebt", "concise")
    assert config.assume == {"torch": "2.4"}
    assert config.knowledge == {"seeders": ({"name": "acme.seed_all"},)}
    assert config.origins["severity"] == "pyproject.toml"


def test_the_own_file_wins_over_pyproject_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[tool.mldebt]\nseverity = "critical"\n')
    config = configured(tmp_path, 'severity = "info"')
    assert config.severity is Severity.INFO
    assert config.notes == ("pyproject.toml: [tool.mldebt] has no effect beside mldebt.toml",)


def test_a_pyproject_without_our_table_says_nothing(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.ruff]\nline-length = 99\n")
    assert configured(tmp_path).fingerprint == Config(tmp_path, active=STABLE | frozenset(META)).fingerprint


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("preview = true\nselct = []", 2, "unknown key 'selct'; did you mean 'select'?"),
        ("\npreview = 'yes'", 2, "preview: expected boolean, got string"),
        ("severity = 'majr'", 1, "severity: invalid value 'majr'; did you mean 'major'?"),
        ("jobs = 0", 1, "jobs: expected integer >= 1"),
        ("ignore = [\n  'MLD401',\n  'MLD4x1',\n]", 3, "ignore: unknown rule 'MLD4x1'; did you mean 'MLD401'?"),
        ("[rules.unseeded-runs]\nmost = 1", 1, "unknown rule 'unseeded-runs'; did you mean 'unseeded-run'?"),
        ("[rules.unseeded-run]\n\nmosst = 1", 3, "rule unseeded-run has no option 'mosst'; did you mean 'most'?"),
        ("[rules.unseeded-run]\nmost = 'x'", 2, "rules.unseeded-run.most: Expected int, got str"),
        ("[rules.unseeded-run]\nseverity = 'mayor'", 2, "did you mean 'major'?"),
        ("[rules]\nunseeded-run = 3", 2, "rules.unseeded-run: expected a table of options"),
        ("[per-file-ignores]\n'tests/**' = ['MLD9']", 2, "per-file-ignores: unknown rule 'MLD9'"),
        ("[per-file-ignores]\n'!tests' = ['MLD4']", 2, "'!tests' alone matches nothing"),
        ("[[overrides]]\nfiles = []\n[[overrides]]\nfile = ['x']", 4, "unknown key 'file'; did you mean 'files'?"),
        ("[[overrides]]\nignore = []", 1, "overrides.0: table missing required files"),
        ("[[overrides]]\nfiles = ['x']\nseverity = {magic = 'info'}", 3, "did you mean 'magic-column'?"),
        ("[tool.mldebt]\npreview = true", 1, "settings stand at the top of this file, without [tool.mldebt]"),
        ("cache-dir = '/var/cache'", 1, "cache-dir: '/var/cache' lies outside of the repository"),
        ("cache-dir = '../shared'", 1, "cache-dir: '../shared' lies outside of the repository"),
        ("exclude = ['a**********************b']", 1, "too many *"),
    ],
)
def test_mistakes_name_file_line_and_the_nearest_word(tmp_path: Path, text: str, line: int, words: str) -> None:
    error = refusal(tmp_path, text)
    assert words in str(error)
    assert str(error).startswith(f"mldebt.toml:{line}: ")


def test_a_mistake_in_pyproject_is_found_under_its_table(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(
        '[project]\nname = "x"\n[tool.other]\nprevew = 1\n[tool.mldebt]\nprevew = 1\n'
    )
    with pytest.raises(ConfigurationError, match=r"^pyproject.toml:6: unknown key 'prevew'; did you mean 'preview'\?$"):
        configured(tmp_path)


@pytest.mark.parametrize(
    ("content", "line", "words"),
    [
        (b"[project]\nname = \n", 2, "not valid TOML: Invalid value"),
        (b"a = 1\nb = [1,\n", 2, "not valid TOML"),
        (b"a = 1\n# caf\xe9\n", 2, "not UTF-8"),
        (b"a = " + b"[" * 100_000, 1, "not valid TOML"),
        (b"#" * ((1 << 20) + 1), 1, "too big for a configuration file"),
    ],
)
def test_a_broken_pyproject_of_the_repository_is_reported_and_passed_over(
    tmp_path: Path, content: bytes, line: int, words: str
) -> None:
    (tmp_path / "pyproject.toml").write_bytes(content)
    config = configured(tmp_path)
    assert rules_of(config) == STABLE
    (error,) = config.errors
    assert (error.code, error.path, error.line) == ("MLD001", "pyproject.toml", line)
    assert error.message.startswith(words)


def test_a_broken_file_named_by_the_user_ends_the_scan(tmp_path: Path) -> None:
    file = tmp_path / "ours.toml"
    file.write_text("select = [\n\n")
    with pytest.raises(ConfigurationError, match=r"ours.toml:\d+: not valid TOML"):
        configured(tmp_path, file=file)
    with pytest.raises(ConfigurationError, match=r"missing\.toml: no such file"):
        configured(tmp_path, file=tmp_path / "missing.toml")


def test_a_configuration_is_not_read_through_a_link_out_of_the_root(tmp_path: Path) -> None:
    root = tmp_path / "repository"
    root.mkdir()
    (tmp_path / "secret.toml").write_text("preview = true")
    (root / "mldebt.toml").symlink_to(tmp_path / "secret.toml")
    config = configured(root)
    assert not config.preview
    assert config.errors == (ScanError("MLD001", "mldebt.toml", 1, "links to a file outside of the repository"),)


def test_a_cache_directory_that_links_out_of_the_root_is_refused(tmp_path: Path) -> None:
    root = tmp_path / "repository"
    root.mkdir()
    (root / "cache").symlink_to(tmp_path)
    assert "lies outside of the repository" in str(refusal(root, "cache-dir = 'cache/x'"))


def test_a_named_file_stands_in_the_place_of_the_repositorys(tmp_path: Path) -> None:
    (tmp_path / "strict.toml").write_text("cache-dir = '../elsewhere'\n[per-file-ignores]\n'a/*.py' = ['MLD401']")
    config = configured(tmp_path, "preview = true", file=tmp_path / "strict.toml")
    assert not config.preview
    assert config.cache_dir == tmp_path / "../elsewhere"
    assert config.ignored("MLD401", "a/b.py")


def test_isolated_reads_nothing_at_all(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/mldebt.toml").write_text("ignore = ['ALL']")
    config = configured(tmp_path, "preview = true", isolated=True).with_nested(["sub/mldebt.toml"])
    assert not config.preview
    assert not config.ignored("MLD401", "sub/x.py")


@pytest.mark.parametrize(
    ("selector", "codes"),
    [
        ("MLD401", {"MLD401"}),
        ("mld401", {"MLD401"}),
        ("MLD4", {"MLD401", "MLD404"}),
        ("MLD", STABLE | {"MLD509"} | set(META)),
        ("unseeded-run", {"MLD401"}),
        ("randomness", {"MLD401", "MLD404"}),
        ("plain-data", {"MLD502", "MLD509"}),
        ("plain_data", {"MLD502", "MLD509"}),
        ("ALL", STABLE | {"MLD509"} | set(META)),
        ("unused-waiver", {"MLD002"}),
    ],
)
def test_selectors(selector: str, codes: set[str]) -> None:
    assert Vocabulary.of(RULES).expand(selector) == codes


def test_an_unknown_selector_on_the_command_line_names_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"unknown rule 'unseded-run'; did you mean 'unseeded-run'\?"):
        configured(tmp_path, line=CommandLine(select=("unseded-run",)))


@pytest.mark.parametrize(
    ("text", "line", "rules"),
    [
        ("select = ['MLD4']", CommandLine(), {"MLD401", "MLD404"}),
        ("select = ['MLD4']\nignore = ['MLD404']", CommandLine(), {"MLD401"}),
        ("select = ['MLD404']\nignore = ['MLD4']", CommandLine(), {"MLD404"}),
        ("ignore = ['ALL']", CommandLine(), set()),
        ("select = ['MLD5']", CommandLine(extend_select=("MLD401",)), {"MLD401", "MLD502"}),
        ("select = ['MLD401']", CommandLine(ignore=("MLD4",)), set()),
        ("ignore = ['MLD401']", CommandLine(select=("MLD4",)), {"MLD401", "MLD404"}),
        ("[rules.reseeded-run]\nenabled = false", CommandLine(), {"MLD401", "MLD502"}),
        ("select = ['MLD5']\n[rules.MLD401]\nenabled = true", CommandLine(), {"MLD401", "MLD502"}),
        ("", CommandLine(select=("MLD5",), preview=True), {"MLD502", "MLD509"}),
        ("preview = true", CommandLine(select=("MLD5",), preview=False), {"MLD502"}),
    ],
)
def test_which_rules_run(tmp_path: Path, text: str, line: CommandLine, rules: set[str]) -> None:
    assert rules_of(configured(tmp_path, text, line)) == rules


def test_a_preview_rule_asked_for_by_name_does_not_run_in_silence(tmp_path: Path) -> None:
    config = configured(tmp_path, line=CommandLine(select=("trial-rule",)))
    assert rules_of(config) == frozenset()
    assert config.notes == ("MLD509 trial-rule is a preview rule and runs only with --preview",)


def test_unreadable_files_and_crashes_are_hidden_by_name_only(tmp_path: Path) -> None:
    assert configured(tmp_path, line=CommandLine(select=("MLD4",))).active >= ALWAYS
    assert not configured(tmp_path, line=CommandLine(ignore=("MLD001",))).selects("MLD001")


def test_only_the_command_line_narrows_the_score(tmp_path: Path) -> None:
    assert not configured(tmp_path, "ignore = ['MLD404']").narrowed
    assert not configured(tmp_path, line=CommandLine(ignore=("MLD404",))).narrowed
    assert configured(tmp_path, line=CommandLine(ignore=("MLD4",))).narrowed
    assert configured(tmp_path, line=CommandLine(select=("MLD5",))).narrowed
    assert not configured(tmp_path, line=CommandLine(select=("ALL",), preview=True)).narrowed


def test_the_command_line_wins_over_the_file(tmp_path: Path) -> None:
    line = CommandLine(severity=Severity.INFO, confidence=Confidence.MEDIUM, fail_on=Severity.MAJOR, jobs="auto")
    config = configured(tmp_path, "severity='major'\nconfidence='high'\nfail-on='critical'\njobs=7", line)
    assert (config.severity, config.confidence, config.fail_on) == (Severity.INFO, Confidence.MEDIUM, Severity.MAJOR)
    assert config.jobs is None
    assert config.origins["severity"] == "command line"


def test_what_makes_a_scan_fail_is_shown(tmp_path: Path) -> None:
    assert configured(tmp_path, line=CommandLine(fail_on=Severity.INFO)).severity is Severity.INFO
    assert configured(tmp_path, line=CommandLine(fail_on=Severity.CRITICAL)).severity is Severity.MINOR


SCOPED = """
    [per-file-ignores]
    "tests/**" = ["randomness"]
    "*.ipynb" = ["MLD502"]
    [rules.unseeded-run]
    severity = "critical"
    most = 5
    seeders = ["acme.seed"]
    [[overrides]]
    files = ["research/**", "!research/serious.py"]
    ignore = ["magic-column"]
    severity = { MLD401 = "info" }
    [overrides.rules.unseeded-run]
    most = 9
    [overrides.rules.reseeded-run]
    enabled = false
"""


@pytest.mark.parametrize(
    ("code", "path", "ignored"),
    [
        ("MLD401", "tests/x.py", True),
        ("MLD401", "sub/tests/x.py", False),
        ("MLD502", "sub/eda.ipynb", True),
        ("MLD502", "research/a/b.py", True),
        ("MLD502", "research/serious.py", False),
        ("MLD404", "research/b.py", True),
        ("MLD404", "train.py", False),
    ],
)
def test_ignores_by_file(tmp_path: Path, code: str, path: str, ignored: bool) -> None:
    assert configured(tmp_path, SCOPED).ignored(code, path) is ignored


def test_severities_and_options_by_file(tmp_path: Path) -> None:
    config = configured(tmp_path, SCOPED)
    assert config.severity_of(Unseeded, "train.py") is Severity.CRITICAL
    assert config.severity_of(Unseeded(), "research/a.py") is Severity.INFO
    assert config.severity_of(Magic, "train.py") is None
    assert Unseeded(**config.options_for(Unseeded)) == Unseeded(most=5, seeders=frozenset({"acme.seed"}))
    assert config.options_for("MLD401", "research/a.py")["most"] == 9
    assert config.options_for(Reseeded, "research/a.py") == {}


def test_a_file_below_the_root_changes_only_what_is_below_it(tmp_path: Path) -> None:
    for name, text in {
        "lab/mldebt.toml": "ignore = ['MLD5']\nseverity = 'info'\n[rules.unseeded-run]\nmost = 1\nseverity = 'info'\n"
        "[per-file-ignores]\n'old/*.py' = ['MLD4']",
        "lab/new/pyproject.toml": "[tool.mldebt.rules.magic-column]\nenabled = true",
        "other/pyproject.toml": "[tool.mldebt\n",
        "quiet/pyproject.toml": "not about us and not TOML",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    paths = [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.toml")]
    config = configured(tmp_path, "[rules.unseeded-run]\nmost = 7").with_nested(paths)
    assert config.ignored("MLD502", "lab/a.py")
    assert not config.ignored("MLD502", "lab/new/a.py")
    assert not config.ignored("MLD502", "laboratory/a.py")
    assert config.ignored("MLD401", "lab/old/a.py")
    assert not config.ignored("MLD401", "old/a.py")
    assert (config.options_for("MLD401", "lab/a.py"), config.options_for("MLD401")) == ({"most": 1}, {"most": 7})
    assert config.severity is Severity.MINOR
    assert config.notes == ("lab/mldebt.toml: severity: no effect below the root",)
    assert [(error.path, error.line) for error in config.errors] == [("other/pyproject.toml", 1)]


def test_a_mistake_below_the_root_is_reported_and_its_file_passed_over(tmp_path: Path) -> None:
    for folder, text in {"a": "\nignore = ['MLD401', 'MLD4O1']", "b": "selct = []", "c": "ignore = ['MLD401']"}.items():
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "mldebt.toml").write_text(text)
    config = configured(tmp_path).with_nested(["a/mldebt.toml", "b/mldebt.toml", "c/mldebt.toml"])
    assert [(error.path, error.line, error.message) for error in config.errors] == [
        ("b/mldebt.toml", 1, "unknown key 'selct'; did you mean 'select'?"),
        ("a/mldebt.toml", 2, "ignore: unknown rule 'MLD4O1'; did you mean 'MLD401'?"),
    ]
    assert not config.ignored("MLD401", "a/x.py")
    assert config.ignored("MLD401", "c/x.py")


def test_a_repository_may_not_load_code(tmp_path: Path) -> None:
    text = "plugins = ['tools/rules']"
    config = configured(tmp_path, text)
    assert config.plugins == ()
    assert config.notes == ("mldebt.toml: plugins not loaded without --trust-plugins: tools/rules",)
    assert configured(tmp_path, text, trust_plugins=True).plugins == (tmp_path / "tools/rules",)
    with pytest.raises(ConfigurationError, match="outside of the repository"):
        configured(tmp_path, "plugins = ['../rules']", trust_plugins=True)


def test_the_users_own_file_may_load_code_and_not_choose_rules(tmp_path: Path) -> None:
    user, root = tmp_path / "home/config.toml", tmp_path / "repository"
    user.parent.mkdir()
    root.mkdir()
    user.write_text("plugins = ['rules']\njobs = 3\noutput-format = 'concise'")
    config = configured(root, "jobs = 2", user_file=user)
    assert (config.plugins, config.jobs, config.output_format) == ((tmp_path / "home/rules",), 2, "concise")
    user.write_text("\nselect = ['MLD4']")
    with pytest.raises(ConfigurationError, match=r"config.toml:2: select belongs in a repository's configuration"):
        configured(root, user_file=user)


def test_the_fingerprint_tells_what_changes_reports_and_nothing_else(tmp_path: Path) -> None:
    plain = configured(tmp_path)
    assert plain.fingerprint == configured(tmp_path, line=CommandLine(jobs=4, cache_dir=tmp_path)).fingerprint
    different = {
        configured(tmp_path, line=CommandLine(ignore=("MLD4",))).fingerprint,
        configured(tmp_path, line=CommandLine(severity=Severity.INFO)).fingerprint,
        configured(tmp_path, SCOPED).fingerprint,
        configured(tmp_path, SCOPED.replace("most = 9", "most = 8")).fingerprint,
    }
    assert len(different | {plain.fingerprint}) == 5


def test_a_request_writes_paths_as_reports_do(tmp_path: Path) -> None:
    request = Request(tmp_path, (tmp_path / "b", tmp_path / "a/c.py"))
    assert request.paths_below() == ("a/c.py", "b")
    assert Request(tmp_path, (tmp_path, tmp_path / "b")).paths_below() == ()


words = st.sampled_from(["ALL", "MLD", "MLD4", "MLD40", "MLD401", "MLD404", "reseeded-run", "randomness", "plain-data"])


@given(select=st.lists(words), ignore=st.lists(words))
def test_the_order_of_selectors_does_not_matter(select: list[str], ignore: list[str]) -> None:
    vocabulary = Vocabulary.of(RULES)
    chosen = choose(frozenset(), vocabulary, select, (), ignore)
    assert chosen == choose(frozenset(), vocabulary, select[::-1], (), ignore[::-1])
    assert chosen <= vocabulary.codes
    if not ignore:
        assert chosen == frozenset().union(*map(vocabulary.expand, select))


keys = st.lists(st.sampled_from(["tool", "mldebt", "rules", "a.b", "é"]), max_size=4)


@given(text=st.text(alphabet="[]=.\"'#ab\n toolmldebt", max_size=60), keys=keys)
def test_looking_for_a_line_never_fails(text: str, keys: list[str]) -> None:
    line = line_of(text, tuple(keys), "a")
    assert line is None or 1 <= line <= len(text.splitlines())
