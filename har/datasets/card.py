"""Cards: the facts of a data set, in YAML, and what `har prepare` holds against its files.

A card states licence, citation, source with hash, rate, channels with unit and body site, activities and their codes,
subjects, splits and counts. It is read into frozen dataclasses: the fields below are the keys of the file, and a field
without a default is a key that must be there. Every error of a card is reported at once. What people may write shorter
stands in `har.datasets.shorthand`; `docs/cards.md` describes every key.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from har.datasets.recipe import Recipe
from har.errors import DataError, candidates
from har.files import sha256_of_json

# What people read and no number depends on: a corrected citation must not make a prepared store, or a finished run
# on it, look like another one.
_PROSE = ("title", "licence", "citation", "homepage", "caution")


@dataclasses.dataclass(frozen=True)
class Channel:
    """One column of the signal.

    Attributes:
        name: Of the channel, different for each.
        sensor: Such as ``accelerometer`` or ``gyroscope``.
        site: Place on the body, such as ``wrist``.
        axis: ``x``, ``y``, ``z``, or ``-`` where there is none.
        unit: In which the source states it; the store has SI units.
    """

    name: str
    sensor: str
    site: str
    axis: str
    unit: str


@dataclasses.dataclass(frozen=True)
class Activity:
    """One activity.

    Attributes:
        code: As the source writes it.
        name: Used everywhere in the project.
        title: For people, where the name says too little.
    """

    code: int | str
    name: str
    title: str = ""


@dataclasses.dataclass(frozen=True)
class Archive:
    """One file to be downloaded.

    Attributes:
        name: Of the file, as it is kept on this machine.
        url: Where it is; None where it must be fetched by hand from the homepage.
        sha256: Of the file, where somebody has stated it.
        bytes: Its size, where it is known.
    """

    name: str
    url: str | None = None
    sha256: str | None = None
    bytes: int | None = None


@dataclasses.dataclass(frozen=True)
class Tree:
    r"""The relevant files of a folder by one hash.

    Attributes:
        files: Pattern of their paths, relative to the source's root, such as ``RawData/*.txt``.
        sha256: SHA-256 of the lines ``<SHA-256 of file>␠␠<path relative to the root>\n``, sorted by path.
    """

    files: str
    sha256: str


@dataclasses.dataclass(frozen=True)
class Source:
    """Where the raw data are.

    Attributes:
        kind: ``distribution``: a file of an installed Python distribution; ``download``: archives; ``folder``: a
            folder that `--source` names.
        distribution: Its name, for that kind.
        version: Its version.
        file: The file in it.
        sha256: Of that file.
        archives: What is downloaded.
        root: The folder inside the unpacked archives from where paths are counted; None for their top.
        tree: Hash of the files that matter, where it is known.
    """

    kind: str
    distribution: str | None = None
    version: str | None = None
    file: str | None = None
    sha256: str | None = None
    archives: tuple[Archive, ...] = ()
    root: str | None = None
    tree: Tree | None = None


@dataclasses.dataclass(frozen=True)
class Facts:
    """Counts over the raw recordings that `har prepare` proves; a fact that is None is not stated.

    Attributes:
        recordings: Recordings that the reader yields.
        rows: Their samples.
        rows_per_activity: Samples by the activity's name.
        files: Files with signals.
        labelled_rows: Samples that have an activity.
        verified: Whether somebody counted them in the files; False where they were taken from documents or memory.
    """

    recordings: int | None = None
    rows: int | None = None
    rows_per_activity: dict[str, int] = dataclasses.field(default_factory=dict)
    files: int | None = None
    labelled_rows: int | None = None
    verified: bool = True


@dataclasses.dataclass(frozen=True)
class Split:
    """An official or customary split. An entry is a subject, or ``subject/trial`` where it divides a subject.

    Attributes:
        train: Who trains.
        test: Who is tested.
        validation: Who chooses the step; empty where `data.validation_subjects` of the training subjects do.
    """

    train: tuple[str, ...]
    test: tuple[str, ...]
    validation: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Format:
    """How a table is written.

    Attributes:
        delimiter: One character, or ``whitespace``: any number of blanks and tabs.
        header: Whether the first line names the columns.
        skip_rows: Lines before the header, or before the first row.
        comment: A sign that begins lines to be passed over.
        decimal: The decimal sign.
        strip: Characters that are cut off the end of each line.
        missing: Cells that stand for a missing value; an empty cell and ``NaN`` always do.
        variable: The file is a MATLAB file (version 5), and this is its matrix; columns go by number.
    """

    delimiter: str = ","
    header: bool = True
    skip_rows: int = 0
    comment: str | None = None
    decimal: str = "."
    strip: str | None = None
    missing: tuple[str, ...] = ()
    variable: str | None = None


@dataclasses.dataclass(frozen=True)
class Time:
    """The timestamps of a table.

    Attributes:
        column: By 1-based number or name.
        unit: ``s``, ``ms``, ``us``, ``ns``, or ``datetime`` (ISO 8601).
    """

    column: int | str
    unit: str = "s"


@dataclasses.dataclass(frozen=True)
class Table:
    """One kind of file of a recording.

    Attributes:
        path: Pattern of its paths: ``{name}`` is a group of any characters but ``/``, ``{name:d}`` one of digits whose
            leading zeros do not count, ``*`` is anything but ``/``.
        columns: Channel → the columns that are added up to it, by 1-based number or by name.
        format: How it is written.
        time: Its timestamps.
        groups: Group → column, for groups that stand in the file and not in its name; the rows are cut where one of
            them changes.
    """

    path: str
    columns: dict[str, tuple[int | str, ...]]
    format: Format = Format()
    time: Time | None = None
    groups: dict[str, int | str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Intervals:
    """A file of labelled intervals.

    Attributes:
        path: Pattern of its path; its groups must be groups of the recordings.
        columns: ``activity``, ``start``, ``stop``, and groups of the recordings → column.
        format: How it is written.
        counting: ``samples-from-1`` (1-based, the stop belongs to the interval), ``samples-from-0`` (0-based, the stop
            does not), ``seconds`` (of the clock of the timestamps) or ``seconds-from-start`` (of the recording).
    """

    path: str
    columns: dict[str, int | str]
    counting: str
    format: Format = Format()


@dataclasses.dataclass(frozen=True)
class Label:
    """Where the activity of a sample stands when it is no group: in a column of the first table, or in intervals.

    Attributes:
        column: By 1-based number or name.
        intervals: The file of intervals.
        unlabelled: Codes that mean no activity; an empty cell always does.
        drop: Codes whose samples are no data: they are left out, and the recording ends there.
    """

    column: int | str | None = None
    intervals: Intervals | None = None
    unlabelled: tuple[int | str, ...] = ()
    drop: tuple[int | str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Files:
    """What the reader `files` reads.

    Attributes:
        tables: The files of a recording; all of them have the same groups.
        join: ``row``: row n of all files is the same moment; ``time``: each file has a clock column.
        chain: A group whose values number consecutive pieces of one recording.
        label: Where the activities stand, unless a group is called ``activity``.
        incomplete: ``refuse``, or ``leave-out``: recordings that lack a file are counted and not prepared.
    """

    tables: tuple[Table, ...]
    join: str = "row"
    chain: str | None = None
    label: Label | None = None
    incomplete: str = "refuse"


@dataclasses.dataclass(frozen=True)
class Card:
    """The facts of one data set. See the module's text.

    Attributes:
        name: Small letters, digits and ``-``; names the store's folder.
        source: Where the raw data are.
        reader: ``files`` for tables, or the module that reads an odd layout.
        rate_hz: The nominal rate; holds where there are no timestamps.
        channels: Columns of the signal, in the store's order.
        activities: All of them; a label is an index into this list.
        null_activity: Name of the activity that means none of the others, if there is one.
        subjects: All of them; where they are stated they must be there.
        extras: Groups of the files that stand beside subject and trial of each recording.
        facts: Counts that must hold.
        title: For people.
        licence: Of the data, as its publisher words it.
        citation: What to cite.
        homepage: Where the data set is described.
        files: How the reader ``files`` reads them.
        splits: Official or customary splits by name, for `data.folds`.
        preparation: The recipe that `har prepare` takes when the command line gives no other.
        caution: What every run and report on the data must say; empty for nothing.
    """

    name: str
    source: Source
    reader: str
    rate_hz: float
    channels: tuple[Channel, ...]
    activities: tuple[Activity, ...]
    null_activity: str | None = None
    subjects: tuple[str, ...] = ()
    extras: tuple[str, ...] = ()
    facts: Facts | None = None
    title: str = ""
    licence: str = ""
    citation: str = ""
    homepage: str = ""
    files: Files | None = None
    splits: dict[str, Split] = dataclasses.field(default_factory=dict)
    preparation: Recipe = dataclasses.field(default_factory=Recipe)
    caution: str = ""

    def content(self) -> dict[str, Any]:
        """Return all that a store depends on, as JSON values: the card without its prose and addresses."""
        values = dataclasses.asdict(self)
        for archive in values["source"]["archives"]:
            del archive["url"]
        return {key: value for key, value in values.items() if key not in _PROSE}

    @property
    def sha256(self) -> str:
        """SHA-256 of `content`: two cards with the same one make the same store."""
        return sha256_of_json(self.content())

    def label_of(self, code: object, place: str) -> int:
        """Return the index of the activity with the source's `code`.

        Args:
            code: A code as the source writes it.
            place: Where it was read, for the message.

        Raises:
            DataError: No activity of the card has this code.
        """
        codes = [activity.code for activity in self.activities]
        if code not in codes:
            what = f"{self.name}, {place}: activity code {code!r} is not in the card."
            raise DataError(what, candidates(code, codes))
        return codes.index(code)
