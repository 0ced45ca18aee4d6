"""Other devices: what a sensor that sits otherwise, or is missing, makes of the test windows; nothing is trained anew.

The change is a function of subject, body site and its own name, never of the run's seed, so that all runs, variants and
repeats meet the same devices. Labels, and the windows of training and validation subjects, are as they were.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from har.errors import UsageError, unknown
from har.seeds import derive_seed
from har.training.augment import triads_by_site, turns
from har.training.datamodule import Change, HarDataModule

_TURNED = re.compile(r"turned-([xyz]?)(\d+)")


def change_of(name: str, data: HarDataModule) -> Change | None:
    """Return what a change at use does to windows of the data module's store; None where the name is "".

    Args:
        name: Such as ``turned-30`` or ``without-gyro_x`` (`har.norms.inferences`).
        data: The data module, set up.

    Raises:
        UsageError: When no sensor has three axes to be turned, or no channel or sensor has the name.
    """
    if not name:
        return None
    turned = _TURNED.fullmatch(name)
    if turned:
        return _Turned(data, turned[1], float(turned[2]))
    return _Without(data, name.removeprefix("without-"))


class _Turned:
    """Turns all sensors of a site by one angle, about an axis of the device or one drawn for each subject and site."""

    def __init__(self, data: HarDataModule, axis: str, degrees: float) -> None:
        self._sites = triads_by_site(_channels(data))
        if not self._sites:
            raise UsageError(
                f"there is no sensor with axes x, y and z in {data.data_set}, so nothing can be turned at use.",
                "Leave the inferences turned-… out, or prepare the data with whole sensors.",
            )
        recordings = data.store.recordings
        self._start_R = recordings["start"].to_numpy()
        subjects, self._subject_R = np.unique(recordings["subject"].to_numpy().astype(str), return_inverse=True)
        angle_S = torch.full((len(subjects),), degrees, dtype=torch.float64).deg2rad()
        # (sites, subjects, 3, 3)
        self._turns = [
            turns(torch.stack([_axis(axis, str(subject), site) for subject in subjects]), angle_S).float()
            for site in range(len(self._sites))
        ]

    def __call__(self, x_NTC: Tensor, start_N: npt.NDArray[np.int64]) -> Tensor:
        """Return turned windows."""
        subject_N = self._subject_R[np.searchsorted(self._start_R, start_N, side="right") - 1]
        turned_NTC = x_NTC.clone()
        for triads, turn_S33 in zip(self._sites, self._turns, strict=True):
            back_N33 = turn_S33[subject_N].transpose(1, 2)  # of row vectors
            for triad in triads:
                turned_NTC[:, :, triad] = x_NTC[:, :, triad] @ back_N33
        return turned_NTC


class _Without:
    """Has a channel, or all channels of a sensor, at their mean over the training windows."""

    def __init__(self, data: HarDataModule, name: str) -> None:
        channels = _channels(data)
        self._missing = [i for i, channel in enumerate(channels) if name in (channel["name"], channel["sensor"])]
        known = [str(channel[key]) for key in ("name", "sensor") for channel in channels]
        if not self._missing:
            raise unknown("channel or sensor", name, list(dict.fromkeys(known)), f"data set {data.data_set}")
        if len(self._missing) == len(channels):
            raise UsageError(
                f"without {name} there is no channel left of {data.data_set}.", "Name a channel or one of its sensors."
            )
        self._data = data
        self._mean_M: Tensor | None = None

    def __call__(self, x_NTC: Tensor, start_N: npt.NDArray[np.int64]) -> Tensor:
        """Return windows without it."""
        if self._mean_M is None:  # a pass over the training windows, which naming a channel does without
            self._mean_M = self._data.training_moments()[0][self._missing].float()
        changed_NTC = x_NTC.clone()
        changed_NTC[:, :, self._missing] = self._mean_M
        return changed_NTC


def _channels(data: HarDataModule) -> list[dict[str, Any]]:
    """Return the channels of the data module's store: their name, sensor, site and axis."""
    channels: list[dict[str, Any]] = data.store.manifest["preparation"]["channels"]
    return channels


def _axis(axis: str, subject: str, site: int) -> Tensor:
    """Return an axis of the device, or one of a subject and site, evenly over the sphere: float64 (3,), length 1."""
    if axis:
        return torch.eye(3, dtype=torch.float64)["xyz".index(axis)]
    drawn_3 = np.random.Generator(np.random.PCG64(derive_seed(0, "turned", subject, site))).normal(size=3)
    return torch.from_numpy(drawn_3 / np.linalg.norm(drawn_3))
