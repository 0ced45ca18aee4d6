"""Statistics measured anew: exact ones are those of everything at once, and measuring leaves no trace."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from har.errors import DataError
from har.norms.collectors import Averaged
from har.norms.layers import KINDS, AllSensors
from har.norms.statistics import (
    adapted,
    by_depth,
    measure,
    measure_by_layer,
    measure_in_equal_shares,
    replaced,
    snapshot,
    statistics_layers,
    weighted,
    write,
)


def network(channels: int = 3, *, dropout: float = 0.3, bare_first: bool = False) -> nn.Module:
    """Two norms with a convolution, an activation and dropout between them, with statistics of some past."""
    net = nn.Sequential(
        nn.BatchNorm2d(channels),
        nn.Conv2d(channels, 4, (3, 1)),
        nn.ReLU(),
        nn.Dropout(dropout),
        nn.BatchNorm2d(4),
    )
    for layer in (net[0], net[4]):
        layer.running_mean.normal_()
        layer.running_var.uniform_(0.5, 2.0)
        layer.weight.data.uniform_(0.5, 2.0)
    if bare_first:
        net[0] = nn.Identity()
    return net.double()


def windows(count: int = 23, channels: int = 3, samples: int = 9) -> Tensor:
    """Windows that share an offset each, so that batches differ."""
    return torch.randn(count, channels, samples, 1, dtype=torch.float64) + 2 * torch.randn(
        count, channels, 1, 1, dtype=torch.float64
    )


def state(net: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in net.state_dict().items()}


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("sizes", [[23], [8, 8, 7], [1, 22], [5, 1, 1, 16]])
def test_layer_by_layer_equals_one_batch_of_everything(sizes: list[int]) -> None:
    net, x = network(), windows()
    at_once = measure(net, [x])
    by_layer = measure_by_layer(net, list(x.split(sizes)))
    assert list(by_layer) == ["0", "4"]
    for name, values in by_layer.items():
        for buffer, value in values.items():
            torch.testing.assert_close(value, at_once[name][buffer], rtol=1e-9, atol=1e-12)
    mean_C = x.mean((0, 2, 3))
    torch.testing.assert_close(by_layer["0"]["running_mean"], mean_C)


def test_groups_with_equal_shares_are_everything_at_once_with_each_group_repeated_until_they_are_equal() -> None:
    """Groups of 4, 6 and 12 windows, 3, 2 and 1 times: 12 of each, so plain statistics are the balanced ones."""
    net, x = network(), windows(22)
    groups = list(x.split([4, 6, 12]))
    balanced = measure_in_equal_shares(net, [group.split(5) for group in groups])
    repeated = torch.cat([group.repeat(times, 1, 1, 1) for group, times in zip(groups, (3, 2, 1), strict=True)])
    torch.testing.assert_close(balanced, measure(net, [repeated]), rtol=1e-9, atol=1e-12)
    plain = measure(net, [x])
    assert all(not torch.allclose(balanced[name]["running_mean"], plain[name]["running_mean"]) for name in plain)
    with pytest.raises(DataError, match="not one batch"):
        measure_in_equal_shares(net, [[x], []])


def test_in_one_pass_the_first_norm_is_exact_and_the_second_depends_on_batches() -> None:
    net, x = network(), windows()
    at_once, in_batches = measure(net, [x]), measure(net, x.split(4))
    torch.testing.assert_close(in_batches["0"], at_once["0"])
    assert not torch.allclose(in_batches["4"]["running_var"], at_once["4"]["running_var"], rtol=1e-3)


def test_with_exact_statistics_inference_is_training_with_everything_in_one_batch() -> None:
    net, x = network(dropout=0.0), windows()
    trained = net.train()(x)
    with replaced(net, measure_by_layer(net, list(x.split(6)))):
        torch.testing.assert_close(net.eval()(x), trained)


def test_torchs_update_counts_short_batches_in_full_and_this_does_not() -> None:
    net, x = network(), windows()
    batches = list(x.split([22, 1]))
    torch.optim.swa_utils.update_bn(batches, net)
    assert not torch.allclose(net[0].running_mean, x.mean((0, 2, 3)))
    torch.testing.assert_close(measure(net, batches)["0"]["running_mean"], x.mean((0, 2, 3)))


@pytest.mark.parametrize("training", [True, False])
def test_measuring_changes_neither_weights_nor_buffers_nor_modes_nor_the_random_state(training: bool) -> None:
    net, x = network(), windows()
    net.train(training)
    net[4].train(not training)  # a frozen layer among others stays frozen
    modes = [module.training for module in net.modules()]
    before, random = state(net), torch.get_rng_state()
    batches = list(x.split(5))
    found = measure(net, batches)
    measure(net, batches, collect=Averaged)
    measure_by_layer(net, batches, adapt=by_depth())
    adapted(net, x, weighted(0.5))
    with replaced(net, found):
        assert torch.equal(net[4].running_var, found["4"]["running_var"])
    assert same(state(net), before)
    assert [module.training for module in net.modules()] == modes
    assert torch.equal(torch.get_rng_state(), random)
    assert all(parameter.grad is None for parameter in net.parameters())
    assert not any(module._forward_pre_hooks for module in net.modules())


def test_a_failing_network_is_put_back_too() -> None:
    net, x = network(), windows()
    before = state(net.train())
    with pytest.raises(RuntimeError):
        measure(net, [x, x[:, :2]])
    assert same(state(net), before)
    assert all(module.training for module in net.modules())
    assert not any(module._forward_pre_hooks for module in net.modules())


def test_dropout_is_off_while_measuring() -> None:
    x = windows()
    torch.manual_seed(0)
    net = network(dropout=0.9)
    found = measure(net, [x])
    net[3] = nn.Identity()
    torch.testing.assert_close(measure(net, [x]), found)


def test_without_a_batch_nothing_is_measured() -> None:
    spent: Iterator[Tensor] = iter([windows()])
    net = network()
    measure(net, spent)
    for batches in ([], spent):
        with pytest.raises(DataError, match="not one batch"):
            measure(net, batches)
    with pytest.raises(DataError, match="not one batch"):
        measure_by_layer(net, [])


def test_layer_by_layer_refuses_what_gives_its_batches_once() -> None:
    """The first batch would be spent on finding the order of the norms, and the others measured without it."""
    with pytest.raises(DataError, match="these batches can be iterated only once"):
        measure_by_layer(network(), iter(windows().split(5)))


def test_values_that_are_not_finite_are_refused_and_nothing_is_written() -> None:
    net, x = network(), windows()
    x[3, 1] = math.nan
    before = state(net)
    for call in (measure, measure_by_layer):
        with pytest.raises(DataError, match="running_mean of the norm 0 are not finite"):
            call(net, [x])
    with pytest.raises(DataError, match="not finite"):
        adapted(net, x)
    with pytest.raises(DataError, match="not finite"):
        write(net, {"0": {"running_mean": torch.zeros(3)}, "4": {"running_var": torch.full((4,), math.inf)}})
    assert same(state(net), before)


def test_of_a_stream_each_batch_is_met_with_its_own_statistics() -> None:
    net, x = network(dropout=0.0), windows()
    torch.testing.assert_close(adapted(net, x), net.train()(x))
    first, second = x.split([9, 14])
    torch.testing.assert_close(adapted(net, second), net.train()(second))
    assert not torch.allclose(adapted(net, x)[:9], adapted(net, first))


def test_weight_0_is_running_and_weight_1_the_measured_statistics() -> None:
    net, x = network(), windows()
    batches = list(x.split(6))
    own, exact = snapshot(net), measure_by_layer(net, batches)
    for weight, expected in ((0.0, own), (1.0, exact)):
        found = measure_by_layer(net, batches, adapt=weighted(weight))
        for name, values in found.items():
            for buffer, value in values.items():
                torch.testing.assert_close(value, expected[name][buffer], rtol=1e-12, atol=1e-12)
    assert torch.equal(adapted(net, x, weighted(0.0)), net.eval()(x))


def test_a_later_norm_is_measured_behind_norms_that_are_mixed_already() -> None:
    net, x = network(dropout=0.0), windows()
    found = measure_by_layer(net, [x], adapt=weighted(0.3))
    own = snapshot(net)
    mean_C = 0.7 * own["0"]["running_mean"] + 0.3 * x.mean((0, 2, 3))
    torch.testing.assert_close(found["0"]["running_mean"], mean_C)
    with replaced(net, found):
        deep = net.eval()[:4](x)
        torch.testing.assert_close(net(x), adapted_reference(net, own, x), rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(
        found["4"]["running_mean"], 0.7 * own["4"]["running_mean"] + 0.3 * deep.mean((0, 2, 3)).detach()
    )


def adapted_reference(net: nn.Module, own: dict[str, dict[str, Tensor]], x: Tensor) -> Tensor:
    """The stream's result for everything in one batch, from the network's own statistics."""
    with replaced(net, own):
        result: Tensor = adapted(net, x, weighted(0.3))
    return result


def test_by_depth_goes_geometrically_from_the_first_to_the_last_norm_and_mixes_deviations() -> None:
    adapt = by_depth(0.1, 0.9)
    own = {"running_mean": torch.tensor([1.0]), "running_var": torch.tensor([4.0])}
    measured = {"running_mean": torch.tensor([0.0]).double(), "running_var": torch.tensor([16.0]).double()}
    for place, share in ((0, 0.1), (1, 0.3), (2, 0.9)):
        mixed = adapt(place, 3, own, measured)
        assert mixed["running_mean"].item() == pytest.approx(share)
        assert mixed["running_var"].item() == pytest.approx((share * 2 + (1 - share) * 4) ** 2)
    assert adapt(0, 1, own, measured)["running_mean"].item() == pytest.approx(0.1)


def test_a_mix_is_told_the_place_of_each_norm_in_the_forward_pass() -> None:
    net = nn.Sequential(nn.BatchNorm2d(3), nn.BatchNorm2d(3), nn.BatchNorm2d(3)).double()
    told: list[tuple[int, int]] = []

    def adapt(place: int, layers: int, own: dict[str, Tensor], measured: dict[str, Tensor]) -> dict[str, Tensor]:
        told.append((place, layers))
        return measured

    adapted(net, windows(), adapt)
    assert list(measure_by_layer(net, [windows()], adapt=adapt)) == ["0", "1", "2"]
    assert told == [(0, 3), (1, 3), (2, 3)] * 2


def test_the_norm_over_all_sensors_has_one_mean_and_variance() -> None:
    net, x = nn.Sequential(AllSensors(nn.BatchNorm2d(1))).double(), windows()
    found = measure(net, list(x.split(4)))
    assert list(found) == ["0.scalar"]
    torch.testing.assert_close(found["0.scalar"]["running_mean"], x.mean().reshape(1))
    torch.testing.assert_close(found["0.scalar"]["running_var"], x.var(correction=0).reshape(1))


def test_a_norm_that_is_used_twice_is_measured_over_both_uses() -> None:
    norm, x = nn.BatchNorm2d(3).double(), windows()
    found = measure(nn.Sequential(norm, nn.ReLU(), norm), [x])
    assert list(found) == ["0"]
    second = torch.relu(nn.BatchNorm2d(3).double()(x)).detach()
    torch.testing.assert_close(found["0"]["running_mean"], torch.cat([x, second]).mean((0, 2, 3)))


def test_layers_without_stored_statistics_are_not_measured() -> None:
    net = nn.Sequential(nn.BatchNorm2d(3, track_running_stats=False), nn.GroupNorm(1, 3), nn.Conv2d(3, 3, 1))
    assert statistics_layers(net) == {}
    assert measure(net.double(), [windows()]) == {}


class SecondMoment(nn.Module):
    """A norm of another kind: it divides by the root of the mean square, which it stores."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.inner = nn.BatchNorm2d(channels)  # a part of it, which it answers for
        self.register_buffer("square", torch.ones(channels))

    def statistics_from(self, mean_C: Tensor, variance_C: Tensor) -> dict[str, Tensor]:
        return {"square": variance_C + mean_C**2}

    def forward(self, x: Tensor) -> Tensor:
        square_C = (x**2).mean((0, 2, 3)) if self.training else self.square
        return x / square_C.sqrt()[:, None, None]


