"""Waivers: comments that say "leave this finding", why, and whether they still silence anything.

``# mldebt: ignore[MLD401, unseeded-entry-path] reason`` at the end of any line of a statement or alone above it,
``# mldebt: ignore-file[MLD401] reason`` anywhere in a file, ``# noqa: MLD401 reason``; in Markdown the same in
``<!-- -->``. A blanket ``# noqa`` is not ours. Three findings come of waivers, and none of them can be waived: MLD002
(minor) it silences nothing, MLD003 (info: the debt counts in the score all the same) it gives no reason, MLD004 (minor)
it names no rule we know.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from difflib import get_close_matches

from msgspec import Struct

from mldebt.facts.schema import Comment
from mldebt.finding import Confidence, Finding, Place, Severity, Span, Waived
from mldebt.fingerprint import stamp

Extent = Callable[[str, int], tuple[int, int]]

# Anything of ours: the form it should have is checked afterwards, so that a slip is reported and not just ignored.
_OURS = re.compile(
    r"(?:\A|#)\s*mldebt:\s*(?P<verb>[a-z]+(?:-[a-z]+)*)\s*(?P<list>\[(?P<names>[^\]\r\n]*)\]|[\[=(:][^\r\n]*)?"
    r"|(?:\A|#)\s*noqa:\s*(?P<codes>[A-Z]+[0-9]+(?:(?:\s*,\s*|\s+)[A-Z]+[0-9]+)*)",
    re.IGNORECASE,
)
_NEXT_PRAGMA = re.compile(r"\s+#\s*(?:noqa|nosec|type:|pylint:|pragma:|fmt:|ruff:|isort:|pyright:)", re.IGNORECASE)
_CODE = re.compile(r"[a-z]{1,3}[0-9]{3}")
_LEAD = re.compile(r"^[\s:,;.–—-]+")
_SLIPS = ("ignore", "ignore-file", "ignore-next", "disable", "skip", "suppress", "noqa", "file-ignore")
_HASH_LINE = re.compile(r"(?:^|(?<=\s))#[^\r\n]*")
_MARKDOWN = re.compile(r"<!--(.*?)-->", re.DOTALL)
_META = frozenset({"MLD001", "MLD002", "MLD003", "MLD004", "MLD005"})


class Waiver(Struct, frozen=True):
    """One waiver as written. ``names`` are codes or names; ``covers`` is the line it speaks of (its own, or the next
    line that is no comment when it stands alone); ``malformed`` says what is wrong with its form, if anything is.
    """

    place: Place
    names: tuple[str, ...]
    reason: str
    whole_file: bool = False
    covers: int = 0
    text: str = ""
    malformed: str = ""


class Outcome(Struct, frozen=True):
    """What waivers make of the findings. ``meta`` are MLD002, MLD003 and MLD004, with fingerprints."""

    kept: tuple[Finding, ...]
    waived: tuple[Waived, ...]
    meta: tuple[Finding, ...]


def in_python(path: str, comments: Sequence[Comment], span: Callable[[Comment], Span]) -> list[Waiver]:
    """The waivers in a Python file's or notebook's comments. ``span`` (``Module.span``) places those that have one."""
    waivers: list[Waiver] = []
    alone: frozenset[int] | None = None
    for comment in comments:
        if "mldebt" not in comment.text and "MLD" not in comment.text:
            continue
        if alone is None:
            alone = frozenset(other.line for other in comments if other.alone)
        covers = _covered(comment.line, alone) if comment.alone else comment.line
        waivers += _parse(path, comment.text, span(comment), covers)
    return waivers


def in_text(path: str, text: str) -> list[Waiver]:
    """The waivers of a YAML, TOML, shell, Make, Docker (``#``) or Markdown (``<!-- -->``) file."""
    if "mldebt" not in text and "MLD" not in text:
        return []
    if path.lower().endswith((".md", ".markdown")):
        return _in_markdown(path, text)
    lines = re.split(r"\r\n|\r|\n", text)
    alone = frozenset(number for number, line in enumerate(lines, 1) if line.lstrip().startswith("#"))
    waivers: list[Waiver] = []
    for number, line in enumerate(lines, 1):
        if ("mldebt" in line or "MLD" in line) and (match := _HASH_LINE.search(line)):
            covers = _covered(number, alone) if number in alone else number
            waivers += _parse(path, match[0], Span(number, match.start() + 1), covers)
    return waivers


def apply(
    findings: Iterable[Finding],
    waivers: Iterable[Waiver],
    extent: Extent,
    known: Mapping[str, str],
    ran: Collection[str] | None = None,
) -> Outcome:
    """Silence what waivers name.

    Args:
        findings: All findings, before any filter on what is shown.
        waivers: Those of all files.
        extent: First and last line of the statement at (path, line).
        known: Codes and names of all rules, to codes.
        ran: Codes of the rules that ran; a waiver of one that did not is not called unused. None: all did.
    """
    every = sorted(waivers, key=lambda waiver: waiver.place)
    silencers = _Silencers(every, known, extent)
    kept: list[Finding] = []
    waived: list[Waived] = []
    for finding in findings:
        waiver = silencers.of(finding)
        if waiver is None:
            kept.append(finding)
        else:
            waived.append(Waived(finding, "inline", waiver.reason, waiver.place.span.line))
    meta = [
        finding
        for index, waiver in enumerate(every)
        for finding in _complaints(waiver, silencers.used[index], known, ran)
    ]
    return Outcome(tuple(kept), tuple(waived), tuple(stamp((finding, "") for finding in meta)))


class _Silencers:
    """Finds the waivers of a finding, and remembers which codes each has silenced."""

    def __init__(self, waivers: Sequence[Waiver], known: Mapping[str, str], extent: Extent) -> None:
        self.used: list[set[str]] = [set() for _ in waivers]
        self._waivers, self._extent = waivers, extent
        self._by_path: defaultdict[str, list[tuple[int, frozenset[str]]]] = defaultdict(list)
        for index, waiver in enumerate(waivers):
            codes = frozenset(known[name] for name in waiver.names if name in known) - _META
            self._by_path[waiver.place.path].append((index, codes))

    def of(self, finding: Finding) -> Waiver | None:
        """The waiver that speaks for a finding, one with a reason first; all that match count as used."""
        causes = (related.place for related in finding.related if related.role == "cause")
        matching: dict[int, Waiver] = {}
        for place in (finding.place, *causes):
            candidates = [one for one in self._by_path.get(place.path, ()) if finding.code in one[1]]
            if not candidates:
                continue
            first, last = self._extent(place.path, place.span.line)
            for index, _ in candidates:
                waiver = self._waivers[index]
                if waiver.whole_file or first <= waiver.covers <= last or first <= waiver.place.span.line <= last:
                    matching[index] = waiver
                    self.used[index].add(finding.code)
        return min(matching.values(), key=lambda waiver: (not waiver.reason, waiver.whole_file), default=None)


def _covered(line: int, alone: Collection[int]) -> int:
    while line in alone:
        line += 1
    return line


def _in_markdown(path: str, text: str) -> list[Waiver]:
    waivers: list[Waiver] = []
    for match in _MARKDOWN.finditer(text):
        before = re.split(r"\r\n|\r|\n", text[: match.start(1)])
        line, column = len(before), len(before[-1]) + 1
        behind = re.split(r"\r\n|\r|\n", text[match.end() :], maxsplit=1)
        own_line = not before[-1].removesuffix("<!--").strip() and not behind[0].strip()
        last = line + len(re.findall(r"\r\n|\r|\n", match[1]))
        waivers += _parse(path, match[1].rstrip(), Span(line, column), last + 1 if own_line else line)
    return waivers


def _parse(path: str, comment: str, at: Span, covers: int) -> Iterable[Waiver]:
    matches = list(_OURS.finditer(comment))
    for index, match in enumerate(matches):
        start = at.column + match.start() + len(match[0]) - len(match[0].lstrip())
        place = Place(path, Span(at.line, start, at.line, start + len(match[0].strip())))
        end = matches[index + 1].start() if index + 1 < len(matches) else len(comment)
        reason = _reason(comment[match.end() : end])
        if match["codes"]:
            every = re.split(r"[\s,]+", match["codes"].upper())
            if codes := tuple(code for code in every if code.startswith("MLD")):
                yield Waiver(place, codes, reason, covers=covers, text=match[0].strip())
            continue
        waiver = _ours(match, place, reason, covers)
        if waiver is not None:
            yield waiver


def _ours(match: re.Match[str], place: Place, reason: str, covers: int) -> Waiver | None:
    verb, text = match["verb"].lower(), match[0].strip()
    names = tuple(_canonical(name) for name in (match["names"] or "").split(",") if name.strip())
    if verb in {"ignore", "ignore-file"} and names:
        return Waiver(place, names, reason, verb == "ignore-file", covers, text)
    if verb in {"ignore", "ignore-file"}:
        return Waiver(place, (), reason, text=text, malformed=f"names no rule; write {verb}[MLD401] and why")
    if not match["list"] and not get_close_matches(verb, _SLIPS, 1, 0.8):
        return None  # prose: "mldebt: see the notes"
    nearest = "ignore-file" if "file" in verb else "ignore"
    return Waiver(place, (), reason, text=text, malformed=f"is no waiver; write {nearest}[MLD401] and why")


def _canonical(name: str) -> str:
    name = name.strip().lower()
    return name.upper() if name.startswith("mld") or _CODE.fullmatch(name) else name


def _reason(rest: str) -> str:
    rest = _NEXT_PRAGMA.split(rest, maxsplit=1)[0]
    return " ".join(_LEAD.sub("", rest).rstrip(" \t\r\n#").split())


def _complaints(
    waiver: Waiver, used: Collection[str], known: Mapping[str, str], ran: Collection[str] | None
) -> Iterable[Finding]:
    if waiver.malformed:
        yield _meta(waiver, "MLD004", f'"{waiver.text}" {waiver.malformed}')
        return
    live = False
    for name in dict.fromkeys(waiver.names):
        if known.get(name, name) in _META:
            yield _meta(waiver, "MLD004", f"{name} cannot be waived")
        elif name not in known:
            close = get_close_matches(name, known, 1)
            nearest = f"; the nearest is {close[0]}" if close else ""
            yield _meta(waiver, "MLD004", f"no rule is called {name}{nearest}")
        else:
            live = True
    codes = dict.fromkeys(known[name] for name in waiver.names if name in known and known[name] not in _META)
    unused = [code for code in codes if code not in used and (ran is None or code in ran)]
    if unused:
        where = "in this file" if waiver.whole_file else "here"
        verb = "is" if len(unused) == 1 else "are"
        yield _meta(waiver, "MLD002", f"{' and '.join(unused)} {verb} not found {where}; remove the waiver")
    if live and not waiver.reason:
        yield _meta(waiver, "MLD003", "the waiver gives no reason, so the debt still counts in the score")


def _meta(waiver: Waiver, code: str, message: str) -> Finding:
    name, severity, minutes = {
        "MLD002": ("unused-waiver", Severity.MINOR, 2),
        "MLD003": ("waiver-without-reason", Severity.INFO, 2),
        "MLD004": ("unknown-code-in-waiver", Severity.MINOR, 2),
    }[code]
    return Finding(
        code=code,
        name=name,
        message=message,
        place=waiver.place,
        severity=severity,
        confidence=Confidence.HIGH,
        minutes=minutes,
        anchor=" ".join(waiver.text.split()),
    )
