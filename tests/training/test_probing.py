"""One measurement: every kind of norm at every place can be probed, and nothing of the network or of torch changes."""

from __future__ import annotations

import copy
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional

from har.learners.cnn import CNN
from har.norms.base import set_total_steps
from har.norms.diagnostics import Moments, Statistics, estimation_shift
from har.norms.layers import KINDS
from har.norms.plan import ORDERS, PLACEMENTS, NormPlan
from har.norms.statistics import statistics_layers
from har.norms.steps import noise_probes
from har.training.datamodule import HarDataModule
from har.training.module import HarModule
from har.training.probing import Probing
from har.training.samples import random_batches, spread
from tests.learners.test_cnn import can_stand

OF_BATCH = {"batch", "ghost_batch", "batch_renorm", "mabn"}
EVERYWHERE = {"act.dead", "act.rms", "act.zero_frac", "grad.rms", "probe.amplitude", "probe.gravity", "probe.subject"}
NETWORK = {"gap.mode_loss", "gap.kl", "gap.flip", "grad.slope", "loss.range", "loss.smoothness", "upd.ratio"}
STORED = {"bn.esm_var", "bn.logvar_gap", "bn.kl", "bn.neff", "bn.variance_shift", "bn.subject_icc", "bn.gB", "bn.Psi"}


@pytest.fixture(scope="module")
def data(data_root: Path) -> HarDataModule:
    """A data module, set up. Not to be changed."""
    found = HarDataModule(root=str(data_root), window_s=1.0, step_s=0.5, batch_size=8)
    found.setup()
    return found


def trained(
    data: HarDataModule, plan: NormPlan | None = None, scaling: str = "channel", dropout: float = 0.3
) -> tuple[HarModule, torch.optim.Optimizer]:
    """Return a tiny module after two steps, in evaluation mode as validation leaves it.

    It is built without the command line's parser, which takes ten times as long as a measurement.
    """
    module = HarModule(CNN([4, 6], 5, [4, 2], dropout=dropout), plan or NormPlan(), scaling)
    module.build(data.recipe(), *data.training_moments())
    set_total_steps(module.network, 4)
    optimiser = torch.optim.AdamW(module.parameters(), lr=1e-3)
    for batch in random_batches(data, 2):
        optimiser.zero_grad()
        functional.cross_entropy(module.network.train()(batch.x_NTC), batch.label_N).backward()
        optimiser.step()
    module.network.eval()
    return module, optimiser


def rows(module: HarModule, optimiser: torch.optim.Optimizer, data: HarDataModule) -> list[dict[str, Any]]:
    return Probing(module.network, data, 1, 40, torch.device("cpu")).measure(2, optimiser, 1e-3).rows


CASES = [(kind, placement, "pre") for kind in KINDS for placement in PLACEMENTS if can_stand(kind, placement)]
CASES += [(kind, "every", "post") for kind in KINDS]


@pytest.mark.parametrize(("kind", "placement", "order"), CASES)
def test_every_kind_at_every_place_is_probed_without_a_trace(
    data: HarDataModule, kind: str, placement: str, order: str
) -> None:
    module, optimiser = trained(data, NormPlan(kind, placement, order))
    state, steps = copy.deepcopy(module.state_dict()), copy.deepcopy(optimiser.state_dict())
    gradients = [parameter.grad.clone() for parameter in module.parameters()]
    random, modes = torch.get_rng_state(), [layer.training for layer in module.modules()]
    probing = Probing(module.network, data, 1, 40, torch.device("cpu"))
    with torch.inference_mode():  # as at the end of a validation
        found = probing.measure(2, optimiser, 1e-3).rows
    assert all(torch.equal(value, state[name]) for name, value in module.state_dict().items())
    assert str(optimiser.state_dict()) == str(steps)
    assert all(torch.equal(p.grad, before) for p, before in zip(module.parameters(), gradients, strict=True))
    assert torch.equal(torch.get_rng_state(), random)
    assert [layer.training for layer in module.modules()] == modes
    _require_complete(found, kind, order, [] if placement == "none" else list(module.norm.positions(2)))


def _require_complete(found: list[dict[str, Any]], kind: str, order: str, positions: list[int]) -> None:
    """Prove that what makes sense for a kind is there, finite, and nothing else."""
    wrong = [row for row in found if not math.isfinite(row["value"]) and row["probe"] != "act.kurt"]
    assert not wrong
    names = {row["probe"] for row in found}
    assert names >= EVERYWHERE | NETWORK
    stored = {row["depth"] for row in found if row["probe"].startswith("bn.")}
    assert stored == (set(positions) if kind in OF_BATCH else set())
    assert not stored or names >= STORED
    assert ("bn.mean_gap" in names) == (bool(positions) and kind in OF_BATCH - {"mabn"})
    left = {(row["group"], row["depth"]) for row in found if row["probe"] == "bn.left_mean"}
    assert left == {(group, at) for group in ("train", "validation") for at in positions if kind == "mabn"}
    assert {row["depth"] for row in found if row["probe"] == "norm.small_gamma"} == (
        set(positions) if KINDS[kind].layer else set()
    )
    free = {row["depth"] for row in found if row["probe"] == "lr.angle"}
    normed = set(positions) - {0}
    assert free == (normed if order == "pre" or kind in ("standardised_weights", "scaled_weights") else set())
    assert {row["depth"] for row in found if row["probe"] == "act.dead" and row["group"] == "validation"} == {1, 2}


