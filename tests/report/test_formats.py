"""Every format: the same bytes as ever, what its own readers make of it, and what hostile names do to it."""

from __future__ import annotations

import importlib
import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import xmlschema
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft4Validator, Draft202012Validator
from msgspec.structs import replace

from mldebt.finding import Confidence, Finding, Place, ScanError, Severity, Span
from mldebt.report.result import Report
from mldebt.report.snippet import printable
from mldebt.settings.formats import FORMATS

HERE = Path(__file__).parent
# Read back by the parsers below, which are written after the readers' own sources.
Row = tuple[str, int, str]


def rendered(report: Report, name: str) -> str:
    form = FORMATS[name]
    module = importlib.import_module(form.module)
    text: str = module.render(report, color=False, width=80) if form.drawn else module.render(report)
    return text


def schema(name: str) -> Any:
    return json.loads((HERE / "schemas" / name).read_text(encoding="utf-8"))


def unquoted(uri: str) -> str:
    return re.sub(rb"%([0-9A-F]{2})", lambda m: bytes([int(m[1], 16)]), uri.encode()).decode("utf-8", "surrogateescape")


def read_sarif(text: str) -> list[Row]:
    log = json.loads(text)
    Draft4Validator(schema("sarif-2.1.0.json")).validate(log)
    rows = []
    for result in log["runs"][0]["results"]:
        if "suppressions" not in result:
            location = result["locations"][0]["physicalLocation"]
            message = result["message"]["text"].partition("\nSee: ")[0]
            rows.append((unquoted(location["artifactLocation"]["uri"]), location["region"]["startLine"], message))
    return rows


