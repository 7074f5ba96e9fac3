"""The hash GitHub tracks an alert by: of the 100 characters from the start of its line on, blanks left out.

Source: ``src/fingerprints.ts`` of github/codeql-action, which computes it for SARIF files that lack it.
"""

from __future__ import annotations

import re
from array import array
from collections import Counter

_WINDOW, _FACTOR, _MASK = 100, 37, (1 << 64) - 1
_LEAVING = pow(_FACTOR, _WINDOW, 1 << 64)
_NEWLINE, _END = 10, 65535
_BREAK = re.compile(r"\r\n?")


def line_hashes(text: str) -> list[str]:
    """``hash:occurrence`` for every line of a file; one more than it has newlines.

    Characters are UTF-16 units, line ends count as ``\\n``, and the end of the file as 65535 and then zeros.
    """
    dense = _BREAK.sub("\n", text).translate({ord(" "): None, ord("\t"): None})
    units = array("H")
    units.frombytes(dense.encode("utf-16-le" if array("H", [1]).tobytes()[0] else "utf-16-be", "surrogatepass"))
    units.append(_END)
    many = len(units)
    units.extend([0] * _WINDOW)
    rolling = 0
    for unit in units[:_WINDOW]:
        rolling = (rolling * _FACTOR + unit) & _MASK
    hashes, seen, at_start = [], Counter[int](), True
    for index in range(many):
        leaving = units[index]
        if at_start:
            seen[rolling] += 1
            hashes.append(f"{rolling:x}:{seen[rolling]}")
        at_start = leaving == _NEWLINE
        rolling = (rolling * _FACTOR + units[index + _WINDOW] - _LEAVING * leaving) & _MASK
    return hashes
