"""What a model must be fed and where it comes from: plain values that travel inside every exported file."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from har import __version__
from har.datasets.card import Channel
from har.datasets.recipe import Recipe
from har.datasets.schema import read_mapping
from har.datasets.units import SI
from har.errors import DataError, UsageError
from har.files import parse_json, sha256_of_file
from har.training.stored import load_checkpoint, read_config, read_run
from har.windows.channels import Channels

FORMAT = 1
MEMBER = "har.json"  # of a torch.export archive
PROPERTY = "har"  # of an ONNX file's metadata
CHECKPOINT = Path("checkpoints/best.ckpt")


@dataclass(frozen=True)
class Facts:
    """What stands inside an exported model, beside its graph. Input scaling and softmax are parts of the graph.

    Attributes:
        data_set: The store that the model was trained on.
        activities: Names, in the order of the probabilities.
        rate_hz: Samples per second of a window.
        samples: Samples of a window.
        step_s: From one window's begin to the next's, as in training.
        preparation: The store's channels in the model's order, with units, and filters and recipe that made them.
        model: Learner, norm plan and scaling, as plain values.
        fold: Training, validation and test subjects.
        hashes: Of configuration, data, split and checkpoint.
        commit: Of the source tree that trained the model; None where that was no checkout.
        versions: Of the packages that trained it.
        format: Of these facts.
        har_lab: The version that wrote them.
        scaling: What is in the graph, in words.
    """

    data_set: str
    activities: list[str]
    rate_hz: float
    samples: int
    step_s: float
    preparation: dict[str, Any]
    model: dict[str, Any]
    fold: dict[str, Any]
    hashes: dict[str, str]
    commit: str | None
    versions: dict[str, str]
    format: int = FORMAT
    har_lab: str = __version__
    scaling: str = "input scaling and softmax are parts of the graph: signals in SI units in, probabilities out"

    @classmethod
    def of_run(cls, folder: Path) -> Facts:
        """Gather the facts of a finished run.

        Raises:
            UsageError: The folder is no run, the run is not finished, or it has no network.
            DataError: A file of it is damaged.
        """
        record, config = read_run(folder), read_config(folder)
        if record["status"] != "done":
            raise UsageError(f"{folder} is not finished: its status is {record['status']}.", "Finish the run first.")
        if not (folder / CHECKPOINT).is_file():
            raise UsageError(
                f"{folder} has no {CHECKPOINT}, so there is no network in it to use.",
                "Name a run of a learner that is trained with gradients, or repeat the run.",
            )
        recipe = load_checkpoint(folder / CHECKPOINT)["recipe"]
        if "recipe" not in recipe["preparation"]:
            raise DataError(
                f"{folder} was trained on a store of an earlier version, which does not say how it was prepared.",
                f"Prepare {recipe['data_set']} again (har prepare {recipe['data_set']}) and repeat the run.",
            )
        try:
            text = cls._gathered(recipe, record, config, folder).text()
        except (KeyError, TypeError, ValueError):
            raise DataError(
                f"{folder} is damaged: run.json or config.yaml lacks what a finished run's has.", "Repeat the run."
            ) from None
        return cls.read(text, folder)  # as what is exported is read

    @classmethod
    def _gathered(cls, recipe: dict[str, Any], record: dict[str, Any], config: dict[str, Any], folder: Path) -> Facts:
        """Put the facts of a run together from its files."""
        return cls(
            data_set=recipe["data_set"],
            activities=list(recipe["activities"]),
            rate_hz=float(recipe["rate_hz"]),
            samples=int(recipe["samples"]),
            step_s=float(config["data"]["step_s"]),
            preparation=recipe["preparation"],
            model=recipe["model"],
            fold=record["fold"],
            hashes={**record["hashes"], "checkpoint": sha256_of_file(folder / CHECKPOINT)},
            commit=record["commit"],
            versions=record["versions"],
        )

    @classmethod
    def read(cls, text: str | bytes | None, place: Path) -> Facts:
        """Read facts out of an exported file.

        Args:
            text: JSON, or None where the file has none.
            place: The file, for messages.

        Raises:
            DataError: There are none, they are damaged, or of another format.
        """
        if not text:
            raise DataError(f"{place} does not say what it must be fed.", "Use a model that har export wrote.")
        try:
            value = parse_json(text)
            version = value["format"]
            if version == FORMAT:
                facts = _read(cls, value, "")
                facts._check()
                return facts
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(
                f"what {place} must be fed is damaged ({error}).", "Export the run again: har export RUN"
            ) from None
        raise DataError(f"{place} has format {version!r}, this version reads {FORMAT}.", "Export the run again.")

    def _check(self) -> None:
        """Work out what a model is fed with, so that damage shows before it is in use.

        Raises:
            ValueError: A number or a unit is impossible, or the preparation is damaged.
            KeyError: The preparation lacks something.
        """
        for name in ("rate_hz", "samples", "step_s"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"{name} is {getattr(self, name)}")
        if not self.activities or not self.inputs:
            raise ValueError(f"{len(self.activities)} activities, {len(self.inputs)} channels")
        strange = [channel.unit for channel in self.inputs if channel.unit not in SI]
        if strange:
            raise ValueError(f"unit {strange[0]!r}")
        _ = self.recipe

    def text(self) -> str:
        """Return the facts as JSON."""
        return json.dumps(asdict(self), ensure_ascii=False, allow_nan=False)

    @property
    def window_s(self) -> float:
        """Length of a window in seconds."""
        return self.samples / self.rate_hz

    @cached_property
    def recipe(self) -> Recipe:
        """The recipe that the store was made by."""
        return _read(Recipe, self.preparation["recipe"], "recipe")

    @cached_property
    def channels(self) -> Channels:
        """The channels to be given, in SI units, and those that the recipe makes of them."""
        described = _read(_Described, {"channels": self.preparation["channels"]}, "").channels
        made = tuple(Channel(one.name, one.sensor, one.site, one.axis, one.unit) for one in described)
        names = [one.made_of or (one.name,) for one in described]
        pairs = list(zip(made, names, strict=True))
        given = {channel.name: channel for channel, sources in pairs if sources == (channel.name,)}
        for channel, sources in pairs:
            for source in sources:  # accelerations that the recipe splits and does not keep
                given.setdefault(source, Channel(source, "accelerometer", channel.site, channel.axis, channel.unit))
        order = list(given)
        made_of = tuple(tuple(order.index(source) for source in sources) for sources in names)
        return Channels(tuple(given.values()), made, made_of)

    @property
    def inputs(self) -> tuple[Channel, ...]:
        """The channels to be given, in their order, with their units."""
        return self.channels.taken


@dataclass(frozen=True)
class _MadeChannel(Channel):
    """A channel of a store as its manifest describes it: with the source's unit and factor, or what it is made of."""

    source_unit: str | None = None
    factor: float = 1.0
    made_of: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Described:
    """What a manifest says of a store's channels."""

    channels: tuple[_MadeChannel, ...]


_Kind = TypeVar("_Kind")


def _read(kind: type[_Kind], value: Any, where: str) -> _Kind:
    """Read a mapping into a dataclass; raise a ValueError that names the first thing that is wrong."""
    problems: list[str] = []
    found: _Kind | None = read_mapping(kind, value, where, problems)
    if found is None:
        raise ValueError(problems[0])
    return found
