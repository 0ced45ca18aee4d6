"""Seeds as functions of names: every random draw of a run has an address, and nothing depends on call order."""

from __future__ import annotations

import hashlib


def derive_seed(*parts: str | int) -> int:
    """Return the seed that belongs to an address such as ``(seed, "batches", epoch)``.

    Args:
        *parts: The address, from the general to the particular.

    Returns:
        An integer in [0, 2³¹), the same on every machine and in every process.
    """
    text = "\x1f".join(f"{type(part).__name__}:{part}" for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") >> 1