def test_another_kind_of_norm_joins_by_saying_what_it_stores() -> None:
    net, x = nn.Sequential(SecondMoment(3), nn.Conv2d(3, 2, 1), nn.BatchNorm2d(2)).double(), windows()
    assert list(statistics_layers(net)) == ["0", "2"]
    found = measure_by_layer(net, list(x.split(5)))
    assert {name: list(values) for name, values in found.items()} == {
        "0": ["square"],
        "2": ["running_mean", "running_var"],
    }
    torch.testing.assert_close(found["0"]["square"], (x**2).mean((0, 2, 3)))
    trained = net.train()(x)
    with replaced(net, found):
        torch.testing.assert_close(net.eval()(x), trained)


BATCHED = ("batch", "ghost_batch", "batch_renorm", "mabn")


@pytest.mark.parametrize("kind", BATCHED)
def test_every_kind_with_batch_statistics_has_its_inference_by_exact_ones(kind: str) -> None:
    layer = KINDS[kind].build(3, 9, 1e-5, 0.1).double()
    net, x = nn.Sequential(layer), windows()
    before = state(net)
    assert list(statistics_layers(net)) == ["0"]
    found = measure_by_layer(net, list(x.split(5)))
    torch.testing.assert_close(measure(net, x.split(5)), found)
    assert same(state(net), before)  # counts of steps and histories among them
    with replaced(net, found):
        y = net.eval()(x).detach()
    torch.testing.assert_close((y**2).mean((0, 2, 3)), torch.ones(3).double(), rtol=1e-4, atol=1e-4)
    if kind != "mabn":  # which leaves the mean to the weights in front
        torch.testing.assert_close(y.mean((0, 2, 3)), torch.zeros(3).double(), rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    "kind", sorted(set(KINDS) - {"batch", "ghost_batch", "batch_renorm", "mabn", "scaled_weights"})
)
def test_kinds_without_batch_statistics_have_none_to_measure(kind: str) -> None:
    assert statistics_layers(nn.Sequential(KINDS[kind].build(4, 9, 1e-5, 0.1))) == {}


def test_one_pass_behind_batch_renormalisation_follows_its_order_and_layer_by_layer_does_not() -> None:
    """Its corrections go towards running averages, which move with the pass and are given back."""
    first, second = (KINDS["batch_renorm"].build(2, 9, 1e-5, 0.1).double() for _ in range(2))
    network = nn.Sequential(first, nn.Tanh(), second)
    for layer in (first, second):
        layer.steps.fill_(10**6)  # behind the warm-up, in which it is plain batch norm
    batches = [torch.randn(4, 2, 9, 1, dtype=torch.float64) * scale + scale for scale in (1, 2, 4)]
    before = copy.deepcopy(network.state_dict())
    there, back = (measure(network, order) for order in (batches, batches[::-1]))
    torch.testing.assert_close(there["0"], back["0"])
    assert not torch.allclose(there["2"]["running_mean"], back["2"]["running_mean"])
    there, back = (measure_by_layer(network, order) for order in (batches, batches[::-1]))
    for name in ("0", "2"):
        torch.testing.assert_close(there[name], back[name])
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