def read_github(text: str) -> list[Row]:
    """As ``ActionCommand.TryParseV2`` of actions/runner: the first ``::`` after the properties ends them."""
    rows = []
    for line in lines(text):
        command, properties, data = re.fullmatch(r"::(\w+) (.*?)::(.*)", line).groups()  # type: ignore[union-attr]
        assert command in {"error", "warning", "notice"}
        values = dict(each.split("=", 1) for each in properties.split(","))
        for code, character in (("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ","), ("%25", "%")):
            values = {name: value.replace(code, character) for name, value in values.items()}
            if code not in ("%3A", "%2C"):
                data = data.replace(code, character)
        rows.append((values.get("file", ""), int(values.get("line", 0)), data))
    return rows


def read_azure(text: str) -> list[Row]:
    """As ``Command.TryParse`` of the Azure Pipelines agent."""
    rows = []
    for line in lines(text):
        properties, data = re.fullmatch(r"##vso\[task\.logissue ([^\]]*)\](.*)", line).groups()  # type: ignore[union-attr]
        values = dict(each.split("=", 1) for each in properties.rstrip(";").split(";"))
        assert values["type"] in {"error", "warning"}
        for code, character in (("%3B", ";"), ("%0D", "\r"), ("%0A", "\n"), ("%5D", "]"), ("%AZP25", "%")):
            values = {name: value.replace(code, character) for name, value in values.items()}
            if code not in ("%3B", "%5D"):
                data = data.replace(code, character)
        rows.append((values.get("sourcepath", ""), int(values.get("linenumber", 0)), data))
    return rows


def read_gitlab(text: str) -> list[Row]:
    issues = json.loads(text)
    Draft202012Validator(schema("gitlab.json")).validate(issues)
    fingerprints = [issue["fingerprint"] for issue in issues]
    assert len(set(fingerprints)) == len(fingerprints)
    rows = []
    for issue in issues:
        location = issue["location"]
        line = location["positions"]["begin"]["line"] if "positions" in location else location["lines"]["begin"]
        rows.append((location["path"], line, issue["description"].removeprefix(f"{issue['check_name']} ")))
    return rows


def read_junit(text: str) -> list[Row]:
    root = ElementTree.fromstring(text)
    rows = []
    for suite in root.findall("testsuite"):
        assert int(suite.attrib["tests"]) == len(suite.findall("testcase"))
        for case in suite.findall("testcase"):
            failure = case.find("failure") if case.find("failure") is not None else case.find("error")
            if failure is not None:
                rows.append((suite.attrib["name"], int(case.attrib.pop("line")), failure.attrib["message"]))
                case.attrib.pop("column", None)
    xmlschema.XMLSchema(HERE / "schemas/junit-10.xsd").validate(root)
    return rows


def read_checkstyle(text: str) -> list[Row]:
    root = ElementTree.fromstring(text)
    assert root.tag == "checkstyle"
    rows = []
    for file in root:
        for error in file:
            assert error.attrib["severity"] in {"error", "warning", "info"}
            rows.append((file.attrib["name"], int(error.attrib["line"]), error.attrib["message"]))
    return rows


def read_diagnostics(diagnostics: list[Any]) -> list[Row]:
    rows = []
    for each in diagnostics:
        assert each["severity"] in {"ERROR", "WARNING", "INFO"}
        rows.append((each["location"]["path"], each["location"]["range"]["start"]["line"], each["message"]))
    return rows


def read_rdjson(text: str) -> list[Row]:
    result = json.loads(text)
    Draft4Validator(schema("rdjson.json")).validate(result)
    return read_diagnostics(result["diagnostics"])


def read_rdjsonl(text: str) -> list[Row]:
    diagnostics = [json.loads(line) for line in text.splitlines()]
    Draft4Validator(schema("rdjson.json")).validate({"diagnostics": diagnostics})
    return read_diagnostics(diagnostics)


def read_sonar(text: str) -> list[Row]:
    values = json.loads(text)
    Draft202012Validator(schema("sonar.json")).validate(values)
    assert {issue["ruleId"] for issue in values["issues"]} <= {rule["id"] for rule in values["rules"]}
    rows = []
    for issue in values["issues"]:
        place = issue["primaryLocation"]
        span = place["textRange"]
        if "startColumn" in span:
            assert (span["startLine"], span["startColumn"]) < (span["endLine"], span["endColumn"])
        rows.append((place["filePath"], span["startLine"], place["message"]))
    return rows


def read_pylint(text: str) -> list[Row]:
    """As flake8's and pylint's readers do: the regular expression of Jenkins' warnings plug-in."""
    found = [re.fullmatch(r"(?P<file>.+?):(?P<line>\d+): \[(?P<code>\w+)\] (?P<text>.*)", line) for line in lines(text)]
    return [(match["file"], int(match["line"]), match["text"]) for match in found if match]


def read_grouped(text: str) -> list[Row]:
    rows, path = list[Row](), ""
    for line in lines(text):
        match = re.fullmatch(r"  (\d+):\d+ +\w+ +MLD\d{3}  (.*)", line)
        if match:
            rows.append((path, int(match[1]), match[2]))
        elif line:
            path = line.removesuffix(":")
    return rows


def read_json_lines(text: str) -> list[Row]:
    values = [json.loads(line) for line in lines(text)]
    return [(each["path"], each["line"], each["message"]) for each in values if "suppression" not in each]


def lines(text: str) -> list[str]:
    return text.split("\n")[:-1]


READERS: dict[str, Callable[[str], list[Row]]] = {
    "sarif": read_sarif,
    "github": read_github,
    "azure": read_azure,
    "gitlab": read_gitlab,
    "junit": read_junit,
    "checkstyle": read_checkstyle,
    "rdjson": read_rdjson,
    "rdjsonl": read_rdjsonl,
    "sonar": read_sonar,
    "pylint": read_pylint,
    "grouped": read_grouped,
    "json-lines": read_json_lines,
}
FOR_PEOPLE = {"text", "concise", "json", "markdown"}  # with tests of their own
SHOWS_PICTURES = {"pylint", "grouped"}  # one line each, so a newline in a name is a picture of one


def test_every_format_is_tested() -> None:
    assert set(READERS) | FOR_PEOPLE == set(FORMATS)
    assert {path.stem for path in (HERE / "golden").iterdir()} == set(FORMATS)


@pytest.mark.parametrize("name", FORMATS)
def test_the_same_bytes_as_ever(name: str, whole: Report) -> None:
    """``UPDATE_GOLDEN=1 pytest tests/report`` writes them anew; read the diff."""
    golden = HERE / "golden" / f"{name}.txt"
    # Without the score: it stands on reference values, which are fitted anew now and then.
    text = rendered(replace(whole, score=None, score_reason="partial"), name)
    if os.environ.get("UPDATE_GOLDEN"):
        golden.write_text(text, encoding="utf-8")
    assert text == golden.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", READERS)
def test_any_order_of_findings_gives_the_same_bytes(name: str, whole: Report) -> None:
    shuffled = replace(whole, findings=whole.findings[::-1], errors=whole.errors[::-1])
    assert rendered(shuffled, name) == rendered(whole, name)


@pytest.mark.parametrize("name", READERS)
def test_every_finding_and_error_is_there_at_its_line_on_disk(name: str, whole: Report) -> None:
    expected = {(one.place.path, whole.physical(one.place.path, one.place.span.line)) for one in whole.findings}
    expected |= {(error.path, error.line) for error in whole.errors}
    assert ("explore.ipynb", 50) in expected
    assert {(path, line) for path, line, _ in READERS[name](rendered(whole, name))} == expected


@pytest.mark.parametrize("name", sorted(set(READERS) - {"json-lines"}))
def test_a_notebook_finding_says_its_cell(name: str, whole: Report) -> None:
    (message,) = (message for path, _, message in READERS[name](rendered(whole, name)) if path == "explore.ipynb")
    assert message == "train_test_split draws a new split on every run. [cell 3 (a1b2), line 2]"


@pytest.mark.parametrize("name", READERS)
def test_nothing_found_is_still_a_document(name: str) -> None:
    assert READERS[name](rendered(Report(root="/r", version="0"), name)) == []


PATH = 'a,b:c%d\n<e>&"f;]]>::é𝛼/g h.py'
MESSAGE = 'x,y:z%25\nw<v>&"u;]]>::é𝛼 ]t'


def hostile(report: Report, path: str, message: str) -> Report:
    one = replace(report.findings[0], place=Place(path, Span(2, 3, 2, 5)), message=message, related=())
    return replace(report, findings=(one,), errors=(), waived=())


@pytest.mark.parametrize("name", READERS)
def test_no_name_or_message_escapes_its_field(name: str, report: Report) -> None:
    rows = READERS[name](rendered(hostile(report, PATH, MESSAGE), name))
    seen = printable if name in SHOWS_PICTURES else str
    assert rows == [(seen(PATH), 2, seen(MESSAGE))]


@pytest.mark.parametrize("name", READERS)
def test_what_xml_and_json_readers_refuse_is_replaced(name: str, report: Report) -> None:
    text = rendered(hostile(report, "a.py", "x\x00\x1b\x0b\ufffe\ud800y"), name)
    (row,) = READERS[name](text)
    assert row[:2] == ("a.py", 2)
    assert not set(text) & set("\x00\x1b\x0b\ud800")


@pytest.mark.parametrize("name", READERS)
def test_a_crashed_rule_has_no_place_and_is_told_all_the_same(name: str) -> None:
    crash = ScanError("MLD005", "", 0, "MLD401 crashed: ValueError('x')")
    text = rendered(Report(root="/r", version="0", errors=(crash,)), name)
    READERS[name](text)
    assert name == "sonar" or "MLD401 crashed" in text.replace("&#39;", "'")


@pytest.mark.parametrize("name", ["concise", "pylint", "grouped"])
@pytest.mark.parametrize("forged", ["::error file=x::y", "##vso[task.complete result=Failed;]"])
def test_no_name_of_a_file_is_a_command_to_the_ci_service(name: str, forged: str, report: Report) -> None:
    written = rendered(hostile(report, f"{forged}.py", "m"), name)
    assert not re.search(r"^\s*(::|##)", written, re.MULTILINE)


@pytest.mark.parametrize("name", [name for name, form in FORMATS.items() if form.checkout])
def test_paths_start_at_the_top_of_the_checkout(name: str, whole: Report) -> None:
    rows = READERS[name](rendered(replace(whole, prefix="services/ranker/"), name))
    assert all(path.startswith("services/ranker/") for path, _, _ in rows)


text = st.text(st.characters(exclude_categories=()), max_size=30)
# Paths are relative to the root: none begins with a slash.
path = (
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30)
    .filter(lambda given: not given.startswith("/"))
    .map(lambda given: given + ".py")
)


@pytest.mark.parametrize("name", READERS)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(path=path, message=text, line=st.integers(1, 9), column=st.integers(1, 40), width=st.integers(0, 40))
def test_any_finding_gives_a_document_its_readers_take(
    name: str, path: str, message: str, line: int, column: int, width: int, report: Report
) -> None:
    one = replace(
        report.findings[0], place=Place(path, Span(line, column, line, column + width)), message=message, scope=message
    )
    written = rendered(replace(report, findings=(one,), errors=(), contents={path: "α𝛼 x\n".encode() * 5}), name)
    assert [row[1] for row in READERS[name](written)] == [line]
    written.encode("utf-8", "surrogateescape")


def test_github_shows_ten_of_a_kind_the_worst_first_and_counts_the_rest(legacy: Report) -> None:
    written = rendered(legacy, "github").splitlines()
    kinds = [line[2:].split(" ")[0] for line in written]
    assert kinds == ["error"] * 10 + ["warning"] * 10 + ["notice"] * 10
    found = len(legacy.findings) + len(legacy.errors)
    assert written[-1].startswith(f"::notice title=mldebt::{found - 29} more; ")


def test_github_takes_columns_on_one_line_only(whole: Report) -> None:
    commented = [line for line in rendered(whole, "github").splitlines() if "file=losses.py" in line]
    where = "file=losses.py,line=3,endLine=5,title=MLD210 commented-out-experiment"
    assert commented == [f"::notice {where}::Three lines of an experiment left as comments."]


def test_equal_findings_have_fingerprints_of_their_own_in_gitlab(report: Report) -> None:
    twin = replace(report.findings[0], place=Place("twin.py", Span(1)))
    written = rendered(replace(report, findings=(report.findings[0], twin)), "gitlab")
    read_gitlab(written)


def one_at(text: str, span: Span, severity: Severity = Severity.MAJOR, **more: Any) -> Report:
    finding = Finding("MLD404", "x", "m", Place("a.py", span), severity, Confidence.HIGH, 5, **more)
    rows = text.split("\n")
    return Report(
        root="/r",
        version="0",
        findings=(finding,),
        contents={"a.py": text.encode()},
        snippets={("a.py", n): row for n, row in enumerate(rows, 1)},
    )


def test_each_format_counts_columns_in_its_own_units() -> None:
    report = one_at('é = "𝛼"; draw()', Span(1, 10, 1, 16))
    sarif = json.loads(rendered(report, "sarif"))["runs"][0]
    assert sarif["columnKind"] == "unicodeCodePoints"
    region = sarif["results"][0]["locations"][0]["physicalLocation"]["region"]
    assert (region["startColumn"], region["endColumn"]) == (10, 16)
    spot = json.loads(rendered(report, "rdjson"))["diagnostics"][0]["location"]["range"]
    assert (spot["start"]["column"], spot["end"]["column"]) == (14, 20)  # é is two bytes, 𝛼 four
    sonar = json.loads(rendered(report, "sonar"))["issues"][0]["primaryLocation"]["textRange"]
    assert (sonar["startColumn"], sonar["endColumn"]) == (10, 16)  # from 0, and 𝛼 is two units


def test_a_column_beyond_the_line_is_left_out_where_the_reader_would_stop() -> None:
    report = one_at("draw()", Span(1, 3, 1, 60))
    assert json.loads(rendered(report, "sonar"))["issues"][0]["primaryLocation"]["textRange"] == {"startLine": 1}


def test_columns_of_a_notebook_are_those_of_its_json(whole: Report) -> None:
    row = whole.contents["explore.ipynb"].decode().split("\n")[49]
    (result,) = (
        each
        for each in json.loads(rendered(whole, "sarif"))["runs"][0]["results"]
        if each["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "explore.ipynb"
    )
    region = result["locations"][0]["physicalLocation"]["region"]
    assert row[region["startColumn"] - 1 : region["endColumn"] - 1] == "train_test_split(df)"


def test_suggestions_of_rdjson_are_the_fix(whole: Report) -> None:
    found = json.loads(rendered(whole, "rdjson"))["diagnostics"]
    (split,) = (each for each in found if each["location"]["path"] == "data.py" and "suggestions" in each)
    (suggestion,) = split["suggestions"]
    assert suggestion["text"] == ", random_state=0"
    assert suggestion["range"]["start"] == suggestion["range"]["end"] == {"line": 58, "column": 56}
