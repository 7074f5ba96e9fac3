"""Words that are another word but for a slip of the keyboard."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

_SHORTEST, _SHORTEST_REPLACED, _SHORTEST_EXCHANGED = 4, 6, 3
_ENDINGS = "sdrny"


def is_slip(word: str, other: str) -> bool:
    """Whether one letter is missing, doubled, wrong or two are exchanged, and both are not likely to be meant.

    Differences of case, of digits, of ``-`` and ``_``, and endings such as a plural are not slips; in short words a
    wrong letter makes another word (test, text), so that is none either.
    """
    if word == other or word.lower() == other.lower():
        return False
    if min(len(word), len(other)) < (_SHORTEST_EXCHANGED if len(word) == len(other) else _SHORTEST):
        return False
    if len(word) == len(other):
        at = [i for i, (a, b) in enumerate(zip(word, other, strict=True)) if a != b]
        if len(at) == 2 and at[1] == at[0] + 1:
            return word[at[0]] == other[at[1]] and word[at[1]] == other[at[0]] and word.isalpha()
        letters = len(at) == 1 and (word[at[0]] + other[at[0]]).isalpha()
        return letters and len(word) >= _SHORTEST_REPLACED and 0 < at[0] < len(word) - 1
    short, long = sorted((word, other), key=len)
    if len(long) != len(short) + 1 or long[1:] == short:
        return False
    if long[:-1] == short and long[-1] in _ENDINGS:
        return False
    at_one = next((i for i, (a, b) in enumerate(zip(short, long, strict=False)) if a != b), len(short))
    return long[at_one].isalpha() and short[at_one:] == long[at_one + 1 :] and len(long) > _SHORTEST


def nearest(word: str, known: Iterable[str]) -> str:
    """The known word most like it; "" when none is."""
    return next(iter(get_close_matches(word, sorted(known), n=1, cutoff=0.7)), "")


def shortened(word: str) -> set[str]:
    """The word, and what is left of it without one letter: two words a slip apart have one of these in common."""
    return {word, *(word[:at] + word[at + 1 :] for at in range(len(word)))}
