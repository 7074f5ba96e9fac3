"""Launch commands out of the code blocks of Markdown and reStructuredText."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from msgspec import Struct

from mldebt.sources.artefacts import Command
from mldebt.sources.places import Layout, Place, Shell, settle
from mldebt.sources.shell import read_script

_FENCE = re.compile(r"([ \t]*(?:[-*+][ \t]+|\d+[.)][ \t]+|>[ \t]?)*)(`{3,}|~{3,})[ \t]*\{?\.?([\w+#-]*)[^`]*")
_DIRECTIVE = re.compile(r"([ \t]*)\.\.[ \t]+(?:code|code-block|sourcecode|prompt|parsed-literal)::[ \t]*([\w+-]*)")
_INDENT = re.compile(r"[ \t]*")
_PROMPT = re.compile(r"[ \t]*(?:\([\w.-]+\)[ \t]*)?(?:[\w.-]+@[\w.-]+:[^$#\s]*)?[$%][ \t]+")
_ESCAPE = re.compile(r"[ \t]*[!%](?=[A-Za-z./])")
_CONTINUED = re.compile(r"\\[ \t]*$")
_SHELLS = frozenset(
    "bash sh shell zsh console shell-session shellsession sh-session terminal commandline cmd bat powershell".split()
)
_UNSAID = frozenset({"", "text", "plain", "plaintext", "none", "txt"})
_KNOWN = re.compile(
    r"(?:\S*/)?(?:python[\d.]*|ipython|torchrun|accelerate|deepspeed|bash|sh|pip\d?|conda|mamba|git|cd|make|sbatch|srun"
    r"|mpirun|horovodrun|uv|poetry|pipenv|pdm|docker|nohup|env|export|source|coverage|pytest|tox|dvc|mlflow|wget|curl"
    r"|mkdir|pushd|popd|kernprof|streamlit|sudo|time|composer)\Z|\./\S+\Z|\S+\.(?:py|sh)\Z"
)
# What a block of another language (a wrong one, as often) must begin with.
_LAUNCH = re.compile(
    r"(?:python[\d.]*|torchrun|deepspeed|accelerate launch)\s+(?:-[uO]\s+)*(?:-m\s+\w|\S+\.py\b|--?\w)"
)
_ASSIGNMENTS = re.compile(r"^\s*(?:export\s+)?(?:[A-Za-z_]\w*=(?:\"[^\"]*\"|'[^']*'|\S*)(?:\s+|$))+")
_CARET = re.compile(r"(?<=\s)[\^`][ \t]*$", re.MULTILINE)  # continuation lines of Windows' shells
_MENTIONS = re.compile(r"python|torchrun|accelerate|deepspeed|\.py\b|bash|\bsh\b|\buv\b|coverage|streamlit|composer")


class _Block(Struct, frozen=True):
    """A code block: its language, the number of its first line, and its lines without the common indentation."""

    language: str
    line: int
    lines: Sequence[str]


def document_commands(text: str, path: str, layout: Layout) -> list[Command]:
    """Return the commands of the shell blocks of a document.

    A block counts when it is marked as shell, or not marked at all and its lines begin like commands. Where a block
    has ``$`` prompts only the lines behind them are commands, the others are output. ``cd`` holds within a block.
    """
    if not _MENTIONS.search(text):
        return []
    lines = text.split("\n")
    start = Place(path.rpartition("/")[0], told=False)
    found: list[Command] = []
    clones: set[str] = set()
    for block in _rst_blocks(lines) if path.endswith(".rst") else _markdown_blocks(lines):
        script, strict = _script(block)
        if script is None:
            continue
        shell = Shell(path, "readme", layout, start, clones=clones)
        simples = read_script(_CARET.sub(r"\\", script), block.line, placeholders=True)
        found.extend(shell.run(simple for simple in simples if not strict or _KNOWN.match(simple.words[0])))
    return settle(found, path, layout)


def _markdown_blocks(lines: Sequence[str]) -> Iterator[_Block]:
    at, total = 0, len(lines)
    while at < total:
        line = lines[at]
        at += 1
        match = _FENCE.fullmatch(line) if "```" in line or "~~~" in line else None
        if match is None:
            if line.startswith(("    ", "\t")) and _PROMPT.match(line):
                first = at
                while at < total and lines[at].startswith(("    ", "\t")):
                    at += 1
                yield _Block("console", first, lines[first - 1 : at])
            continue
        first, fence = at, match[2]
        quote = ">" if ">" in match[1] else ""
        while at < total and not lines[at].lstrip(" \t>" if quote else " \t").startswith(fence):
            at += 1
        body = [line.lstrip().removeprefix(">") for line in lines[first:at]] if quote else lines[first:at]
        at += 1
        yield _Block(match[3].lower(), first + 1, body)


def _rst_blocks(lines: Sequence[str]) -> Iterator[_Block]:
    at, total = 0, len(lines)
    while at < total:
        line = lines[at]
        at += 1
        match = _DIRECTIVE.match(line)
        if match is None and not (line.rstrip().endswith("::") and not line.lstrip().startswith("..")):
            continue
        margin = len(_INDENT.match(line)[0])  # type: ignore[index]  # the pattern matches anywhere
        first = at
        while at < total and (not lines[at].strip() or len(_INDENT.match(lines[at])[0]) > margin):  # type: ignore[index]
            at += 1
        body = ["" if option.lstrip().startswith(":") else option for option in lines[first:at]]
        yield _Block(match[2].lower() if match else "", first + 1, body)


def _script(block: _Block) -> tuple[str | None, bool]:
    """The shell text of a block, line for line, and whether only known programs count as commands in it."""
    if any(line.lstrip().startswith(">>>") for line in block.lines):
        return None, False
    if any(_PROMPT.match(line) for line in block.lines) and block.language in _SHELLS | _UNSAID:
        return _prompted(block.lines), False
    if block.language in _SHELLS:
        return "\n".join(_ESCAPE.sub("", _unquoted(line)) for line in block.lines), False
    first = _first_command(block.lines)
    known = _KNOWN.match(first.partition(" ")[0]) if block.language in _UNSAID else _LAUNCH.match(first)
    if known:
        return "\n".join(_ESCAPE.sub("", _unquoted(line)) for line in block.lines), True
    if any(line.lstrip().startswith("!") for line in block.lines):  # a notebook's shell escapes
        return _prompted(block.lines, _ESCAPE), True
    return None, True


def _first_command(lines: Sequence[str]) -> str:
    """The first line that is more than a comment or an assignment, without the assignments before its command."""
    for line in lines:
        text = _ASSIGNMENTS.sub("", _ESCAPE.sub("", _unquoted(line))).strip()
        if text and not text.startswith("#"):
            return text
    return ""


def _unquoted(line: str) -> str:
    stripped = line.lstrip()
    return stripped[2:] if stripped.startswith("> ") else line


def _prompted(lines: Sequence[str], prompt: re.Pattern[str] = _PROMPT) -> str:
    """The lines behind prompts, with their continuation lines; the others become blank so that numbers stay."""
    kept: list[str] = []
    continued = False
    for line in lines:
        match = prompt.match(line)
        if match or continued:
            text = line[match.end() :] if match else _unquoted(line)
            continued = _CONTINUED.search(text) is not None
            kept.append(text)
        else:
            kept.append("")
    return "\n".join(kept)
