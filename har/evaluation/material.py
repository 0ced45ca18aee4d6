"""What the sections of a study's report are made of: its runs, what was found of them, its tables, its colours."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from har.evaluation.arms import parts_of
from har.evaluation.figures import OKABE_ITO, looks_of
from har.evaluation.gathering import Gathered
from har.evaluation.numbers import Table
from har.evaluation.tables import study_tables

_MOST = len(OKABE_ITO)  # arms of a figure: as many as there are colours to tell apart


@dataclass(frozen=True)
class Material:
    """A study, gathered and judged.

    Attributes:
        folder: Its folder.
        gathered: Its runs.
        result: The content of `contrasts.json`.
    """

    folder: Path
    gathered: Gathered
    result: dict[str, Any]

    @cached_property
    def tables(self) -> dict[str, Table]:
        """The tables of scores and of training, by name."""
        return study_tables(self.result, self.gathered)

    @cached_property
    def looks(self) -> dict[str, dict[str, Any]]:
        """Colour and marker of every arm that figures may show: variants, and inferences that a contrast names."""
        named = self._named()
        return looks_of(name for name in self.result["variants"] if "@" not in name or name in named)

    @cached_property
    def shown(self) -> dict[str, dict[str, Any]]:
        """Looks of the arms of a crowded figure: those of the contrasts first, at most eight, in the study's order."""
        first = [name for name in self._named() if name in self.looks]
        chosen = list(dict.fromkeys([*first, *self.looks]))[:_MOST]
        return {name: look for name, look in self.looks.items() if name in chosen}

    @cached_property
    def trained(self) -> dict[str, dict[str, Any]]:
        """Looks of the variants whose arms are shown; training has no other inferences."""
        variants = {parts_of(name)[0] for name in self.shown}
        return {name: look for name, look in self.looks.items() if name in variants}

    def left_out(self) -> str:
        """Return the sentence that says how many arms crowded figures leave out; empty where they leave out none."""
        rest = len(self.result["variants"]) - len(self.shown)
        return f" Shown are {len(self.shown)} of {len(self.result['variants'])}; the tables have all." if rest else ""

    def _named(self) -> list[str]:
        """Return the arms that contrasts name, in their order."""
        return list(dict.fromkeys(found[side] for found in self.result["contrasts"] for side in ("a", "b")))