@pytest.mark.parametrize("factor", [1e25, math.nan])
def test_a_network_that_diverges_is_probed_and_the_run_goes_on(data: HarDataModule, factor: float) -> None:
    module, optimiser = trained(data)
    with torch.no_grad():
        module.network.features.block1.conv.weight.mul_(factor)
    found = rows(module, optimiser, data)
    first = [row["value"] for row in found if (row["probe"], row["depth"]) == ("act.stable_rank", 1)]
    assert len(first) == 2
    assert all(math.isnan(value) for value in first) or factor == 1e25
    assert {row["probe"] for row in found} >= {"bn.esm_var", "probe.windows", "grad.slope"}


def test_scaled_channels_leave_less_of_the_mean_behind_the_first_convolution(data: HarDataModule) -> None:
    left = []
    for scaling in ("none", "channel"):
        module, optimiser = trained(data, NormPlan("mabn"), scaling)
        found = [row for row in rows(module, optimiser, data) if row["probe"] == "bn.left_mean"]
        left.append({row["depth"]: row["value"] for row in found if row["group"] == "train"})
    raw, scaled = left
    assert scaled[1] < 0.1 < raw[1]
    assert scaled[2] > scaled[1]  # an activation gives its channels means that differ, whatever the input


@pytest.mark.parametrize("order", ORDERS)
def test_a_second_measurement_is_the_first_one(data: HarDataModule, order: str) -> None:
    module, optimiser = trained(data, NormPlan(order=order))
    probing = Probing(module.network, data, 2, 40, torch.device("cpu"))
    one, other = (
        [row for row in probing.measure(2, optimiser, 1e-3).rows if not row["probe"].startswith("cost.")]
        for _ in range(2)
    )
    assert str(one) == str(other)  # NaN is not equal to itself


def test_values_are_those_of_the_windows_that_the_row_names(data: HarDataModule) -> None:
    module, optimiser = trained(data)
    found = rows(module, optimiser, data)
    layer = statistics_layers(module.network)["features.block1.norm"]
    for group, index in (("train", data.train), ("validation", data.validation)):
        seen = []
        handle = layer.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))  # noqa: B023
        with torch.no_grad():
            module.network(spread(data.store, index, 40).x_NTC)
        handle.remove()
        expected = estimation_shift(Statistics.stored(layer), Statistics.measured(layer, Moments.of(seen[0])))
        for name, value in expected.items():
            (row,) = (r for r in found if (r["group"], r["depth"], r["probe"]) == (group, 1, name))
            assert row["value"] == pytest.approx(value)
            assert (row["layer"], row["side"]) == ("features.block1.norm", "input")


def test_the_gap_between_modes_is_that_of_the_random_batches(data: HarDataModule) -> None:
    module, optimiser = trained(data, dropout=0.0)
    found = {row["probe"]: row["value"] for row in rows(module, optimiser, data) if row["depth"] == -1}
    (batch,) = random_batches(data, 1)
    twin = copy.deepcopy(module.network)
    losses = [functional.cross_entropy(twin.train(mode)(batch.x_NTC), batch.label_N).item() for mode in (False, True)]
    assert found["gap.mode_loss"] == pytest.approx(losses[1] - losses[0], abs=1e-5)


def test_gradients_by_depth_are_those_of_autograd(data: HarDataModule) -> None:
    module, optimiser = trained(data, NormPlan(placement="none"), dropout=0.0)
    found = rows(module, optimiser, data)
    (batch,) = random_batches(data, 1)
    kept: dict[int, torch.Tensor] = {}
    for depth in (1, 2):
        block = module.network.get_submodule(f"features.block{depth}")
        block.register_forward_hook(lambda _, __, output, depth=depth: kept.setdefault(depth, output).retain_grad())
    functional.cross_entropy(module.network(batch.x_NTC), batch.label_N).backward()
    for depth in (1, 2):
        (row,) = (r for r in found if (r["depth"], r["probe"]) == (depth, "grad.rms"))
        assert row["value"] == pytest.approx(float(kept[depth].grad.square().mean().sqrt()), rel=1e-4)


def test_noise_is_that_of_the_gradients_of_the_random_batches(data: HarDataModule) -> None:
    module, optimiser = trained(data, NormPlan(placement="none"), dropout=0.0)
    found = Probing(module.network, data, 3, 40, torch.device("cpu")).measure(2, optimiser, 1e-3).rows
    gradients = []
    for batch in random_batches(data, 3):
        module.zero_grad()
        functional.cross_entropy(module.network(batch.x_NTC), batch.label_N).backward()
        gradients.append(torch.cat([parameter.grad.flatten() for parameter in module.parameters()]))
    values = {row["probe"]: row["value"] for row in found if row["probe"].startswith("noise.")}
    assert values == pytest.approx(noise_probes(gradients, data.batch_size), rel=1e-3, nan_ok=True)
    assert set(values) == {"noise.gradient", "noise.trace", "noise.scale"}


def test_effective_rates_are_of_the_weights_and_the_rate_of_the_last_step(data: HarDataModule) -> None:
    module, optimiser = trained(data)
    found = {(row["probe"], row["layer"]): row["value"] for row in rows(module, optimiser, data)}
    for depth in (1, 2):
        name = f"features.block{depth}.conv"
        squared = module.network.get_submodule(name).weight.detach().double().square().sum().item()
        assert found["lr.effective", name] == pytest.approx(0.001 / squared)
        assert 0 < found["lr.angle", name] < 0.5
