"""How far a network's answers depend on what should not matter: a sensor's gain and offset, and the other windows.

    equi.gain(a)        accuracy in inference on x·a, a from ½ to 2: a sensor of another range or sensitivity
    equi.offset(c)      accuracy in inference on x + c·s, s the deviation of each channel: a sensor with a bias
    batch.sensitivity   ½·Σ_k |p_k − p'_k| in training mode, a window's probabilities among mates drawn at random (p)
                        and among others (p'): of its own activity, of its own subject, or at random once more

The last of these is the noise that batches bring at any rate, and what the others exceed it by is due to who the mates
are. A norm of one window gives 0, and so do batch renormalisation and MABN while nothing is clipped. It asks what a
wearer's stream, of one subject and for a while of one activity, does to a network that normalises by batches.

N = windows, T = samples, C = channels, K = activities.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

GAINS = (0.5, 0.5**0.5, 1.0, 2**0.5, 2.0)
OFFSETS = (-1.0, -0.5, 0.0, 0.5, 1.0)

Predict = Callable[[Tensor], Tensor]  # x_NTC to logits_NK


def gain_accuracy(
    predict: Predict, x_NTC: Tensor, label_N: Tensor, gains: Sequence[float] = GAINS
) -> dict[float, float]:
    """Return the share of windows that is recognised when all of the input is multiplied, by factor.

    Args:
        predict: The network in inference.
        x_NTC: Windows as it takes them, in the store's units, so that gravity is multiplied too.
        label_N: int64 (windows,), their activities.
        gains: Factors a; 1 changes nothing.
    """
    return {gain: _accuracy(predict(x_NTC * gain), label_N) for gain in gains}


def offset_accuracy(
    predict: Predict, x_NTC: Tensor, label_N: Tensor, deviation_C: Tensor, offsets: Sequence[float] = OFFSETS
) -> dict[float, float]:
    """Return the share of windows that is recognised when a constant is added to every channel, by constant.

    Args:
        predict: The network in inference.
        x_NTC: Windows as it takes them.
        label_N: int64 (windows,), their activities.
        deviation_C: Deviation of each channel over the training windows, in the units of the windows.
        offsets: Constants c, in these deviations; 0 changes nothing.
    """
    return {offset: _accuracy(predict(x_NTC + offset * deviation_C), label_N) for offset in offsets}


def batch_sensitivity(
    predict: Predict, x_NTC: Tensor, label_N: Tensor, subject_N: Tensor, size: int, generator: torch.Generator
) -> dict[str, float]:
    """Return how much windows' probabilities change with their mates, by who the mates are, as means over windows.

    Every window is judged in four batches: twice among any of the windows, once among those of its activity and once
    among those of its subject. Of a group that does not fill its last batch, windows are taken a second time.

    Args:
        predict: The network in training mode with dropout off, with the same buffers at every call.
        x_NTC: Windows as it takes them; at least `size` of each activity and subject, where there are as many.
        label_N: int64 (windows,), their activities.
        subject_N: int64 (windows,), their subjects.
        size: Windows of a batch.
        generator: What the batches are drawn with.

    Returns:
        `random`, `activity` and `subject`: total variation from 0, no change, to 1.
    """
    any_N = torch.zeros_like(label_N)
    reference_NK = _among(predict, x_NTC, any_N, size, generator)
    found = {}
    for name, group_N in (("random", any_N), ("activity", label_N), ("subject", subject_N)):
        probability_NK = _among(predict, x_NTC, group_N, size, generator)
        found[name] = float((probability_NK - reference_NK).abs().sum(1).mean() / 2)
    return found


def _among(predict: Predict, x_NTC: Tensor, group_N: Tensor, size: int, generator: torch.Generator) -> Tensor:
    """Return probability_NK of windows, float64, each predicted in a batch of its own group."""
    parts, order = [], []
    for rows, new in _batches(group_N, size, generator):
        parts.append(torch.softmax(predict(x_NTC[rows]).detach()[:new].double(), dim=1))
        order.append(rows[:new])
    probability_NK = torch.empty(len(x_NTC), parts[0].shape[1], dtype=torch.float64, device=parts[0].device)
    probability_NK[torch.cat(order)] = torch.cat(parts)
    return probability_NK


def _batches(group_N: Tensor, size: int, generator: torch.Generator) -> Iterator[tuple[Tensor, int]]:
    """Yield the windows of batches that hold one group each, in random order, and how many of them are new."""
    for group in torch.unique(group_N):
        rows = torch.nonzero(group_N.cpu() == group.cpu()).flatten()
        rows = rows[torch.randperm(len(rows), generator=generator)]
        for part in rows.split(size):  # type: ignore[no-untyped-call]
            filling = rows.repeat(-(-size // len(rows)))[: size - len(part)]
            yield torch.cat([part, filling]), len(part)


def _accuracy(logits_NK: Tensor, label_N: Tensor) -> float:
    """Return the share of windows whose largest logit is their activity's."""
    return float((logits_NK.argmax(1) == label_N).double().mean())
