"""The line hash of GitHub: its published vectors, and a slow calculation that follows the words of its source."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mldebt.report.linehash import line_hashes

LOREM = ["a7f2ff13bc495cf2:1", "a7f2ff13bc495cf2:2", "a7f2ff13bc495cf2:3", "a7f2ff13bc495cf2:4", "a7f2ff13bc495cf2:5"]
LOREM += ["a7f2ff13bc495cf2:6", "a7f2ff1481e87703:1", "a9cf91f7bbf1862b:1", "55ec222b86bcae53:1", "cc97dc7b1d7d8f7b:1"]
GREETINGS = [
    "e9496ae3ebfced30:1",
    "fb7c023a8b9ccb3f:1",
    "ce8ba1a563dcdaca:1",
    "e20e36e16fcb0cc8:1",
    "b3edc88f2938467e:1",
    "c8e28b0b4002a3a0:1",
    "c129715d7a2bc9a3:1",
]


@pytest.mark.parametrize(
    ("text", "hashes"),
    [
        ("", ["c129715d7a2bc9a3:1"]),
        (" a\nb\n  \t\tc\n d", ["271789c17abda88f:1", "54703d4cd895b18:1", "180aee12dab6264:1", "a23a3dc5e078b07b:1"]),
        (
            " hello; \t\nworld!!!\n\n\n  \t\tGreetings\n End",
            [
                "8b7cf3e952e7aeb2:1",
                "b1ae1287ec4718d9:1",
                "bff680108adb0fcc:1",
                "c6805c5e1288b612:1",
                "b86d3392aea1be30:1",
                "e6ceba753e1a442:1",
            ],
        ),
        (" hello; \t\nworld!!!\n\n\n  \t\tGreetings\n End\n", GREETINGS),
        (" hello; \t\nworld!!!\r\r\r  \t\tGreetings\r End\r", GREETINGS),
        (" hello; \t\r\nworld!!!\r\n\r\n\r\n  \t\tGreetings\r\n End\r\n", GREETINGS),
        (" hello; \t\nworld!!!\r\n\n\r  \t\tGreetings\r End\r\n", GREETINGS),
        ("Lorem ipsum dolor sit amet.\n" * 10, [*LOREM, "c129715d7a2bc9a3:1"]),
    ],
)
def test_the_vectors_of_codeql_action(text: str, hashes: list[str]) -> None:
    assert line_hashes(text) == hashes


def slowly(text: str) -> list[str]:
    units: list[int] = []
    starts = [0]
    characters = text.replace("\r\n", "\n").replace("\r", "\n").replace(" ", "").replace("\t", "")
    data = characters.encode("utf-16-be", "surrogatepass")
    for index in range(0, len(data), 2):
        units.append(data[index] * 256 + data[index + 1])
        if units[-1] == 10:
            starts.append(len(units))
    units += [65535, *[0] * 100]
    seen: dict[int, int] = {}
    found = []
    for start in starts:
        value = sum(unit * 37 ** (99 - place) for place, unit in enumerate(units[start : start + 100])) % 2**64
        seen[value] = seen.get(value, 0) + 1
        found.append(f"{value:x}:{seen[value]}")
    return found


@given(st.text(st.sampled_from("ab \t\r\né𝛼"), max_size=400))
def test_any_text_hashes_as_the_definition_says(text: str) -> None:
    assert line_hashes(text) == slowly(text)
