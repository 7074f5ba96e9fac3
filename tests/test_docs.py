"""The documentation: it builds without a warning, every rule has its page, and what it shows is true."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from mldebt.cli.completion import SHELLS
from mldebt.configure import configure
from mldebt.registry import installed
from mldebt.settings.files import read_settings
from mldebt.settings.formats import FORMATS
from mldebt.settings.selectors import META

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built pages."""
    built = tmp_path_factory.mktemp("site")
    script = Path(sys.executable).with_name("mkdocs")
    done = subprocess.run(
        [str(script), "build", "--strict", "--site-dir", str(built)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    return built


def test_every_rule_has_its_page(site: Path) -> None:
    named = {rule.code: rule.name() for rule in installed().rules} | {code: name for code, (name, _) in META.items()}
    assert {page.stem for page in (site / "rules").glob("MLD*.html")} == {f"{c}-{name}" for c, name in named.items()}
    index = (site / "rules/index.html").read_text(encoding="utf-8")
    assert all(f'href="{code}-{name}.html"' in index for code, name in named.items())


def test_a_rules_page_says_what_the_rule_says(site: Path) -> None:
    page = (site / "rules/MLD404-unseeded-sklearn-object.html").read_text(encoding="utf-8")
    assert "Why it is debt" in page
    assert "How to pay it back" in page
    assert "<code" in page


def test_pages_fetch_nothing_from_elsewhere(site: Path) -> None:
    for page in site.rglob("*.html"):
        fetched = re.findall(r'<(?:script|link|img)[^>]+(?:src|href)="(https?:)?//', page.read_text(encoding="utf-8"))
        assert not fetched, page.name


def test_no_generated_page_is_committed() -> None:
    assert not (DOCS / "rules").exists()


def test_the_page_of_formats_names_them_all() -> None:
    text = (DOCS / "formats.md").read_text(encoding="utf-8")
    assert {name for name in FORMATS if f"`{name}`" not in text} == set()


def test_the_page_of_shells_names_them_all() -> None:
    text = (DOCS / "server.md").read_text(encoding="utf-8")
    assert all(f"mldebt completion {shell}" in text for shell in SHELLS)


def test_the_settings_shown_are_settings(tmp_path: Path) -> None:
    (block,) = re.findall(r"```toml\n(.*?)```", (DOCS / "scan.md").read_text(encoding="utf-8"), re.DOTALL)
    (tmp_path / "pyproject.toml").write_text(block)
    config = configure(read_settings(tmp_path), installed().rules)
    assert config.ignored("MLD401", "notebooks/a.ipynb")
    assert config.severity_of("MLD401", "train.py") is not None
