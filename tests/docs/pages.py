"""What README and docs say that can be checked: command lines, code spans, links."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [
    *(
        ROOT / name
        for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "data/README.md", "benchmarks/README.md")
    ),
    *sorted((ROOT / "docs").rglob("*.md")),
]
_FENCE = re.compile(r"^```(\w*)$")
_BEGIN = re.compile(r"(?:.* \| )?((?:[A-Z_]+=\S+ )*(?:har|make|python -m) .+)")  # behind a pipe, or variables
_BESIDE = re.compile(r"\s{3,}\S.*$")  # what an indented line says beside its command
_SPAN = re.compile(r"(?<!`)`((?:har|make|python -m) [^`]+)`")
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


@dataclass(frozen=True)
class Command:
    """A command line of a page.

    Attributes:
        page: Relative to the project.
        line: Counted from 1.
        text: As it stands there, without what is said beside it.
    """

    page: str
    line: int
    text: str

    @property
    def words(self) -> list[str]:
        """The words of the program and its arguments, without variables, comments and redirections."""
        words = shlex.split(
            self.text.replace("[", " ").replace("]", " ") if self.is_module else self.text, comments=True
        )
        while re.match(r"[A-Z_]+=", words[0]):
            words.pop(0)
        end = next((place for place, word in enumerate(words) if word in "<>"), len(words))
        return words[:end]

    @property
    def is_module(self) -> bool:
        """Whether it runs a module of the project's own; there brackets are round options that may be left out."""
        return "python -m " in self.text

    @property
    def read(self) -> str | None:
        """The file that its standard input comes from."""
        return self._behind("<")

    @property
    def written(self) -> str | None:
        """The file that its standard output goes to."""
        return self._behind(">")

    def _behind(self, sign: str) -> str | None:
        words = shlex.split(self.text, comments=True)
        return words[words.index(sign) + 1] if sign in words else None

    def __str__(self) -> str:
        return f"{self.page}:{self.line}: {self.text}"


def commands(page: Path) -> Iterator[Command]:
    """Yield the command lines of a page: in blocks of a shell, and in indented ones."""
    fence: str | None = None
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), start=1):
        mark = _FENCE.match(line)
        if mark:
            fence = None if fence is not None else mark[1]
            continue
        indented = fence is None and line.startswith("    ")
        if indented or fence in ("sh", "bash"):
            found = _BEGIN.fullmatch(line.strip())
            if found:
                yield Command(page.relative_to(ROOT).as_posix(), number, _BESIDE.sub("", found[1]))


def spans(page: Path) -> Iterator[Command]:
    """Yield what stands between single backquotes and begins like a command."""
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), start=1):
        for text in _SPAN.findall(line.replace("\\|", "/")):
            yield Command(page.relative_to(ROOT).as_posix(), number, text)


def links(page: Path) -> Iterator[tuple[int, str]]:
    """Yield line and target of every link to a file of the project."""
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), start=1):
        for target in _LINK.findall(line):
            if "://" not in target:
                yield number, target
