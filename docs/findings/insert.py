"""From docs/results to docs/findings.md: the template's sentences stay, every number and every claim is put in."""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, StrictUndefined

from docs.findings import layers, words
from docs.findings.found import RECOMMENDED, Results
from docs.findings.pictures import picture
from docs.findings.readme import put_between_marks, show
from docs.findings.recommended import scores_and_verdicts
from har.evaluation.contrast import ALPHA, POWER, ROPE
from har.evaluation.numbers import number
from har.files import write_text

TEMPLATE = Path(__file__).with_name("template.md.jinja")
_PREFIX = "findings-"


def insert(into: Path) -> list[Path]:
    """Write `findings.md` and its figures from the results that lie beside it; figures that are no more are removed.

    Where a README lies above the folder, the table of the main study is put into it; where ``learners.md`` lies in it,
    the scores of the recommended learner.

    Args:
        into: The folder with ``results``.

    Returns:
        What was written.

    Raises:
        DataError: There are no results, or the text needs what they lack.
    """
    text, drawn = render(into / "results")
    images = into / "images"
    for old in images.glob(f"{_PREFIX}*.svg"):
        if old.name not in drawn:
            old.unlink()
    for name, svg in drawn.items():
        write_text(images / name, svg)
    write_text(into / "findings.md", text)
    readme, learners = into.parent / "README.md", into / "learners.md"
    if readme.is_file():
        show(readme, Results(into / "results"))
    if learners.is_file() and (results := Results(into / "results")).of(RECOMMENDED):
        put_between_marks(learners, scores_and_verdicts(results))
    return [into / "findings.md", *(images / name for name in drawn)]


def render(results: Path, template: str | None = None) -> tuple[str, dict[str, str]]:
    """Return the text and its figures by file name.

    Args:
        results: Where the CSV files lie.
        template: The template's text; None for `TEMPLATE`.
    """
    found = Results(results)
    drawn: dict[str, str] = {}

    def figure(name: str, caption: str) -> str:
        """Return a figure as Markdown; nothing where there is none."""
        file = f"{_PREFIX}{name}.svg"
        if svg := picture(found, name):
            drawn[file] = svg
        return f"![{caption}](images/{file})" if svg else ""

    # The text is Markdown and its values are numbers and names of studies: there is nothing to escape.
    environment = Environment(  # noqa: S701
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    environment.globals.update(
        results=found,
        figure=figure,
        words=words,
        layers=layers,
        number=number,
        level=f"{100 * (1 - ALPHA):g} %",
        alpha=f"{ALPHA:g}",
        power=f"{100 * POWER:g} %",
        rope=f"{number(ROPE, 'size')}",
    )
    source = TEMPLATE.read_text(encoding="utf-8") if template is None else template
    return environment.from_string(source).render(), drawn
