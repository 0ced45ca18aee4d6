"""Variants with seeds of their own: the same training once more, to see what chance alone does to a contrast.

All variants of a study share their seeds. A variant with `seed_offset` does not, so that a variant declared twice, once
with an offset, makes a null study: its contrast differs from 0 by chance alone.

    variants:
      input: {model.norm.placement: input}
      input-again: {model.norm.placement: input, seed_offset: 1}
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

KEY = "seed_offset"


def read_offsets(variants: Mapping[str, dict[str, Any]]) -> tuple[dict[str, dict[str, Any]], dict[str, int], list[str]]:
    """Take the offsets out of the variants of a study file.

    Args:
        variants: Name to what the file says of it.

    Returns:
        The overrides of each variant, the offsets of those that have one, and a sentence for each mistake.
    """
    overrides = {name: {key: value for key, value in own.items() if key != KEY} for name, own in variants.items()}
    offsets: dict[str, int] = {}
    problems = []
    for name, own in variants.items():
        given = own.get(KEY, 1)
        if not isinstance(given, int) or isinstance(given, bool) or given < 1:
            problems.append(f"variant {name!r}: {KEY} is {given!r}; it must be a whole number of at least 1.")
        elif KEY in own:
            offsets[name] = given
    return overrides, offsets, problems


def offset_notes(offsets: Mapping[str, int]) -> list[str]:
    """Return what a reader must know of variants whose seeds are not those of the others."""
    return [f"Variant {name} has seeds of its own ({KEY} {offset})." for name, offset in offsets.items()]
