"""Every learner at a size for tests, and plans of norms for it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from har.learners.autoencoder import Autoencoder
from har.learners.base import Features, Learner
from har.learners.classifier import Classifier, InputScaling
from har.learners.cnn import CNN
from har.learners.initialise import initialise
from har.learners.mlp import MLP
from har.learners.recurrent import LSTM, DeepConvLSTM, Hybrid
from har.learners.registry import LEARNERS
from har.learners.residual import ResidualCNN
from har.learners.shared_cnn import SharedCNN
from har.norms.plan import ORDERS, PLACEMENTS, NormPlan

CHANNELS, SAMPLES, ACTIVITIES = 3, 30, 4

# A learner that is not named here is tested with its defaults.
SETTINGS: dict[type[Learner], dict[str, object]] = {
    CNN: {"filters": [4, 6], "kernel": 3, "pool": [2, 1]},
    SharedCNN: {"filters": [4, 6], "kernels": [5, 3], "pool": [2, 3], "dense": [8]},
    MLP: {"dense": [8, 6]},
    LSTM: {"units": [4, 6], "dense": [8]},
    Hybrid: {"filters": [4], "kernels": [5], "pool": [2], "units": [6, 4], "dense": [8]},
    DeepConvLSTM: {"filters": [4, 6], "kernel": 3, "units": [6], "dropout": 0.0},
    ResidualCNN: {
        "filters": 4,
        "kernel": 3,
        "dilation": [2, 1],
        "pool": [2, 1, 1],
        "views": ["compressed", "standardised"],
    },
    Autoencoder: {"code": 8},
}
PLANS = [NormPlan("batch", placement, order) for placement in (*PLACEMENTS, [0, 2], [1]) for order in ORDERS]


def small(learner: type[Learner]) -> Learner:
    return learner(**SETTINGS.get(learner, {}))


def depth_of(learner: type[Learner]) -> int:
    """Layers with weights of a learner's features, decoders apart."""
    with torch.device("meta"):
        features = small(learner).build(CHANNELS, SAMPLES, NormPlan(placement="none"))
    layers = [name for name, layer in features.named_modules() if isinstance(layer, (nn.Conv2d, nn.LSTM))]
    return len(layers)


DEPTHS = {learner: depth_of(learner) for learner in LEARNERS}
CASES = [
    (learner, plan)
    for learner in LEARNERS
    for plan in PLANS
    if isinstance(plan.placement, str) or max(plan.placement) <= DEPTHS[learner]
]


def named(case: object) -> str:
    if isinstance(case, NormPlan):
        return f"{case.label}-{case.order}"
    return case.__name__ if isinstance(case, type) else str(case)


def built(learner: type[Learner], plan: NormPlan, seed: int = 0) -> Features:
    network = small(learner).build(CHANNELS, SAMPLES, plan)
    initialise(network, seed)
    return network


def classifier(learner: type[Learner], plan: NormPlan, seed: int = 0) -> Classifier:
    names = [f"channel{place}" for place in range(CHANNELS)]
    scaling = InputScaling("channel", torch.full((CHANNELS,), 0.5), torch.full((CHANNELS,), 4.0), names)
    network = Classifier(scaling, small(learner).build(CHANNELS, SAMPLES, plan), ACTIVITIES)
    initialise(network, seed)
    return network


def lived(network: nn.Module) -> None:
    """Give norms statistics and parameters of their own, other than those of no data."""
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if "norm" in name and name.endswith("weight"):
                parameter.uniform_(0.5, 2)
            elif parameter.ndim == 1:
                parameter.normal_(0, 0.3)
    for _ in range(2):
        network(torch.randn(8, SAMPLES, CHANNELS) * 2 + 1).sum().backward()
    network.zero_grad()


class Few:
    """Windows for a fit, in batches of 8."""

    def __init__(self, x_NTC: Tensor) -> None:
        self.x_NTC = x_NTC

    def __len__(self) -> int:
        return len(self.x_NTC)

    def batches(self) -> Iterator[Tensor]:
        yield from self.x_NTC.split(8)

    def taken(self, numbers_N: npt.NDArray[np.int64]) -> Tensor:
        return self.x_NTC[torch.from_numpy(numbers_N)]
