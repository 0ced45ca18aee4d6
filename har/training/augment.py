"""Random changes of training windows that leave their activity what it is: another wearer, device or moment.

They act on the physical signal, before any scaling, and draw from a generator of their own, so that the weights,
batches and dropout of a run are the same with and without them. N = windows, T = samples, C = sensor channels.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from har.errors import UsageError, unknown
from har.seeds import derive_seed

_AXES = ("x", "y", "z")
_ROTATES_AS_AXIS = ("gyroscope",)  # an axial vector: a mirror turns its sense of rotation round
_Change = Callable[[Tensor, torch.Generator], Tensor]


@dataclasses.dataclass(frozen=True)
class Augmentation:
    """How training windows are changed at random. Every strength is drawn anew for each window; 0 changes nothing.

    Args:
        time_warp: Standard deviation of the logarithm of the tempo; the window's middle stays, and where a slower
            tempo would look beyond an end, the end's value holds.
        rotation_deg: Standard deviation in degrees of a turn about a random axis, one for all sensors at a body site:
            the device worn a little differently (Um et al. 2017, arXiv 1706.00527).
        mirror: ``x``, ``y`` or ``z``: half of the windows are seen in a mirror across this axis, which makes a left
            wrist of a right one. Accelerations change the sign of this axis, rates of rotation of the two others.
        gain: Standard deviation of a factor around 1, the same for all channels.
        jitter: Standard deviation of noise, as a share of each channel's own over the training windows.
        channel_dropout: Probability that a channel of a window is silenced, that is, at its mean over training.

    Raises:
        UsageError: When a strength is negative, a probability is not in [0, 1) or the axis is not known.
    """

    time_warp: float = 0.0
    rotation_deg: float = 0.0
    mirror: str | None = None
    gain: float = 0.0
    jitter: float = 0.0
    channel_dropout: float = 0.0

    def __post_init__(self) -> None:
        """Check every value."""
        for name in ("time_warp", "rotation_deg", "gain", "jitter"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise UsageError(f"augmentation {name} {getattr(self, name)} is no strength.", "0 changes nothing.")
        if not 0 <= self.channel_dropout < 1:
            raise UsageError(
                f"augmentation channel_dropout {self.channel_dropout} is not in [0, 1).", "0 silences nothing."
            )
        if self.mirror is not None and self.mirror not in _AXES:
            raise unknown("axis of the mirror", self.mirror, _AXES)

    def __bool__(self) -> bool:
        """Return whether anything is changed."""
        return self != Augmentation()


class Augmenter:
    """An `Augmentation` for windows of one preparation.

    Args:
        settings: How they are changed.
        channels: The channels of the windows: their name, sensor, site and axis, as a store's manifest lists them.
        mean_C: Mean of each channel over the training windows, in the store's units.
        deviation_C: Standard deviation likewise.
        seed: The run's seed.

    Raises:
        UsageError: When a turn or a mirror is asked for and no sensor has three axes.
    """

    def __init__(
        self,
        settings: Augmentation,
        channels: list[dict[str, Any]],
        mean_C: Tensor,
        deviation_C: Tensor,
        seed: int,
    ) -> None:
        self._settings, self._seed = settings, seed
        self._mean_C, self._deviation_C = mean_C.float(), deviation_C.float()
        self._sites = triads_by_site(channels)
        self._axial = {i for i, channel in enumerate(channels) if channel["sensor"] in _ROTATES_AS_AXIS}
        if (settings.rotation_deg or settings.mirror) and not self._sites:
            raise UsageError(
                "there is no sensor with axes x, y and z, so its windows can be neither turned nor mirrored.",
                "Leave model.augmentation.rotation_deg and mirror out, or prepare the data with whole sensors.",
            )
        steps: list[tuple[Any, _Change]] = [
            (settings.time_warp, self._warp),
            (settings.rotation_deg, self._turn),
            (settings.mirror, self._mirror),
            (settings.gain, self._gain),
            (settings.jitter, self._jitter),
            (settings.channel_dropout, self._silence),
        ]
        self._steps = [change for strength, change in steps if strength]

    def __call__(self, x_NTC: Tensor, step: int) -> Tensor:
        """Return changed windows, float32 (windows, samples, channels), as a function of the seed and the step.

        Args:
            x_NTC: float32 (windows, samples, channels), in the store's units. They are not written to.
            step: Optimiser step.
        """
        generator = torch.Generator().manual_seed(derive_seed(self._seed, "augment", step))
        for change in self._steps:
            x_NTC = change(x_NTC, generator)
        return x_NTC

    def _warp(self, x_NTC: Tensor, generator: torch.Generator) -> Tensor:
        """Change the tempo around the middle of each window, by linear interpolation."""
        count, samples, channels = x_NTC.shape
        tempo_N = torch.exp(self._settings.time_warp * torch.randn(count, generator=generator)).to(x_NTC.device)
        middle = (samples - 1) / 2
        from_middle_T = torch.arange(samples, device=x_NTC.device) - middle
        place_NT = (middle + tempo_N[:, None] * from_middle_T).clamp(0, samples - 1)
        before_NT = place_NT.floor().long().clamp(max=max(samples - 2, 0))
        share_NT1 = (place_NT - before_NT)[..., None]
        after_NT = (before_NT + 1).clamp(max=samples - 1)
        before_NTC = torch.gather(x_NTC, 1, before_NT[..., None].expand(-1, -1, channels))
        after_NTC = torch.gather(x_NTC, 1, after_NT[..., None].expand(-1, -1, channels))
        return torch.lerp(before_NTC, after_NTC, share_NT1)

    def _turn(self, x_NTC: Tensor, generator: torch.Generator) -> Tensor:
        """Turn all sensors of each site by one random rotation per window."""
        turned_NTC = x_NTC.clone()
        for triads in self._sites:
            turn_N33 = rotations(len(x_NTC), self._settings.rotation_deg, generator).to(x_NTC.device)
            for triad in triads:
                turned_NTC[:, :, triad] = x_NTC[:, :, triad] @ turn_N33.transpose(1, 2)
        return turned_NTC

    def _mirror(self, x_NTC: Tensor, generator: torch.Generator) -> Tensor:
        """Show half of the windows in a mirror."""
        sign_C = torch.ones(x_NTC.shape[2])
        across = _AXES.index(str(self._settings.mirror))
        for triad in (triad for triads in self._sites for triad in triads):
            for axis, channel in enumerate(triad):
                if (axis == across) != (channel in self._axial):
                    sign_C[channel] = -1.0
        mirrored_N1 = torch.rand(len(x_NTC), 1, generator=generator) < 0.5
        return x_NTC * torch.where(mirrored_N1, sign_C, 1.0).to(x_NTC)[:, None]

    def _gain(self, x_NTC: Tensor, generator: torch.Generator) -> Tensor:
        """Multiply each window by a factor."""
        factor_N = 1 + self._settings.gain * torch.randn(len(x_NTC), generator=generator)
        return x_NTC * factor_N.to(x_NTC)[:, None, None]

    def _jitter(self, x_NTC: Tensor, generator: torch.Generator) -> Tensor:
        """Add white noise."""
        noise_NTC = torch.randn(x_NTC.shape, generator=generator) * (self._settings.jitter * self._deviation_C)
        return x_NTC + noise_NTC.to(x_NTC)

    def _silence(self, x_NTC: Tensor, generator: torch.Generator) -> Tensor:
        """Set some channels of each window to their mean."""
        silent_NC = torch.rand(len(x_NTC), x_NTC.shape[2], generator=generator) < self._settings.channel_dropout
        return torch.where(silent_NC.to(x_NTC.device)[:, None], self._mean_C.to(x_NTC), x_NTC)


def rotations(count: int, deviation_deg: float, generator: torch.Generator) -> Tensor:
    """Return turns about axes spread evenly over the sphere, float32 (count, 3, 3).

    Args:
        count: How many.
        deviation_deg: Standard deviation of the normally distributed angle, in degrees.
        generator: Where they are drawn from.
    """
    axis_N3 = torch.nn.functional.normalize(torch.randn(count, 3, generator=generator), dim=1)
    return turns(axis_N3, torch.deg2rad(deviation_deg * torch.randn(count, generator=generator)))


def turns(axis_N3: Tensor, angle_N: Tensor) -> Tensor:
    """Return the turns about axes of length 1 by angles in radians, (count, 3, 3), by Rodrigues' formula."""
    angle_N11 = angle_N[:, None, None]
    x_N, y_N, z_N = axis_N3.unbind(1)
    zero_N = torch.zeros_like(x_N)
    cross_N33 = torch.stack([zero_N, -z_N, y_N, z_N, zero_N, -x_N, -y_N, x_N, zero_N], dim=1).reshape(-1, 3, 3)
    eye_33 = torch.eye(3, dtype=axis_N3.dtype)
    return eye_33 + angle_N11.sin() * cross_N33 + (1 - angle_N11.cos()) * (cross_N33 @ cross_N33)


def triads_by_site(channels: list[dict[str, Any]]) -> list[list[list[int]]]:
    """Return the numbers of the channels x, y and z of every sensor that has all three, put together by body site."""
    sensors: dict[tuple[str, str, str], dict[str, int]] = {}
    for number, channel in enumerate(channels):
        axis = channel.get("axis")
        if axis in _AXES:
            key = (str(channel["site"]), str(channel["sensor"]), str(channel["name"]).removesuffix(axis))
            sensors.setdefault(key, {})[axis] = number
    sites: dict[str, list[list[int]]] = {}
    for (site, _, _), axes in sensors.items():
        if len(axes) == len(_AXES):
            sites.setdefault(site, []).append([axes[axis] for axis in _AXES])
    return list(sites.values())
