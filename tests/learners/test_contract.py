"""What holds for every learner, with a norm at every place and in both orders. New learners come in by themselves."""

from __future__ import annotations

import copy
import importlib
import inspect
import itertools
import pkgutil
import warnings

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

import har.learners
from har.errors import UsageError
from har.learners.base import Learner
from har.learners.classifier import Classifier
from har.learners.cnn import CNN
from har.learners.folding import fold
from har.learners.registry import LEARNERS
from har.learners.residual import ResidualCNN
from har.norms.layers import KINDS
from har.norms.places import places
from har.norms.plan import NormPlan
from tests.learners.small import (
    ACTIVITIES,
    CASES,
    CHANNELS,
    DEPTHS,
    PLANS,
    SAMPLES,
    built,
    classifier,
    lived,
    named,
    small,
)

every_case = pytest.mark.parametrize(("learner", "plan"), CASES, ids=named)
every_learner = pytest.mark.parametrize("learner", LEARNERS, ids=named)


def windows(number: int) -> Tensor:
    return torch.randn(number, SAMPLES, CHANNELS) * 2 + 1


def has(network: nn.Module, kind: type[nn.Module]) -> bool:
    return any(isinstance(layer, kind) for layer in network.modules())


def has_dense(learner: type[Learner]) -> bool:
    return any("dense" in name for name in built(learner, NormPlan(placement="none")).state_dict())


def norms_of(network: nn.Module) -> list[str]:
    return [name for name, _ in network.named_modules() if name.endswith("norm")]


def test_every_learner_that_is_trained_with_gradients_is_in_the_list() -> None:
    """Learners that are fitted at once are a family of their own, with a base between them and `Learner`."""
    found = set()
    for module in pkgutil.iter_modules(har.learners.__path__, "har.learners."):
        for _, value in inspect.getmembers(importlib.import_module(module.name), inspect.isclass):
            if Learner in value.__bases__ and not inspect.isabstract(value):
                found.add(value)
    assert found == set(LEARNERS)


@every_case
def test_learning_reaches_every_parameter(learner: type[Learner], plan: NormPlan) -> None:
    network = classifier(learner, plan)
    x_NTC = windows(6)
    assert network.features(x_NTC).shape == (6, network.features.features)
    logits_NK, own_loss = network.learn(x_NTC)
    assert logits_NK.shape == (6, ACTIVITIES)
    loss = nn.functional.cross_entropy(logits_NK, torch.arange(6) % ACTIVITIES)
    (loss if own_loss is None else loss + own_loss).backward()
    assert [name for name, parameter in network.named_parameters() if parameter.grad is None] == []


@every_case
def test_norms_stand_behind_the_layers_with_weights_that_the_plan_counts(
    learner: type[Learner], plan: NormPlan
) -> None:
    network = classifier(learner, plan)
    there = places(network, windows(1))
    assert [place.depth for place in there.norms[::2]] == list(plan.positions(DEPTHS[learner]))


@every_case
def test_a_checkpoint_predicts_the_same(learner: type[Learner], plan: NormPlan) -> None:
    network, other = classifier(learner, plan), classifier(learner, plan, seed=1)
    lived(network)
    x_NTC = windows(3)
    expected = network.eval()(x_NTC)
    assert not torch.equal(other.eval()(x_NTC), expected)
    other.load_state_dict(network.state_dict())
    assert torch.equal(other(x_NTC), expected)
    assert torch.equal(copy.deepcopy(network)(x_NTC), expected)


@every_case
def test_the_folded_network_gives_the_same_logits_and_says_which_norms_stay(
    learner: type[Learner], plan: NormPlan
) -> None:
    network = classifier(learner, plan)
    lived(network)
    before = copy.deepcopy(network.state_dict())
    folded, left = fold(network)
    x_NTC = windows(5)
    torch.testing.assert_close(folded(x_NTC), copy.deepcopy(network).eval()(x_NTC), rtol=1e-4, atol=1e-5)
    assert [f"features.{sentence.split(' stays: ')[0]}" for sentence in left] == norms_of(folded)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


@every_learner
def test_a_norm_put_in_renames_nothing_and_changes_no_initial_value(learner: type[Learner]) -> None:
    states = [built(learner, plan, seed=7).state_dict() for placed, plan in CASES if placed is learner]
    bare = built(learner, NormPlan(placement="none"), seed=7).state_dict()
    for state in states:
        # only the bias of a convolution may go, where a norm with one of its own stands behind it
        assert {name for name in bare if not name.endswith("conv.bias")} <= set(state)
    for one, other in itertools.combinations(states, 2):
        for name in set(one) & set(other):
            if one[name].shape == other[name].shape:
                assert torch.equal(one[name], other[name]), name


@every_learner
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_trains_or_is_refused_where_it_cannot_stand(learner: type[Learner], kind: str) -> None:
    """Behind an LSTM there are no weights to change; behind a dense layer there is one value per unit and window."""
    plan = NormPlan(kind, "every")
    recurrent = has(built(learner, NormPlan(placement="none")), nn.LSTM)
    refused = (recurrent and KINDS[kind].weights != "plain") or (
        has_dense(learner) and kind in ("instance", "filter_response")
    )
    if refused:
        with pytest.raises(UsageError) as error:
            small(learner).build(CHANNELS, SAMPLES, plan)
        assert kind in error.value.what
        return
    network = classifier(learner, plan)
    lived(network)
    folded, _ = fold(network)
    x_NTC = windows(4)
    torch.testing.assert_close(folded(x_NTC), network.eval()(x_NTC), rtol=1e-4, atol=1e-5)
    assert torch.isfinite(network(x_NTC)).all()


