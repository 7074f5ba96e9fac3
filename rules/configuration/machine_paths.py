"""Texts that are paths of one machine, account or platform, by their shape."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence

from msgspec import Struct

# In the text of a file, what ``ModuleFacts.strings`` may not hold: they keep plain paths only.
TELLTALES = (":\\", "/home/", "/Users/", "Drive/")
_PREFIX = re.compile(
    r"/(?:[\w.-]+/){0,3}(?:home\d*|Users|root)/|/(?:content|kaggle|gdrive|mnt|media|scratch|nfs|gpfs|lustre|ssd|hdd|raid|disk"
    r"|Volumes|data|storage|share|work|project|export|archive|network|local|dbfs|cluster|efs)|[A-Za-z]\w{0,5}:/"
)
_BODY = r"[^\s\"'<>|;,`]"
_KINDS = (
    # (kind, certain, pattern of the part that names the machine)
    (
        "home",
        True,
        rf"(?:/[\w.-]+){{0,3}}/(?:home\d*|Users)/(?!{{){_BODY}[^/\s]*|/root/(?=\w)",
    ),
    (
        "home",
        True,
        r"[A-Za-z]:[\\/]{1,2}(?:Users|Documents and Settings)[\\/]{1,2}[\w][\w .-]*",
    ),
    ("drive", True, r"[A-Za-z]:(?:\\{1,2}|/(?!/))[\w][\w .-]*|\\\\[\w.-]+\\[\w$.-]+"),
    (
        "Colab",
        True,
        r"/content/(?:g?drive|MyDrive)\b|/gdrive/(?:My ?Drive|My\\? Drive)",
    ),
    ("Colab", False, r"/content/[\w.-]+"),
    ("Kaggle", True, r"/kaggle/(?:input|working|temp|tmp|lib)\b"),
    (
        "bucket",
        True,
        r"(?:s3[an]?|gs|gcs|hdfs|abfss?|wasbs?|adl|az|oss|cos|obs)://[\w.@:-]+(?=/)|/?dbfs:?/[\w-]+",
    ),
    (
        "mount",
        True,
        r"/(?:mnt|media|scratch|nfs|gpfs|lustre|ssd|hdd|raid|disk|Volumes|efs|cluster)[\w-]*/[\w.-]+",
    ),
    (
        "data",
        False,
        r"/(?:data\d*|datasets?|storage\d*|shared?|work|projects?|export|archive|network|local|localdata|dataset)/[\w.-]+",
    ),
)
_PATTERNS = [(kind, certain, re.compile(pattern)) for kind, certain, pattern in _KINDS]
_PLACEHOLDER = re.compile(r"path[/_]to|[/\\{]your|<|\$|\bx{3}|\.\.\.|\{\{", re.IGNORECASE)
# Where a serving platform puts things: its contract, whatever machine it runs on.
_CONTRACTS = re.compile(
    r"/mnt/(?:models|data-store)\b|/opt/ml\b|/mnt/pvc\b|/local_disk0\b|/?dbfs:?/tmp\b"
    r"|[A-Za-z]:[\\/]+(?:Windows|Program ?Files|ProgramData|PROGRA~|NVIDIA|cygwin|msys|Temp|tmp)",
    re.IGNORECASE,
)
_LONGEST = 300
_MAJOR = frozenset({"home", "drive", "Colab", "Kaggle"})
_PROSE = re.compile(r"\s\S*\s\S*\s|[\n\r\t]")


class MachinePath(Struct, frozen=True):
    """A path by its text.

    Args:
        text: The literal (the constant start of an f-string).
        kind: home, drive, Colab, Kaggle, mount, data or bucket.
        root: The part that names the machine: ``/home/ana``, ``s3://bucket``.
        certain: It can be nothing but a file's path; ``/data/x`` may as well be a web address's.
    """

    text: str
    kind: str
    root: str
    certain: bool

    @property
    def is_major(self) -> bool:
        return self.kind in _MAJOR


def machine_path(text: str) -> MachinePath | None:
    """What ``text`` is a path of; None for relative paths, system directories and everything that is no path."""
    if not 5 < len(text) <= _LONGEST or _PLACEHOLDER.search(text) or _CONTRACTS.match(text) or _PROSE.search(text):
        return None
    for kind, certain, pattern in _PATTERNS:
        match = pattern.match(text)
        if match:
            return MachinePath(text, kind, match.group().rstrip("/\\"), certain)
    return None


def any_starts_like_one(texts: Sequence[str]) -> bool:
    """Whether one of some sorted texts starts as such paths do; a quick look that may say yes too often."""
    first = bisect_left(texts, "/")
    return any(map(_PREFIX.match, texts[first : bisect_left(texts, "0", first)])) or any(
        ":/" in text and _PREFIX.match(text) for text in texts[bisect_left(texts, "A", first) :]
    )
