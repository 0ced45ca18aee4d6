"""The section of a study's report that shows one recording: truth above decisions, and the kinds of errors."""

from __future__ import annotations

from har.evaluation.event_strip import Choice, Stretch, axis_of, choose, read, stretches
from har.evaluation.figures_timeline import timeline_figure
from har.evaluation.material import Material
from har.evaluation.numbers import Column, Table, number
from har.evaluation.page import Figure, Section

_MOST = 4  # variants; more would not fit a phone


def recording(material: Material) -> Section | None:
    """Return one recording on a time axis under the variants of the contrasts."""
    contrasts = [found for found in material.result["contrasts"] if found["differences"]]
    if not contrasts:
        return None
    first = next((found for found in contrasts if found["primary"]), contrasts[0])
    choice = choose(material.folder, material.gathered, first["a"], first["b"])
    if choice is None:
        return None
    names = dict.fromkeys([first["b"], first["a"], *material.shown])
    strips = {name: found for name in list(names)[:_MOST] if (found := _strip(material, choice, name))}
    table = _table(strips)
    svg = timeline_figure("timeline", strips, material.gathered.activities)
    return Section(
        "timeline",
        "A recording",
        lead=_lead(choice, first["a"], first["b"]),
        figures=[Figure("timeline", svg, _caption(choice), table)] if svg else [],
        files=[table],
    )


def _strip(material: Material, choice: Choice, name: str) -> list[Stretch]:
    """Return the stretches of one arm; none where its run does not count."""
    runs = [run for run in material.gathered.of(name) if (run.fold, run.repeat) == (choice.fold, choice.repeat)]
    timeline = axis_of(read(material.folder, runs[0]), choice.recordings) if runs else None
    return [] if timeline is None else stretches(timeline)


def _table(strips: dict[str, list[Stretch]]) -> Table:
    """Return every stretch of every variant."""
    columns = [Column("variant"), Column("from, s", "span"), Column("to, s", "span")]
    columns += [Column("truth"), Column("decision"), Column("error")]
    rows = [
        [name, one.start_s, one.end_s, one.truth or "(null)", one.decision or "(none)", one.category]
        for name, found in strips.items()
        for one in found
    ]
    note = (
        "Decisions are laid on the time axis as for events. Errors: frame categories of Ward et al. (2011), from the"
        " view of the activity that is true or, where none is, of the one that was decided."
    )
    return Table("timeline", "Truth and decisions of one recording", columns, rows, note)


def _lead(choice: Choice, a: str, b: str) -> str:
    """Return what is shown and by which rule it was chosen."""
    single = len(choice.recordings) == 1
    what = f"Recording {choice.recordings[0]} of subject {choice.subject}" if single else f"Subject {choice.subject}"
    rest = "" if single else ", all recordings one after the other, since each is of one activity"
    kind = "recordings whose activity changes" if single else "subjects"
    return (
        f"{what}{rest}: the one in the middle ({choice.rank} of {choice.of} {kind}) by the share of time that {a} and"
        f" {b} decide rightly in their first repeat, {number(choice.share, 'score')}."
    )


def _caption(choice: Choice) -> str:
    """Return what the rows are."""
    return (
        "Truth on top, below it the decisions of each variant, and below each a line that is coloured where they are"
        f" wrong, by the kind of error. Fold {choice.fold}, repeat {choice.repeat}."
    )
