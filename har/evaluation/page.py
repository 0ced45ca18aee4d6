"""A page as data: sections of sentences, tables and figures, written as one HTML file and as Markdown.

The HTML needs no network: style, script and figures stand in it, and its content security policy lets nothing else
in. HTML, Markdown and CSV have the same cells. The one script (`templates/page.js`) sorts tables, saves a figure as SVG
and a table as CSV, and changes between light and dark; without it everything can be read. Every name comes from data
and is escaped. The same page gives the same bytes.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from har.evaluation.numbers import Table, escape_markdown, with_minus
from har.files import write_text

if TYPE_CHECKING:
    from jinja2 import Environment

_TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class Figure:
    """One figure of a page.

    Attributes:
        name: Unique name within the page: its anchor, the file it is saved as, and what `har report --figure` takes.
        svg: An ``<svg>`` element, as `har.evaluation.figures.draw_svg` returns it.
        caption: What it shows.
        data: The table with its numbers.
    """

    name: str
    svg: str
    caption: str
    data: Table


@dataclass(frozen=True)
class Fold:
    """Tables behind a line that opens them."""

    summary: str
    tables: Sequence[Table]


@dataclass(frozen=True)
class Section:
    """One section of a page, from top to bottom.

    Attributes:
        name: Unique name within the page, its anchor.
        title: Its heading.
        lead: A sentence or two on how to read it; may be empty.
        figures: Its figures, side by side where there is room.
        sentences: What is found, one sentence a line.
        tables: Tables that are shown; those without rows are left out.
        folds: Tables that a reader opens, and sees in Markdown as they are.
        files: Tables that stand in their own files alone.
    """

    name: str
    title: str
    lead: str = ""
    figures: Sequence[Figure] = ()
    sentences: Sequence[str] = ()
    tables: Sequence[Table] = ()
    folds: Sequence[Fold] = ()
    files: Sequence[Table] = ()

    @property
    def shown(self) -> list[Table]:
        """The tables that pages show, open ones first."""
        found = [*self.tables, *(table for fold in self.folds for table in fold.tables)]
        return [table for table in found if table.rows]


@dataclass(frozen=True)
class Page:
    """A page.

    Attributes:
        title: Name of the browser's window.
        kicker: The line above the heading.
        heading: The question.
        answer: The answer, a sentence a paragraph.
        sections: Its sections, in order.
        boxes: Title to names and texts: protocol, provenance.
        commands: What a command does, and the command.
        problems: What to know before reading on.
        notes: What else to know.
        again: The command that makes the page again.
        draws: Whether that command draws one figure alone with ``--figure NAME``.
        footer: The last line.
    """

    title: str
    kicker: str
    heading: str
    answer: Sequence[str]
    sections: Sequence[Section]
    boxes: dict[str, dict[str, str]]
    commands: Sequence[tuple[str, str]]
    problems: Sequence[str] = ()
    notes: Sequence[str] = ()
    again: str = ""
    draws: bool = False
    footer: str = ""
    figures: dict[str, Figure] = field(init=False)

    def __post_init__(self) -> None:
        """Collect the figures by name."""
        object.__setattr__(self, "figures", {found.name: found for part in self.sections for found in part.figures})

    @property
    def unseen(self) -> list[Table]:
        """The data of figures that the page does not show as tables: it carries them as CSV."""
        shown = {table.name for section in self.sections for table in section.shown}
        found = {figure.data.name: figure.data for figure in self.figures.values()}
        return [table for name, table in found.items() if name not in shown]

    def html(self) -> str:
        """Return the page as one HTML file."""
        script = (_TEMPLATES / "page.js").read_text(encoding="utf-8")
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        return _environment().get_template("page.html").render(page=self, script=script, digest=digest)

    def markdown(self) -> str:
        """Return the page as Markdown, without its figures."""
        return _environment().get_template("page.md").render(page=self)

    def write_tables(self, folder: Path) -> None:
        """Write every table as CSV into a folder, those that the page does not show too."""
        for section in self.sections:
            tables = [*section.tables, *(table for fold in section.folds for table in fold.tables), *section.files]
            for table in tables:
                write_text(folder / f"{table.name}.csv", table.csv())


def _environment() -> Environment:
    """Return the template environment: HTML is escaped, an undefined name is an error."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"markdown": escape_markdown, "minus": with_minus, "slug": _slug}
    return environment


def _slug(text: Any) -> str:
    """Return a text as the name of a CSS class."""
    return str(text).replace(" ", "-")
