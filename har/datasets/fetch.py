"""Sources: find the raw data of a card, and give nothing out that is not what the card states.

The ladder for data that are downloaded, from the first rung that holds:

    prepared   `har.windows.prepare` found a matching store, and nobody asks for the source
    unpacked   <data root>/raw/<archive>/files, or what a person unpacked into <data root>/raw/<archive>
    archive    <data root>/raw/<archive>/<archive>.zip: hash checked, unpacked
    download   where it was allowed: into the place above, resumed, hash checked, unpacked
    nothing    an error with both ways out: the command that downloads, and `--source`

`--source` names a folder or an archive in place of the last four. A damaged file is an error and never downloaded over.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import re
from pathlib import Path

from filelock import FileLock

from har.datasets.archive import begins_as_zip, is_archive, unpack
from har.datasets.card import Archive, Card
from har.datasets.download import check_archive, download
from har.datasets.recording import natural_order
from har.datasets.registry import card_names
from har.errors import DataError
from har.files import data_root, has_leftovers, parse_json, recover_folder, sha256_of_file, write_json

_RECORD = ".archives.json"  # which archives a folder was unpacked from, by their hashes


def locate(
    card: Card,
    source: str | Path | None = None,
    *,
    root: str | Path | None = None,
    allow_download: bool = False,
) -> Path:
    """Return the file or folder that the card's reader reads, after it was found to be what the card states.

    Args:
        card: Names its source.
        source: Another place of it: the file, the folder, or the archive.
        root: The data root.
        allow_download: Whether archives that are not here may be downloaded.

    Raises:
        DataError: It is not here, damaged, or not what the card states; the message says what to do.
        OSError: The disk is full where something is downloaded or unpacked.
    """
    if card.source.kind == "distribution":
        return _distributed(card, source)
    return _located(card, source, raw_folder(card, root), allow_download=allow_download)


def raw_folder(card: Card, root: str | Path | None = None) -> Path:
    """Return where the raw data of a card lie: archives, and what was unpacked from them in `files`.

    Cards of one archive share its folder.
    """
    archives = card.source.archives
    return data_root(root) / "raw" / (Path(archives[0].name).stem if archives else card.name)


def holds_data(card: Card, place: Path) -> bool:
    """Return whether a place that a person names is a folder of a card's data, or holds one: no archive, no file."""
    return card.source.kind != "distribution" and place.is_dir() and _find(card, place) is not None


def rung(card: Card, root: str | Path | None = None) -> str:
    """Return how far a source is away, without hashing anything: unpacked, archive, download, installed or source."""
    if card.source.kind == "distribution":
        try:
            _distributed(card, None)
        except DataError:
            return "install"
        return "installed"
    raw = raw_folder(card, root)
    if _find(card, raw / "files") or _find(card, raw):
        return "unpacked"
    if card.source.archives and all((raw / archive.name).is_file() for archive in card.source.archives):
        return "archive"
    return "download" if _can_be_downloaded(card) else "source"


def _can_be_downloaded(card: Card) -> bool:
    """Return whether the card has an address for every archive."""
    return bool(card.source.archives) and all(archive.url for archive in card.source.archives)


def _located(card: Card, source: str | Path | None, raw: Path, *, allow_download: bool) -> Path:
    """Climb the ladder; return the folder from where the card's paths are counted."""
    if has_leftovers(raw / "files"):
        with FileLock(raw / ".lock"):
            recover_folder(raw / "files")
    if source is not None:
        return _given(card, Path(source), raw)
    archives = card.source.archives
    if found := _find(card, raw / "files"):
        _check_record(card, raw / "files")
        return _checked(card, found)
    if found := _find(card, raw):
        return _checked(card, found)
    missing = [archive for archive in archives if not (raw / archive.name).is_file()]
    if not archives or (missing and not (allow_download and _can_be_downloaded(card))):
        raise _absent(card, raw)
    raw.mkdir(parents=True, exist_ok=True)
    with FileLock(raw / ".lock"):  # of two that want it, one works and the other waits
        if not _find(card, raw / "files"):
            for archive in missing:
                _require_archive(archive, download(archive, raw))
            return _unpacked(card, [raw / archive.name for archive in archives], raw, has_hash=True)
    return _located(card, None, raw, allow_download=False)


