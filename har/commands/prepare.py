"""`har prepare`: raw files to a prepared store."""

from __future__ import annotations

from har.commands.parser import CommandParser
from har.datasets.registry import find_card
from har.windows.prepare import is_prepared, prepare, store_folder
from har.windows.store import Store

_EXAMPLES = """\
har prepare spar
har prepare spar --source ~/Downloads/watch_dataset.npy
har prepare my-card.yaml --source ~/recordings --root /data/har"""


def main(args: list[str]) -> int:
    """Prepare one data set, or say that it is prepared.

    Args:
        args: The command line after the command's name.

    Returns:
        0. Errors are raised, see `har.errors`.
    """
    parser = CommandParser("prepare", "Verify a data set's source, convert it to SI units, write its store.", _EXAMPLES)
    parser.add_argument("data_set", metavar="NAME|CARD.yaml", help="a built-in data set, or the file of a card")
    parser.add_argument("--source", metavar="PATH", help="the raw data: a folder, or the official archive")
    parser.add_argument("--download", action="store_true", help="download the raw data where they are not here")
    parser.add_argument("--root", metavar="FOLDER", help="the data root (default: $HAR_DATA, else ./data)")
    options = parser.parse_args(args)

    card = find_card(options.data_set)
    if is_prepared(card, options.root, thorough=True):
        folder = store_folder(card.name, options.root)
        print(f"{card.name} is already prepared: every file has the hash that its manifest states.")
    else:
        folder = prepare(card, source=options.source, root=options.root, thorough=True, allow_download=options.download)
        print(f"{card.name}: {_verified(Store.open(folder), has_facts=card.facts is not None)}")
    print(f"Store: {folder}")
    return 0


def _verified(store: Store, *, has_facts: bool) -> str:
    """Return the sentence that says what was counted, and whether the card states it."""
    counts = store.manifest["counts"]
    hours = counts["rows"] / store.rate_hz / 3600
    found = (
        f"{counts['recordings']} recordings of {len(store.subjects)} subjects, {counts['rows']} rows "
        f"({hours:.2f} h at {store.rate_hz:g} Hz), {counts['unlabelled_rows']} of them unlabelled"
    )
    if has_facts:
        return f"hash of the source, {found}, and rows per activity are as the card states."
    return f"hash of the source as the card states; {found}. The card states no counts to hold them against."
