"""What the features of a layer are asked about the windows: amplitude, gravity, subject, activity."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from har.norms.diagnostics import Moments
from har.norms.recoverable import (
    amplitude,
    by_block,
    by_subject,
    features,
    recovered_classes,
    recovered_values,
)
from har.training.samples import Sample
from har.windows.channels import ACCELEROMETER, GRAVITY
from har.windows.store import Store

_FOLDS = 5


@dataclass(frozen=True)
class Questions:
    """What is known of a sample's windows, and the folds in which readers of it are judged.

    Attributes:
        amplitude_N1: float64 (windows, 1), logarithm of the movement's root mean square.
        gravity_NM: float64 (windows, 3·sites), direction of the mean acceleration at each site; None where no
            accelerometer has three axes.
        label_N: int64 (windows,), activities.
        subject_N: int64 (windows,), subjects.
        subject_fold_N: Folds without a common subject, for all but the subject itself.
        block_fold_N: Folds with all subjects in each, for the subject.
    """

    amplitude_N1: Tensor
    gravity_NM: Tensor | None
    label_N: Tensor
    subject_N: Tensor
    subject_fold_N: Tensor
    block_fold_N: Tensor

    @staticmethod
    def of(sample: Sample, store: Store) -> Questions:
        """Prepare the questions of a sample.

        Args:
            sample: The windows.
            store: Where they are from.
        """
        samples = sample.x_NTC.shape[1]
        deviation_C = sample.x_NTC.double().std((0, 1), correction=0)
        deviation_C[deviation_C == 0] = 1.0  # a channel without movement adds none
        return Questions(
            amplitude_N1=amplitude(sample.x_NTC, deviation_C),
            gravity_NM=gravity(sample.x_NTC, store),
            label_N=sample.label_N,
            subject_N=sample.subject_N,
            subject_fold_N=by_subject(sample.subject_N, _FOLDS),
            block_fold_N=by_block(sample.subject_N, sample.recording_N, sample.start_N, samples, _FOLDS),
        )

    def basis(self) -> dict[str, float]:
        """Return what the answers rest on: windows, and chances.

        ``probe.windows`` and ``probe.subject_windows``, windows that are judged, the latter of the question for the
        subject; ``probe.subject_chance`` and ``probe.activity_chance``, scores of a reader who knows nothing, where
        they are not 0.
        """
        named = {"probe.subject_chance": self.subject_N, "probe.activity_chance": self.label_N}
        found = {name: 1 / len(torch.unique(class_N)) for name, class_N in named.items()}
        judged = {"probe.windows": self.subject_fold_N, "probe.subject_windows": self.block_fold_N}
        return found | {name: float((fold_N >= 0).sum()) for name, fold_N in judged.items()}

    def answers(self, moments: Moments) -> dict[str, float]:
        """Return how well a linear reader answers from the moments of a layer's channels; see `har.norms.recoverable`.

        ``probe.amplitude`` and ``probe.gravity``, R²; ``probe.subject`` and ``probe.activity``, mean recall. A question
        that cannot be judged, such as that of a single subject or of activations that are not finite, is left out.
        """
        features_ND = features(moments)
        gravity_NM = self.gravity_NM
        found: dict[str, float | None] = {
            "probe.amplitude": recovered_values(features_ND, self.amplitude_N1, self.subject_fold_N),
            "probe.gravity": None
            if gravity_NM is None
            else recovered_values(features_ND, gravity_NM, self.subject_fold_N),
            "probe.subject": recovered_classes(features_ND, self.subject_N, self.block_fold_N),
            "probe.activity": recovered_classes(features_ND, self.label_N, self.subject_fold_N),
        }
        return {name: score for name, score in found.items() if score is not None}


def gravity(x_NTC: Tensor, store: Store) -> Tensor | None:
    """Return the direction of each window's mean acceleration at each site with three axes, float64 (windows, 3·sites).

    Args:
        x_NTC: Windows in the store's units.
        store: Where they are from; it knows its channels' sensors. Accelerations come first, else their slow part.

    Returns:
        None where there is no such site.
    """
    channels = store.manifest.get("preparation", {}).get("channels", [])
    for sensor in (ACCELEROMETER, GRAVITY):
        sites: dict[tuple[str, str], dict[str, int]] = {}
        for place, channel in enumerate(channels):
            if channel["sensor"].endswith(sensor):  # a wireless accelerometer is one too
                sites.setdefault((channel["sensor"], channel["site"]), {})[channel["axis"]] = place
        triads = [[axes[axis] for axis in "xyz"] for axes in sites.values() if set("xyz") <= set(axes)]
        if triads:
            vectors = [x_NTC[:, :, triad].double().mean(1) for triad in triads]
            return torch.cat([torch.nn.functional.normalize(vector_N3, dim=1) for vector_N3 in vectors], dim=1)
    return None