def _require_archive(archive: Archive, path: Path) -> None:
    """Remove what was downloaded and is no archive: a server's page that says so, for example."""
    if not is_archive(path):
        begin = path.read_bytes()[:40]
        path.unlink()
        raise DataError(
            f"what {archive.url} sends is no archive: it begins with {begin!r}.",
            "Get the archive by hand from the homepage, and give it with --source.",
        )


def _given(card: Card, place: Path, raw: Path) -> Path:
    """Return the folder of what `--source` names: a folder, an archive, or a folder of archives."""
    if not place.exists():
        raise DataError(f"source of {card.name}: there is no folder or file {place}.", "Check the path of --source.")
    if place.is_dir():
        if found := _find(card, place):
            return _checked(card, found)
        paths = [place / archive.name for archive in card.source.archives]
        if not paths or not all(path.is_file() for path in paths):
            names = " or ".join(archive.name for archive in card.source.archives)
            raise DataError(
                f"source of {card.name}: {place} does not hold {_looked_for(card)}{f', nor {names}' if names else ''}.",
                _what_to_give(card, place, place),
            )
    elif len(card.source.archives) > 1:
        names = ", ".join(archive.name for archive in card.source.archives)
        raise DataError(f"source of {card.name}: it needs {names}, and {place} is one file.", "Give their folder.")
    elif not is_archive(place) and begins_as_zip(place):
        raise DataError(f"source of {card.name}: {place} is a zip that is cut off or damaged.", "Get it again.")
    elif not is_archive(place):
        raise DataError(
            f"source of {card.name}: {place} is neither a folder nor a zip or tar archive.",
            _what_to_give(card, place.parent, place.parent),
        )
    else:
        paths = [place]
    raw.mkdir(parents=True, exist_ok=True)
    with FileLock(raw / ".lock"):
        return _unpacked(card, paths, raw, has_hash=bool(card.source.archives))


def _what_to_give(card: Card, folder: Path, shown: str | Path) -> str:
    """Return what `--source` names; of a person's own data, with what is in the folder, which is called `shown`."""
    if card.source.kind != "folder":
        return "Give the folder that the archive unpacks to, or the archive itself."
    there = natural_order(path.name for path in folder.iterdir() if not path.name.startswith("."))[:6]
    listed = f"; in {shown} are: {', '.join(there)}" if there else f"; {shown} is empty"
    return f"Give the folder that paths in the card are counted from, or correct them{listed}."


def _unpacked(card: Card, paths: list[Path], raw: Path, *, has_hash: bool) -> Path:
    """Check archives and unpack them into `raw/files`; return the folder from where the card's paths are counted."""
    if has_hash:
        digests = [check_archive(archive, path) for archive, path in zip(card.source.archives, paths, strict=True)]
    else:
        digests = [sha256_of_file(path) for path in paths]
    folder, record = raw / "files", dict(zip((path.name for path in paths), digests, strict=True))

    def accept(part: Path) -> None:
        """Refuse what is not the card's before it takes the place of what may be."""
        write_json(part / _RECORD, record)
        found = _find(card, part)
        if found is None:
            raise DataError(
                f"source of {card.name}: {', '.join(record)} does not hold {_looked_for(card)}; {folder} is as it was.",
                "It is another archive, or another version of it."
                if card.source.kind == "download"
                else _what_to_give(card, part, " and ".join(record)),
            )
        _checked(card, found, shown=" and ".join(record))

    unpack(paths, folder, accept)
    found = _find(card, folder)
    if found is None:
        raise RuntimeError(f"{folder} is not what was accepted")
    return found


def _check_record(card: Card, folder: Path) -> None:
    """Refuse a folder that was unpacked from other archives than the card states."""
    path = folder / _RECORD
    stated = {archive.sha256 for archive in card.source.archives if archive.sha256}
    if path.is_file() and not stated <= set(parse_json(path.read_text("utf-8")).values()):
        raise DataError(
            f"source of {card.name}: {folder} was unpacked from another archive than the card states.",
            f"Remove {folder} and run the command again.",
        )