def require_same_when_exported(learner: type[Learner], plan: NormPlan) -> None:
    """Fold, export with a number of windows that is left open, and hold the program against the unfolded network."""
    network = classifier(learner, plan)
    lived(network)
    folded, _ = fold(network)
    dimension = torch.export.Dim("windows", min=1)
    with warnings.catch_warnings():
        # torch's own LSTM keeps its weights in a list beside its parameters, which export notices
        warnings.filterwarnings("ignore", message="The tensor attributes? .*_flat_weights", category=UserWarning)
        program = torch.export.export(folded, (windows(2),), dynamic_shapes=({0: dimension},)).module()
    for count in (1, 5):
        x_NTC = windows(count)
        torch.testing.assert_close(program(x_NTC), network.eval()(x_NTC), rtol=1e-4, atol=1e-5)


@every_learner
def test_an_exported_network_gives_the_same_logits_for_any_number_of_windows(learner: type[Learner]) -> None:
    require_same_when_exported(learner, NormPlan("layer", "input_every", "post"))  # a kind that does not fold


@pytest.mark.slow
@every_case
def test_an_exported_network_gives_the_same_logits_wherever_the_norm_stands(
    learner: type[Learner], plan: NormPlan
) -> None:
    require_same_when_exported(learner, plan)


def stacked(networks: list[Classifier], x_NTC: Tensor) -> Tensor:
    parameters, buffers = stack_module_state(networks)
    return vmap(lambda p, b: functional_call(networks[0], (p, b), (x_NTC,)))(parameters, buffers)


RECURRENT = [learner for learner in LEARNERS if has(built(learner, NormPlan()), nn.LSTM)]


@pytest.mark.parametrize(("learner", "plan"), [case for case in CASES if case[0] not in RECURRENT], ids=named)
def test_stacked_networks_give_what_each_gives(learner: type[Learner], plan: NormPlan) -> None:
    networks = [classifier(learner, plan, seed=seed).eval() for seed in range(3)]
    x_NTC = windows(4)
    expected = torch.stack([network(x_NTC) for network in networks])
    torch.testing.assert_close(stacked(networks, x_NTC), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("learner", RECURRENT, ids=named)
def test_torch_cannot_stack_an_lstm(learner: type[Learner]) -> None:
    """Such runs are trained one after the other; the day that torch has a rule, this fails."""
    network = classifier(learner, NormPlan()).eval()
    with pytest.raises(RuntimeError, match="lstm"):
        stacked([network, network], windows(3))


@every_learner
def test_windows_channels_and_samples_are_not_confused(learner: type[Learner]) -> None:
    """Windows in another order give the same in that order; channels or samples in another order something else."""
    network = built(learner, NormPlan(placement="none")).eval()
    x_NTC = windows(3)
    features_ND = network(x_NTC)
    torch.testing.assert_close(network(x_NTC.flip(0)), features_ND.flip(0))
    for axis in (1, 2):
        assert not torch.allclose(network(x_NTC.flip(axis)), features_ND, atol=1e-3)


@every_learner
def test_the_memory_of_a_window_does_not_matter(learner: type[Learner]) -> None:
    network = built(learner, NormPlan(placement="input_scalar")).eval()
    x_NTC = windows(3)
    scattered = x_NTC.transpose(1, 2).contiguous().transpose(1, 2)
    torch.testing.assert_close(network(scattered), network(x_NTC))


@pytest.mark.parametrize("learner", [one for one in LEARNERS if has(built(one, PLANS[0]), nn.MaxPool2d)], ids=named)
def test_a_window_too_short_for_its_kernels_is_one_error_with_numbers(learner: type[Learner]) -> None:
    settings = small(learner)
    needed = next(samples for samples in range(1, SAMPLES) if _fits(settings, samples))
    with pytest.raises(UsageError, match=f"a window of {needed - 1} samples .* needs at least {needed}") as error:
        settings.build(CHANNELS, needed - 1, NormPlan())
    assert learner.__name__ in error.value.what
    features = settings.build(CHANNELS, needed, NormPlan(placement="none"))
    assert features(torch.randn(2, needed, CHANNELS)).shape == (2, features.features)


def _fits(settings: Learner, samples: int) -> bool:
    try:
        settings.build(CHANNELS, samples, NormPlan(placement="none"))
    except UsageError:
        return False
    return True


@every_learner
def test_features_depend_on_the_samples_that_the_receptive_field_says(learner: type[Learner]) -> None:
    """Behind a mean over time that is tested where the mean is of one output: in the shortest window."""
    bare = NormPlan(placement="none")
    samples = small(learner).build(CHANNELS, SAMPLES, bare).receptive_field
    averaged = learner in (CNN, ResidualCNN)
    features = small(learner).build(CHANNELS, samples if averaged else SAMPLES, bare).double().eval()
    with torch.no_grad():
        for parameter in features.parameters():
            parameter.uniform_(0.1, 0.2)  # positive weights: no activation hides a dependence
    x_NTC = torch.rand(1, samples if averaged else SAMPLES, CHANNELS, dtype=torch.float64)
    whole = features(x_NTC)
    for place in range(x_NTC.shape[1]):
        changed = x_NTC.clone()
        changed[:, place] += 100
        if place in (0, samples - 1):
            assert not torch.equal(features(changed), whole)
        elif place >= samples:
            assert torch.equal(features(changed), whole)


def test_what_a_classifier_learns_on_is_what_it_predicts_with() -> None:
    for learner in LEARNERS:
        network: Classifier = classifier(learner, NormPlan(placement="none"))
        x_NTC = windows(3)
        torch.testing.assert_close(network.learn(x_NTC)[0], network(x_NTC))
