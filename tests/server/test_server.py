"""The language server as an editor meets it: the console script, over its standard input and output."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import pytest

from mldebt.cli.main import main

Start = Callable[..., Any]
Written = Callable[[Mapping[str, str | bytes]], Path]

DICE = "from games import dice\n\ndice()\n"


def whole(text: str) -> dict[str, Any]:
    return {"text": text}


def spot(line: int, first: int, last: int) -> dict[str, Any]:
    return {"start": {"line": line, "character": first}, "end": {"line": line, "character": last}}


def applied(text: str, edits: list[dict[str, Any]]) -> str:
    """Edits of one document, in ASCII."""
    rows = text.split("\n")
    starts = [sum(len(row) + 1 for row in rows[:index]) for index in range(len(rows))]
    for edit in sorted(edits, key=lambda edit: str(edit["range"]["start"]), reverse=True):
        first, last = (starts[edit["range"][end]["line"]] + edit["range"][end]["character"] for end in ("start", "end"))
        text = text[:first] + edit["newText"] + text[last:]
    return text


def test_a_file_is_diagnosed_when_it_is_opened(start: Start, written: Written) -> None:
    root = written({})
    client = start()
    client.initialize(root)
    (found,) = client.diagnostics(client.open(root / "good.py"))
    assert found["range"] == spot(2, 0, 6)
    assert (found["code"], found["source"], found["severity"]) == ("MLD091", "mldebt", 2)
    assert found["message"] == "The dice has no sides. (bare-dice)"
    assert client.leave() == 0


def test_what_is_typed_counts_before_it_is_saved(start: Start, written: Written) -> None:
    root = written({})
    client = start()
    client.initialize(root)
    uri = client.open(root / "good.py")
    assert len(client.diagnostics(uri, 1)) == 1
    client.change(uri, 2, {"range": spot(2, 5, 5), "text": "6"})
    assert client.diagnostics(uri, 2) == []
    client.change(uri, 3, {"range": spot(2, 5, 6), "text": ""}, {"range": spot(3, 0, 0), "text": "dice()\n"})
    assert [each["range"] for each in client.diagnostics(uri, 3)] == [spot(2, 0, 6), spot(3, 0, 6)]
    assert (root / "good.py").read_text() == DICE


def test_many_keys_are_one_scan_of_the_last_text(start: Start, written: Written) -> None:
    root = written({})
    client = start()
    client.initialize(root)
    uri = client.open(root / "good.py")
    client.diagnostics(uri, 1)
    seen: list[int | None] = []
    for version in range(2, 60):
        client.change(uri, version, whole(DICE + "#" * version))

    def arrived() -> bool:
        seen.append(client.versions[uri])
        return seen[-1] == 59

    client.until(arrived)
    assert len(set(seen)) < 20  # not one for each key


def test_project_rules_see_open_texts_and_the_files_around_them(start: Start, tmp_path: Path) -> None:
    root = tmp_path / "project"
    root.mkdir()
    (root / "pyproject.toml").write_text("[project]\nname = 'x'\n")
    (root / "seeds.py").write_text("import numpy as np\n\n\ndef fix():\n    np.random.seed(3)\n")
    train = (
        "import numpy as np\nfrom sklearn.ensemble import RandomForestClassifier\n\nfrom seeds import fix\n\n\n"
        "def main():\n    fix()\n    x = np.random.rand(30, 3)\n"
        "    RandomForestClassifier(random_state=0).fit(x, np.arange(30) % 2)\n\n\n"
        "if __name__ == '__main__':\n    main()\n"
    )
    (root / "train.py").write_text(train)
    client = start("--select", "MLD401", "--severity", "info")
    client.initialize(root)
    uri = client.open(root / "train.py")
    assert client.diagnostics(uri, 1) == []
    seeds = client.open(root / "seeds.py")
    client.published.clear()
    client.change(seeds, 2, whole("def fix():\n    pass\n"))
    client.until(lambda: client.published.get(uri))
    (found,) = client.published[uri]
    assert found["code"] == "MLD401"
    places = found["relatedInformation"]
    assert all(place["location"]["uri"].endswith(("train.py", "seeds.py")) for place in places)


def test_a_fix_is_offered_and_pays_the_debt_back(start: Start, written: Written) -> None:
    root = written({})
    client = start()
    client.initialize(root)
    uri = client.open(root / "good.py")
    (found,) = client.diagnostics(uri, 1)
    fix, _ = client.actions(uri, found["range"])
    assert (fix["title"], fix["kind"], fix["isPreferred"]) == ("MLD091: say the sides", "quickfix", True)
    (change,) = fix["edit"]["documentChanges"]
    assert change["textDocument"] == {"uri": uri, "version": 1}
    client.change(uri, 2, whole(applied(DICE, change["edits"])))
    assert client.diagnostics(uri, 2) == []
    assert client.actions(uri, spot(0, 0, 1)) == []
    assert client.actions(uri, found["range"], only=["refactor"]) == []


LIST = "from games import dice\n\nfor _ in 'ab':\n    {}x = [\n        dice(),\n    ]\n"
STRING = 'from games import dice\n\n{}x = """\n""", dice()\n'
COMMENT = "# mldebt: ignore[MLD091] TODO: say why"


@pytest.mark.parametrize(
    ("text", "line", "after"),
    [
        (DICE, 2, f"{DICE[:-1]}  {COMMENT}\n"),
        (LIST.format(""), 4, LIST.format(f"{COMMENT}\n    ")),
        (STRING.format(""), 3, STRING.format(f"{COMMENT}\n")),
    ],
)
def test_a_waiver_is_offered_and_silences(start: Start, written: Written, text: str, line: int, after: str) -> None:
    root = written({})
    client = start()
    client.initialize(root)
    uri = client.open(root / "good.py", text)
    (found,) = client.diagnostics(uri, 1)
    assert found["range"]["start"]["line"] == line
    (waiver,) = (each for each in client.actions(uri, found["range"]) if each["title"].startswith("Leave"))
    assert waiver["title"] == "Leave MLD091 here, and say why"
    new = applied(text, waiver["edit"]["documentChanges"][0]["edits"])
    assert new == after
    client.change(uri, 2, whole(new))
    assert client.diagnostics(uri, 2) == []


def test_nothing_is_offered_for_a_text_that_changed_since(start: Start, written: Written) -> None:
    root = written({})
    client = start()
    client.initialize(root)
    uri = client.open(root / "good.py")
    (found,) = client.diagnostics(uri, 1)
    client.change(uri, 2, whole("\n\n\n" + DICE))
    assert client.actions(uri, found["range"]) == []


def test_a_client_without_versions_gets_plain_edits(start: Start, written: Written) -> None:
    root = written({})
    client = start()
    client.initialize(root, workspace={})
    uri = client.open(root / "good.py")
    (found,) = client.diagnostics(uri, 1)
    fix, _ = client.actions(uri, found["range"])
    assert fix["edit"]["changes"][uri][0]["newText"] == "dice(6)"


def test_hovering_shows_the_rules_page(start: Start, written: Written) -> None:
    root = written({})
    client = start()
    client.initialize(root)
    uri = client.open(root / "good.py")
    client.diagnostics(uri, 1)
    page = client.hover(uri, 2, 3)
    assert page["contents"]["kind"] == "markdown"
    assert page["contents"]["value"].startswith("# bare-dice (MLD091)")
    assert "## How to pay it back" in page["contents"]["value"]
    assert client.hover(uri, 0, 3) is None


@pytest.mark.parametrize(
    ("encodings", "first"),
    [(None, 10), (["utf-16"], 10), (["utf-8"], 12), (["utf-32"], 9), (["utf-32", "utf-16"], 9)],
)
def test_positions_are_in_the_units_agreed(
    start: Start, written: Written, encodings: list[str] | None, first: int
) -> None:
    root = written({})
    client = start()
    client.initialize(root, **({"general": {"positionEncodings": encodings}} if encodings else {}))
    text = "from games import dice\n\nx = '𝛼'; dice()\n"
    uri = client.open(root / "good.py", text)
    (found,) = client.diagnostics(uri, 1)
    assert found["range"] == spot(2, first, first + 6)
    # What comes back in these units is understood in them too.
    client.change(uri, 2, {"range": spot(2, first + 5, first + 5), "text": "6"})
    assert client.diagnostics(uri, 2) == []


def test_lines_end_where_the_protocol_says(start: Start, written: Written) -> None:
    """A form feed or U+2028 ends no line, although ``str.splitlines`` says so."""
    root = written({})
    client = start()
    client.initialize(root)
    text = "from games import dice\r\n\x0c\r# \u2028 \x1c\ndice()\n"
    uri = client.open(root / "good.py", text)
    (found,) = client.diagnostics(uri, 1)
    assert found["range"] == spot(3, 0, 6)
    client.change(uri, 2, {"range": spot(3, 5, 5), "text": "6"})
    assert client.diagnostics(uri, 2) == []


def test_closing_a_file_clears_it_and_the_disk_counts_again(start: Start, written: Written) -> None:
    root = written({"other.py": "x = 1\n"})
    client = start()
    client.initialize(root)
    uri = client.open(root / "good.py", "x = 1\n")
    assert client.diagnostics(uri, 1) == []
    client.notify("textDocument/didClose", textDocument={"uri": uri})
    client.until(lambda: client.versions[uri] is None)
    assert client.published[uri] == []
    assert len(client.diagnostics(client.open(root / "good.py"))) == 1


def cell(text: str, number: int) -> tuple[dict[str, Any], dict[str, Any]]:
    uri = f"vscode-notebook-cell:/play.ipynb#{number}"
    return {"kind": 2, "document": uri}, {"uri": uri, "languageId": "python", "version": 1, "text": text}


def test_cells_of_an_open_notebook_are_documents_of_their_own(start: Start, written: Written) -> None:
    root = written({"play.ipynb": json.dumps({"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5})})
    client = start()
    client.initialize(root, notebookDocument={"synchronization": {}})
    sync = client.capabilities["notebookDocumentSync"]
    assert sync["notebookSelector"][0]["notebook"] == {"notebookType": "jupyter-notebook"}
    cells = [cell("from games import dice", 1), cell("%time 1\nx = '𝛼'\ndice()\n", 2)]
    prose = ({"kind": 1, "document": "vscode-notebook-cell:/play.ipynb#0"}, {"languageId": "markdown", "version": 1})
    prose[1].update(uri=prose[0]["document"], text="# dice()")
    every = [prose, *cells]
    client.notify(
        "notebookDocument/didOpen",
        notebookDocument={
            "uri": (root / "play.ipynb").as_uri(),
            "notebookType": "jupyter-notebook",
            "version": 1,
            "cells": [each[0] for each in every],
        },
        cellTextDocuments=[each[1] for each in every],
    )
    second = cells[1][1]["uri"]
    (found,) = client.diagnostics(second, 1)
    assert found["range"] == spot(2, 0, 6)
    assert client.diagnostics(cells[0][1]["uri"], 1) == []
    fix, _ = client.actions(second, found["range"])
    assert fix["edit"]["documentChanges"][0]["edits"][0]["newText"] == "dice(6)"

    change = {"document": {"uri": second, "version": 2}, "changes": [{"range": spot(2, 5, 5), "text": "6"}]}
    client.notify(
        "notebookDocument/didChange",
        notebookDocument={"uri": (root / "play.ipynb").as_uri(), "version": 2},
        change={"cells": {"textContent": [change]}},
    )
    assert client.diagnostics(second, 2) == []

    added = cell("dice()", 3)
    client.notify(
        "notebookDocument/didChange",
        notebookDocument={"uri": (root / "play.ipynb").as_uri(), "version": 3},
        change={
            "cells": {
                "structure": {"array": {"start": 3, "deleteCount": 0, "cells": [added[0]]}, "didOpen": [added[1]]}
            }
        },
    )
    (found,) = client.diagnostics(added[1]["uri"], 1)
    assert found["range"] == spot(0, 0, 6)


def test_a_cell_that_does_not_parse_is_told_at_its_line(start: Start, written: Written) -> None:
    root = written({"play.ipynb": json.dumps({"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5})})
    client = start()
    client.initialize(root)
    good, bad = cell("x = 1", 1), cell("y = 1\nz = (\n", 2)
    client.notify(
        "notebookDocument/didOpen",
        notebookDocument={
            "uri": (root / "play.ipynb").as_uri(),
            "notebookType": "jupyter-notebook",
            "version": 1,
            "cells": [good[0], bad[0]],
        },
        cellTextDocuments=[good[1], bad[1]],
    )
    (found,) = client.diagnostics(bad[1]["uri"], 1)
    assert (found["code"], found["range"]["start"]["line"]) == ("MLD001", 1)


def test_a_notebook_open_as_text_is_told_at_its_physical_lines(start: Start, written: Written) -> None:
    rows = ["from games import dice\n", 'x = "é𝛼\\t\\""; dice()\n']
    cells: list[Any] = [
        {"cell_type": "code", "id": "a", "metadata": {}, "source": rows, "outputs": [], "execution_count": None}
    ]
    text = json.dumps(
        {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}, indent=1, ensure_ascii=False
    )
    root = written({"play.ipynb": text})
    client = start()
    client.initialize(root)
    uri = client.open(root / "play.ipynb", language="json")
    (found,) = client.diagnostics(uri, 1)
    row = text.split("\n")[found["range"]["start"]["line"]]
    data = row.encode("utf-16-le")
    where = found["range"]
    assert data[where["start"]["character"] * 2 : where["end"]["character"] * 2].decode("utf-16-le") == "dice()"
    assert client.actions(uri, where) == []


def test_each_of_several_roots_has_its_own_configuration(start: Start, tmp_path: Path, dice: str) -> None:
    for name, extra in (("one", ""), ("two", "ignore = ['MLD091']\n")):
        (tmp_path / name / "tools").mkdir(parents=True)
        (tmp_path / name / "tools/bare_dice.py").write_text(dice)
        (tmp_path / name / "mldebt.toml").write_text(f'plugins = ["tools/bare_dice.py"]\n{extra}')
        (tmp_path / name / "play.py").write_text(DICE)
    client = start()
    client.initialize(tmp_path / "one", tmp_path / "two")
    one, two = client.open(tmp_path / "one/play.py"), client.open(tmp_path / "two/play.py")
    assert len(client.diagnostics(one, 1)) == 1
    assert client.diagnostics(two, 1) == []


def test_a_file_outside_of_every_folder_is_diagnosed_in_its_own(start: Start, written: Written) -> None:
    root = written({})
    client = start()
    client.initialize()
    assert len(client.diagnostics(client.open(root / "good.py"), 1)) == 1


def test_a_loose_file_does_not_make_the_home_directory_a_repository(start: Start, home: Path) -> None:
    (home / "loose.py").write_text(DICE)
    client = start()
    client.initialize()
    client.open(home / "loose.py")
    client.until(lambda: client.messages)
    assert client.messages == [f"mldebt: {home} is no repository; open the folder of one"]


def test_a_mistake_in_the_configuration_is_a_message_and_its_mending_is_noticed(start: Start, written: Written) -> None:
    root = written({})
    good = (root / "mldebt.toml").read_text()
    (root / "mldebt.toml").write_text("selct = []\n")
    client = start()
    client.initialize(root)
    uri = client.open(root / "good.py")
    client.until(lambda: client.messages)
    assert "mldebt.toml:1: unknown key 'selct'; did you mean 'select'?" in client.messages[0]
    (root / "mldebt.toml").write_text(good)
    client.notify("workspace/didChangeWatchedFiles", changes=[{"uri": (root / "mldebt.toml").as_uri(), "type": 2}])
    assert len(client.diagnostics(uri, 1)) == 1
    assert len(client.messages) == 1


def test_debt_of_the_baseline_is_not_shown_and_new_debt_is(
    start: Start, written: Written, shell: Callable[..., Any]
) -> None:
    root = written({})
    made = shell("baseline", "create", "--trust-plugins", cwd=root)
    assert made.returncode == 0, made.stderr
    client = start()
    client.initialize(root)
    uri = client.open(root / "good.py")
    assert client.diagnostics(uri, 1) == []
    client.change(uri, 2, whole(f"{DICE}dice( )\n"))
    assert len(client.diagnostics(uri, 2)) == 1


def test_the_client_is_asked_to_watch_files(start: Start, written: Written) -> None:
    client = start()
    watched = {"didChangeWatchedFiles": {"dynamicRegistration": True}}
    client.initialize(written({}), workspace=watched)
    message = client._next()
    assert message["method"] == "client/registerCapability"


def test_a_file_that_does_not_parse_says_so_until_it_does(start: Start, written: Written) -> None:
    root = written({})
    client = start()
    client.initialize(root)
    uri = client.open(root / "good.py", "from games import dice\n\ndice(\n")
    (found,) = client.diagnostics(uri, 1)
    assert (found["code"], found["severity"], found["range"]["start"]["line"]) == ("MLD001", 1, 2)
    client.change(uri, 2, whole(DICE))
    assert [each["code"] for each in client.diagnostics(uri, 2)] == ["MLD091"]


def test_bad_input_does_not_end_the_server(start: Start, written: Written) -> None:
    root = written({})
    client = start()
    client.initialize(root)
    uri = client.open(root / "good.py")
    client.diagnostics(uri, 1)
    client.write(b"this is no JSON")
    client.write(b'{"jsonrpc": "2.0", "method": 3}')
    client.notify("no/suchMethod")
    client.change("file:///not/open.py", 3, whole("x"))
    client.change(uri, 2, {"range": spot(900, 7, 9), "text": "\n"}, {"range": spot(0, 0, 900), "text": "\ud800 (("})
    client.open(Path("/dev/null"), text="x = 1")
    client.notify(
        "textDocument/didOpen", textDocument={"uri": "untitled:1", "languageId": "python", "version": 1, "text": DICE}
    )
    client.notify(
        "textDocument/didOpen", textDocument={"uri": "file:///%00", "languageId": "python", "version": 1, "text": DICE}
    )
    with pytest.raises(AssertionError):
        client.request("no/suchRequest")
    assert client.hover("file:///not/open.py", 0, 0) is None
    assert client.actions("untitled:1", spot(0, 0, 1)) == []
    client.change(uri, 3, whole(DICE))
    assert [each["code"] for each in client.diagnostics(uri, 3)] == ["MLD091"]
    assert client.leave() == 0


def test_a_rule_that_crashes_leaves_the_others_and_the_server_alone(start: Start, written: Written, dice: str) -> None:
    broken = dice.replace("MLD091", "MLD092").replace("BareDice", "OtherDice").replace("if not call.args:", "if 1 / 0:")
    root = written({"tools/other_dice.py": broken, "mldebt.toml": 'plugins = ["tools"]\nexclude = ["tools/"]\n'})
    client = start()
    client.initialize(root)
    uri = client.open(root / "good.py")
    assert [each["code"] for each in client.diagnostics(uri, 1)] == ["MLD091"]


def test_what_a_plugin_prints_does_not_break_the_protocol(start: Start, written: Written, dice: str) -> None:
    root = written(
        {
            "tools/bare_dice.py": dice.replace("if not call.args:", "print('x')\n        if not call.args:")
            + "\nprint('hello')\n"
        }
    )
    client = start()
    client.initialize(root)
    assert len(client.diagnostics(client.open(root / "good.py"), 1)) == 1


@pytest.mark.parametrize("installed", [None, "1.3.1"])
def test_without_the_extra_one_line_says_what_to_install(
    installed: str | None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def version(name: str) -> str:
        if installed is None:
            raise PackageNotFoundError(name)
        return installed

    monkeypatch.setattr("mldebt.cli.server.version", version)
    assert main(["server"], standalone_mode=False) == 2
    assert capsys.readouterr().err == (
        'error: the language server needs pygls 2; install it with: pip install "mldebt[lsp]"\n'
    )


def test_what_is_no_file_of_the_repository_yet_has_nothing_to_say(start: Start, written: Written) -> None:
    root = written({"vendored/site-packages/dice.py": DICE})
    client = start()
    client.initialize(root)
    assert client.diagnostics(client.open(root / "new.py", DICE), 1) == []
    assert client.diagnostics(client.open(root / "vendored/site-packages/dice.py"), 1) == []
    client.notify("workspace/didChangeConfiguration", settings={})
    assert len(client.diagnostics(client.open(root / "good.py"), 1)) == 1


def test_a_script_is_judged_as_it_is_in_the_editor(start: Start, tmp_path: Path) -> None:
    root = tmp_path / "project"
    root.mkdir()
    (root / "pyproject.toml").write_text("[project]\nname = 'x'\n")
    (root / "train.py").write_text(
        "import argparse\n\n\ndef main():\n    parser = argparse.ArgumentParser()\n"
        "    parser.add_argument('--rate', type=float)\n    print(parser.parse_args().rate)\n\n\n"
        "if __name__ == '__main__':\n    main()\n"
    )
    (root / "run.sh").write_text("python train.py --rate 1\n")
    client = start("--select", "MLD312")
    client.initialize(root)
    uri = client.open(root / "run.sh", language="shellscript")
    assert client.diagnostics(uri, 1) == []
    client.change(uri, 2, whole("python train.py --speed 1\n"))
    (found,) = client.diagnostics(uri, 2)
    assert (found["code"], found["range"]["start"]["line"]) == ("MLD312", 0)
