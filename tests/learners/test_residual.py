"""The residual network against the same written with other means, its reach, and what of it folds."""

from __future__ import annotations

from typing import cast

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from har.errors import UsageError
from har.learners.base import Features
from har.learners.classifier import Classifier, InputScaling
from har.learners.folding import fold
from har.learners.initialise import initialise
from har.learners.residual import ResidualCNN, ResidualFeatures
from har.norms.plan import NormPlan

BARE = NormPlan(placement="none")


def by_hand(network: Features, learner: ResidualCNN, x_NTC: Tensor) -> Tensor:
    """The network from 1-D operations, the shortcut by the samples in the middle."""
    state = dict(network.named_parameters())

    def conv(name: str, h: Tensor, dilation: int) -> Tensor:
        weight, bias = state[f"{name}.conv.weight"], state[f"{name}.conv.bias"]
        return functional.conv1d(h, weight.squeeze(-1), bias, dilation=dilation)

    x_NCT = x_NTC.transpose(1, 2)
    around_NCT = x_NCT - x_NCT.mean(2, keepdim=True)
    y = around_NCT * 20
    seen = {
        "compressed": y.sign() * (y.abs() + (y**2 + 1).sqrt()).log(),
        "standardised": around_NCT / (x_NCT.std(2, correction=0, keepdim=True) + 0.001),
    }
    x_NCT = torch.cat([x_NCT, *(seen[view] for view in learner.views)], 1)
    h = functional.max_pool1d(conv("first", x_NCT, 1).relu(), learner.pool[0])
    for number, (dilation, pool) in enumerate(zip(learner.dilation, learner.pool[1:], strict=True), start=1):
        y = conv(f"block{number}.second", conv(f"block{number}.first", h, dilation).relu(), dilation)
        start = (learner.kernel - 1) * dilation
        h = functional.max_pool1d((y + h[:, :, start : start + y.shape[2]]).relu(), pool)
    return h.mean(2)


@settings(max_examples=25)
@given(
    st.lists(st.tuples(st.integers(1, 3), st.integers(1, 2)), min_size=1, max_size=3),
    st.integers(1, 4),
    st.sampled_from([[], ["compressed"], ["standardised", "compressed"]]),
)
def test_a_network_is_the_one_written_with_plain_operations(
    blocks: list[tuple[int, int]], kernel: int, views: list[str]
) -> None:
    pool = [2, *(pool for _, pool in blocks)]
    learner = ResidualCNN(3, kernel, [dilation for dilation, _ in blocks], pool, views=views)
    samples = learner.receptive_field + 5
    network = learner.build(2, samples, BARE)
    initialise(network, 0)
    network = network.double()
    x_NTC = torch.randn(4, samples, 2, dtype=torch.float64)
    found, expected = network(x_NTC), by_hand(network, learner, x_NTC)
    torch.testing.assert_close(found, expected)
    leaves, slope = list(network.parameters()), torch.randn_like(expected)
    torch.testing.assert_close(torch.autograd.grad(found, leaves, slope), torch.autograd.grad(expected, leaves, slope))
    with pytest.raises(UsageError, match=f"at least {learner.receptive_field}"):
        learner.build(2, learner.receptive_field - 1, BARE)
    assert learner.build(2, learner.receptive_field, BARE)(x_NTC[:, : learner.receptive_field].float()).shape == (4, 3)


def test_a_block_without_weights_hands_its_input_on() -> None:
    """The identity is where a block starts from, and what the shortcut is for."""
    network = ResidualCNN(3, 3, [1], [1, 1]).build(2, 20, BARE)
    initialise(network, 0)
    seen: list[Tensor] = []
    network.get_submodule("first").register_forward_hook(lambda _, __, output: seen.append(output))
    network.get_submodule("block1").register_forward_hook(lambda _, __, output: seen.append(output))
    with torch.no_grad():
        network.get_parameter("block1.second.conv.weight").zero_()
    network(torch.randn(4, 20, 2))
    torch.testing.assert_close(seen[1], seen[0][:, :, 2:-2])


@pytest.mark.parametrize("views", [[], ["compressed", "standardised"]])
@pytest.mark.parametrize("placement", ["every", "input_every", "input_scalar"])
@pytest.mark.parametrize(
    ("order", "stay"), [("pre", set()), ("post", {"features.first.norm", "features.block1.second.norm"})]
)
def test_norms_fold_but_for_those_whose_output_a_shortcut_takes(
    order: str, stay: set[str], placement: str, views: list[str]
) -> None:
    scaling = InputScaling("none", torch.zeros(2), torch.ones(2), ["a", "b"])
    learner = ResidualCNN(3, 3, [1, 2], [1, 1, 1], views=views)
    stay = stay if placement != "input_scalar" else set()
    network = Classifier(scaling, learner.build(2, 40, NormPlan(placement=placement, order=order)), 4)
    initialise(network, 0)
    network(torch.randn(6, 40, 2)).sum().backward()
    folded, left = fold(network)
    assert {name for name, _ in folded.named_modules() if name.endswith("norm")} == stay
    assert len(left) == len(stay)
    assert all("shortcut" in sentence for sentence in left)
    x_NTC = torch.randn(3, 40, 2)
    torch.testing.assert_close(folded(x_NTC), network.eval()(x_NTC), rtol=1e-4, atol=1e-5)


def test_views_enlarge_quiet_motion_and_do_not_lose_strong_one() -> None:
    """Motion of a thousandth of a deviation comes 20 times as large; where the window stands is said by x alone."""
    learner = ResidualCNN(3, 3, [1], [1, 1], views=["compressed", "standardised"])
    network = cast(ResidualFeatures, learner.build(3, 400, BARE)).double()
    phase_T = (
        torch.arange(400, dtype=torch.float64) * 0.4 * torch.pi
    )  # whole periods: the mean is what is added to them
    x_NTC = torch.stack([0.001 * phase_T.sin() + 7, 5 * phase_T.sin() - 3, torch.full((400,), 2.0)], 1)[None]
    given_CT = network.given(x_NTC)[0, :, :, 0]
    torch.testing.assert_close(given_CT[:3].T, x_NTC[0])
    torch.testing.assert_close(given_CT[3], 0.02 * phase_T.sin(), rtol=1e-3, atol=1e-9)
    assert 5 < given_CT[4].abs().max() < 6
    torch.testing.assert_close(given_CT[7], 2**0.5 * phase_T.sin(), rtol=1e-3, atol=1e-9)
    assert given_CT[[5, 8]].abs().max() == 0  # a silent channel stays silent
    torch.testing.assert_close(network.given(x_NTC + 4)[0, 3:], network.given(x_NTC)[0, 3:])
    assert network.receptive_field == 400


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        ({"filters": 0}, "filters"),
        ({"kernel": 0}, "kernel"),
        ({"dilation": []}, "dilation"),
        ({"pool": [4]}, "pool"),
        ({"views": ["compressed"] * 2}, "views"),
    ],
)
def test_contradicting_settings_are_refused(wrong: dict[str, object], match: str) -> None:
    with pytest.raises(UsageError, match=f"ResidualCNN {match}"):
        ResidualCNN(**wrong)  # type: ignore[arg-type]


def test_an_unknown_view_is_refused_with_what_there_is() -> None:
    with pytest.raises(UsageError, match="compresed") as refused:
        ResidualCNN(views=["compresed"])
    assert "compressed" in str(refused.value)
