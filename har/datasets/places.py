"""Places: where in its file a card is wrong.

What is wrong with a card is a sentence that begins with a key (`files.tables[0].path: …`). The key is that of the
expanded card; here it becomes the one that the person wrote, and gets its line.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

_UNKNOWN_KEY = re.compile(r"(?:(?P<above>[^:]+): )?key '(?P<key>[^']+)' is not known")


def as_written(problems: Iterable[str], written: dict[str, str]) -> list[str]:
    """Return sentences about an expanded card with the keys that were written.

    Args:
        problems: Sentences that begin with a key.
        written: Key of the expanded card → key that was written, as `har.datasets.shorthand.expand` returns it.
    """
    said = []
    for problem in problems:
        key = _longest(problem, written)
        said.append(written[key] + problem[len(key) :] if key else problem)
    return said


def in_their_lines(problems: Iterable[str], lines: dict[str, int]) -> list[str]:
    """Return sentences in the order of the lines that they are about, each once and with its line in front.

    Args:
        problems: Sentences that begin with a key that was written; one without stands first.
        lines: Line of each key, as `har.strict_yaml.key_lines` returns it.
    """
    found = [(_line(problem, lines), problem) for problem in dict.fromkeys(problems)]
    return [f"line {line}: {problem}" if line else problem for line, problem in sorted(found, key=lambda it: it[0])]


def _line(problem: str, lines: dict[str, int]) -> int:
    """Return the line of what a sentence is about, 0 where it is about the whole card."""
    if unknown := _UNKNOWN_KEY.match(problem):
        problem = f"{unknown['above']}.{unknown['key']}:" if unknown["above"] else f"{unknown['key']}:"
    return lines.get(_longest(problem, lines), 0)


def _longest(problem: str, keys: Iterable[str]) -> str:
    """Return the longest of the keys that a sentence begins with, empty where there is none."""
    begins = [
        key for key in keys if problem.startswith(key) and problem[len(key) : len(key) + 1] in (":", ".", "[", " ")
    ]
    return max(begins, key=len, default="")
