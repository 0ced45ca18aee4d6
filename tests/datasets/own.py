"""Own data: a card of a few lines, and the folder it describes."""

from pathlib import Path

import yaml

from har.datasets.card import Card
from har.datasets.readers import read
from har.datasets.recording import RawRecording
from har.datasets.registry import load_card

# What a person writes for a folder of CSV files.
CARD = """\
name: mine
source: {kind: folder}
reader: files
rate_hz: 50
channels:
  - {name: acc, axes: [x, y, z], sensor: accelerometer, site: wrist, unit: m/s²}
activities: {walk: walking, sit: sitting}
files:
  path: "{subject}/{trial}.csv"
  columns: {acc: [ax, ay, az]}
  label: {column: activity}
"""
HEADER = "ax,ay,az,activity"


def card_with(folder: Path, **changes) -> Card:
    """Write the card with other keys and read it; a key `files` adds to the section, None removes a key."""
    value = yaml.safe_load(CARD)
    files = {**value["files"], **changes.pop("files", {})}
    value = {**value, **changes, "files": {key: item for key, item in files.items() if item is not None}}
    path = folder / "mine.yaml"
    path.write_text(yaml.safe_dump(value, allow_unicode=True, sort_keys=False))
    return load_card(path)


def write(folder: Path, files: dict[str, str | bytes]) -> Path:
    """Write files; return their folder."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def lines(*rows: str, header: str = HEADER) -> str:
    """Return a CSV file."""
    return "".join(f"{row}\n" for row in ([header] if header else []) + list(rows))


def all_of(card: Card, folder: Path) -> list[RawRecording]:
    """Return all recordings."""
    return list(read(card, folder))