def _find(card: Card, place: Path) -> Path | None:
    """Return the folder from where the card's paths are counted, at or below the place that is given.

    A person may name the folder that an archive was unpacked into, the card's `root` in it, or any on the way; and what
    was unpacked may lie in a folder of its own, or in two, as programs and publishers like to do.
    """
    steps = Path(card.source.root or ".").parts
    tails = [Path(*steps[i:]) for i in range(len(steps) + 1)]
    for top in (*_packed_folder(card, place), place):
        for tail in tails:
            if _holds(card, top / tail, top):
                return top / tail
    if card.source.kind == "download":
        whole = Path(*steps)
        inner = [path for pattern in ("*/", "*/*/") for path in sorted(place.glob(pattern)) if path.is_dir()]
        found = [path / whole for path in inner if _holds(card, path / whole, path)]
        if len(found) == 1:
            return found[0]
    return None


def _packed_folder(card: Card, place: Path) -> list[Path]:
    """Return the folder that a person's own archive holds, where it holds nothing else: that is how people pack."""
    if card.source.kind != "folder" or not (place / _RECORD).is_file():
        return []
    inner = [path for path in place.iterdir() if not path.name.startswith(".")]
    return inner if len(inner) == 1 and inner[0].is_dir() else []


def _holds(card: Card, folder: Path, place: Path) -> bool:
    """Return whether a folder has files of the card; where the card names none, whether it is the card's root."""
    if not folder.is_dir():
        return False
    if patterns := _patterns(card):
        return any(next(folder.glob(pattern), None) is not None for pattern in patterns)
    return folder != place or card.source.root is None or place.name == Path(card.source.root).name


def _patterns(card: Card) -> list[str]:
    """Return patterns of files that a source must have some of."""
    if card.source.tree is not None:
        return [card.source.tree.files]
    # {subject}, {trial:d} and the like stand for any text
    return [re.sub(r"\{[^}]*\}", "*", table.path) for table in card.files.tables[:1]] if card.files else []


def _looked_for(card: Card) -> str:
    """Return in words what a source must have."""
    return " or ".join(_patterns(card)) or f"the folder {card.source.root or 'of the data'}"


def _absent(card: Card, raw: Path) -> DataError:
    """Return the error for data that are not here, with the ways to get them."""
    by_hand = f"har prepare {_named(card)} --source PATH (a folder or its archive)"
    if not card.source.archives:
        return DataError(f"source of {card.name}: no folder is given.", f"Name it: {by_hand}")
    names = " and ".join(archive.name for archive in card.source.archives)
    what = f"source of {card.name}: neither {_looked_for(card)} nor {names} is in {raw}."
    if _can_be_downloaded(card):
        size = sum(archive.bytes or 0 for archive in card.source.archives)
        much = f" ({size / 1e6:.0f} MB)" if size else ""
        return DataError(
            what, f"Download it{much}: har prepare {_named(card)} --download, or point to a copy: {by_hand}"
        )
    return DataError(what, f"Get {names} from {card.homepage or 'its homepage'}, then: {by_hand}")


def _named(card: Card) -> str:
    """Return what a command calls the card: its name, or its file where it is a user's own."""
    return card.name if card.name in card_names() else "CARD.yaml"


def _checked(card: Card, folder: Path, shown: str | None = None) -> Path:
    """Return a folder whose files have the card's hash of all of them, where it states one; `shown` is their place."""
    if (tree := card.source.tree) is None:
        return folder
    paths = sorted(path for path in folder.glob(tree.files) if path.is_file())
    digest = tree_sha256(folder, paths)
    if digest != tree.sha256:
        raise DataError(
            f"source of {card.name}: the {len(paths)} files {tree.files} in {shown or folder} have the tree "
            f"SHA-256 {digest}, not {tree.sha256}; they were not read.",
            "A file is missing, damaged or was changed: unpack the archive again. If these are the official files "
            "after all, correct source.tree in a copy of the card.",
        )
    return folder


def tree_sha256(folder: Path, paths: list[Path]) -> str:
    r"""Return the hash of many files: SHA-256 of the lines ``<SHA-256 of file>␠␠<path>\n``, sorted by path.

    Args:
        folder: From where paths are counted, with `/` between their parts.
        paths: The files.
    """
    names = {path.relative_to(folder).as_posix(): path for path in paths}
    lines = (f"{sha256_of_file(names[name])}  {name}\n" for name in sorted(names))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _distributed(card: Card, source: str | Path | None) -> Path:
    """Return the file of an installed distribution. Nothing is opened, and no foreign package is imported."""
    wanted = card.source
    if wanted.file is None or wanted.distribution is None:
        raise RuntimeError(f"card {card.name}: a distribution without a file")
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
