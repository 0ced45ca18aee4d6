"""Sources: find the raw file of a card, and give out its bytes only when their hash is the card's."""

from __future__ import annotations

import hashlib
import importlib.metadata
from pathlib import Path

from har.datasets.card import Card
from har.errors import DataError


def locate(card: Card, source: str | Path | None = None) -> Path:
    """Return the file that the card's reader reads. Nothing is opened, and no foreign package is imported.

    Args:
        card: Names the installed distribution, its version and the file in it.
        source: Another place of the same file, or the folder that it lies in.

    Raises:
        DataError: The file is not there, the distribution is not installed, or it is another version.
    """
    wanted = card.source
    if wanted.kind != "distribution":
        return _folder(card, source)
    if wanted.distribution is None or wanted.version is None or wanted.file is None:
        raise DataError(f"source of {card.name}: no distribution is named.", "Complete the card.")
    if source is not None:
        path = Path(source)
        path = path / Path(wanted.file).name if path.is_dir() else path
        if not path.is_file():
            raise DataError(f"source of {card.name}: there is no file {path}.", f"Give the path of {wanted.file}.")
        return path
    requirement = f"{wanted.distribution}=={wanted.version}"
    hint = f"Install it: {_install(card)}, or give its file {wanted.file} with --source."
    try:
        distribution = importlib.metadata.distribution(wanted.distribution)
    except importlib.metadata.PackageNotFoundError:
        raise DataError(f"source of {card.name}: {requirement} is not installed.", hint) from None
    if distribution.version != wanted.version:
        found = f"{wanted.distribution} {distribution.version}"
        raise DataError(f"source of {card.name}: {found} is installed, not {wanted.version}.", hint)
    path = Path(str(distribution.locate_file(wanted.file)))
    if not path.is_file():
        raise DataError(f"source of {card.name}: {wanted.file} is missing from the installed {requirement}.", hint)
    return path


def _folder(card: Card, source: str | Path | None) -> Path:
    """Return the folder of a source that is no distribution."""
    if source is None:
        raise DataError(f"source of {card.name}: no folder is given.", "Name it with --source.")
    path = Path(source)
    if not path.is_dir():
        raise DataError(f"source of {card.name}: there is no folder {path}.", "Check the path of --source.")
    return path


def verified_bytes(card: Card, path: Path) -> bytes:
    """Read a file once and return its bytes if they are the ones that the card states.

    What is hashed is what is returned: nothing can be exchanged in between, which matters for a pickle.

    Raises:
        DataError: The SHA-256 differs.
    """
    content = path.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != card.source.sha256:
        raise DataError(
            f"source of {card.name}: {path} has SHA-256 {found}, not {card.source.sha256}; it was not unpacked.",
            f"The file is damaged or another version. Get it again: {_install(card)}",
        )
    return content


def _install(card: Card) -> str:
    """Return the command that installs the card's distribution, also over a damaged one."""
    return f"pip install --force-reinstall --no-deps {card.source.distribution}=={card.source.version}"
