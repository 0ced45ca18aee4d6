"""Layered networks against the same written with other means: axes, order of values, states, and the paper's sizes."""

from __future__ import annotations

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from har.errors import UsageError
from har.learners.autoencoder import Autoencoder
from har.learners.base import Features, Learner
from har.learners.blocks import Recurrence
from har.learners.initialise import initialise
from har.learners.layered import LayeredFeatures, Layers
from har.learners.mlp import MLP
from har.learners.recurrent import LSTM, DeepConvLSTM, Hybrid
from har.learners.shared_cnn import SharedCNN
from har.norms.plan import NormPlan

BARE = NormPlan(placement="none")


def by_hand(network: Features, layers: Layers, x_NTC: Tensor) -> Tensor:
    """The network from one convolution per sensor, explicit loops over samples and explicit indices."""
    state = dict(network.named_parameters())
    sensors = [x_NTC[:, :, [channel]].transpose(1, 2) for channel in range(x_NTC.shape[2])]  # each (N, 1, T)
    for number, pool in enumerate(layers.pool, start=1):
        weight, bias = state[f"block{number}.conv.weight"].squeeze(-1), state[f"block{number}.conv.bias"]
        sensors = [functional.max_pool1d(functional.conv1d(h, weight, bias).relu(), pool) for h in sensors]
    sequence = [torch.cat([h[:, :, t] for h in sensors], dim=1) for t in range(sensors[0].shape[2])]  # sensor, filter
    for number in range(1, len(layers.lstm) + 1):
        sequence = states(network.get_submodule(f"lstm{number}.lstm"), sequence)  # type: ignore[arg-type]
    h_ND = sequence[-1] if layers.lstm else torch.cat(sequence, dim=1)
    for number in range(1, len(layers.dense) + 1):
        weight = state[f"dense{number}.conv.weight"].permute(0, 2, 3, 1).flatten(1)  # time before channel
        h_ND = (h_ND @ weight.T + state[f"dense{number}.conv.bias"]).relu()
    return h_ND


def states(layer: Recurrence, sequence: list[Tensor]) -> list[Tensor]:
    """The states of an LSTM by its equations, gates in torch's order: input, forget, cell, output."""
    width = layer.hidden_size
    h = c = sequence[0].new_zeros(len(sequence[0]), width)
    found = []
    for x in sequence:
        gates = x @ layer.weight_ih_l0.T + layer.bias_ih_l0 + h @ layer.weight_hh_l0.T + layer.bias_hh_l0
        enter, forget, cell, leave = gates.split(width, dim=1)
        c = forget.sigmoid() * c + enter.sigmoid() * cell.tanh()
        h = leave.sigmoid() * c.tanh()
        found.append(h)
    return found


widths = st.lists(st.integers(1, 4), max_size=2)


@settings(max_examples=40)
@given(st.lists(st.tuples(st.integers(1, 4), st.integers(1, 4), st.integers(1, 2)), max_size=3), widths, widths)
def test_a_network_is_the_one_written_with_loops_over_sensors_and_samples(
    convolutions: list[tuple[int, int, int]], lstm: list[int], dense: list[int]
) -> None:
    assume(convolutions or lstm or dense)
    filters, kernels, pool = (tuple(layer[place] for layer in convolutions) for place in range(3))
    layers = Layers(filters, kernels, pool, tuple(lstm), tuple(dense))
    network = LayeredFeatures("test", layers, 3, 30, BARE)  # the longest kernels and pools need 29 samples
    initialise(network, 0)
    network = network.double()
    x_NTC = torch.randn(4, 30, 3, dtype=torch.float64)
    found, expected = network(x_NTC), by_hand(network, layers, x_NTC)
    torch.testing.assert_close(found, expected)
    leaves, slope = list(network.parameters()), torch.randn_like(expected)
    if leaves:
        torch.testing.assert_close(
            torch.autograd.grad(found, leaves, slope), torch.autograd.grad(expected, leaves, slope)
        )


def test_sensors_share_kernels_so_that_sensors_in_another_order_give_the_same_maps_in_that_order() -> None:
    network = SharedCNN([4, 5], [3, 2], [2, 1], [6]).build(4, 20, BARE)
    initialise(network, 0)
    seen: list[Tensor] = []
    network.get_submodule("block2").register_forward_hook(lambda _, __, output: seen.append(output))
    x_NTC, order = torch.randn(2, 20, 4), torch.tensor([2, 0, 3, 1])
    network(x_NTC)
    network(x_NTC[:, :, order])
    assert seen[0].shape == (2, 5, 8, 4)
    torch.testing.assert_close(seen[1], seen[0][..., order])


def test_flattened_values_lie_in_the_order_time_sensor_filter() -> None:
    network = SharedCNN([4], [3], [1], [1]).build(3, 10, BARE)
    initialise(network, 0)
    seen: list[Tensor] = []
    network.get_submodule("block1").register_forward_hook(lambda _, __, output: seen.append(output))
    weight = network.get_parameter("dense1.conv.weight")
    x_NTC = torch.randn(2, 10, 3)
    for time, sensor, place in ((0, 0, 1), (5, 2, 3), (7, 1, 0)):
        with torch.no_grad():
            weight.zero_()[0, (time * 3 + sensor) * 4 + place] = 1.0
        feature_N = network(x_NTC)[:, 0]
        torch.testing.assert_close(feature_N, seen[-1][:, place, time, sensor])


def test_a_dense_layer_reads_the_window_in_the_order_of_its_memory() -> None:
    network = MLP([30]).build(3, 10, BARE)
    initialise(network, 0)
    with torch.no_grad():
        network.get_parameter("dense1.conv.weight").copy_(torch.eye(30).view(30, 10, 3, 1).transpose(1, 2))
    x_NTC = torch.rand(2, 10, 3)
    torch.testing.assert_close(network(x_NTC), x_NTC.reshape(2, 30))


@pytest.mark.parametrize("learner", [SharedCNN([4], [3], [1], [6]), Hybrid([4], [3], [1], [5], []), MLP([5])])
def test_the_first_layer_reads_the_windows_memory_without_a_copy(learner: Learner) -> None:
    network = learner.build(6, 12, BARE)
    seen: list[Tensor] = []
    next(layer for layer in network.modules() if isinstance(layer, nn.Conv2d)).register_forward_pre_hook(
        lambda _, inputs: seen.append(inputs[0])
    )
    x_NTC = torch.randn(4, 12, 6)
    network(x_NTC)
    assert seen[0].data_ptr() == x_NTC.data_ptr()


def test_statistics_behind_a_shared_convolution_run_over_windows_samples_and_sensors() -> None:
    network = SharedCNN([4], [3], [1], [6]).build(5, 12, NormPlan(placement="first", momentum=1.0))
    initialise(network, 0)
    seen: list[Tensor] = []
    network.get_submodule("block1.conv").register_forward_hook(lambda _, __, output: seen.append(output))
    network(torch.randn(3, 12, 5))
    norm = network.get_submodule("block1.norm")
    torch.testing.assert_close(norm.running_mean, seen[0].mean((0, 2, 3)))
    torch.testing.assert_close(norm.running_var, seen[0].var((0, 2, 3)))


def test_statistics_behind_an_lstm_run_over_windows_and_the_states_of_all_samples() -> None:
    network = LSTM([4], []).build(5, 12, NormPlan(placement="last", momentum=1.0))
    initialise(network, 0)
    x_NTC = torch.randn(3, 12, 5)
    features_ND = network(x_NTC)
    states_NTH = nn.LSTM.forward(network.get_submodule("lstm1.lstm"), x_NTC)[0]
    norm = network.get_submodule("lstm1.norm")
    torch.testing.assert_close(norm.running_mean, states_NTH.mean((0, 1)))
    mean_H, deviation_H = states_NTH.mean((0, 1)), (states_NTH.var((0, 1), correction=0) + 1e-5).sqrt()
    torch.testing.assert_close(features_ND, (states_NTH[:, -1] - mean_H) / deviation_H)


def test_dropout_acts_on_the_features_in_training_alone() -> None:
    network = DeepConvLSTM([4], 3, [64]).build(3, 12, BARE)
    initialise(network, 0)
    x_NTC = torch.randn(4, 12, 3)
    dropped = network(x_NTC)
    kept = network.eval()(x_NTC)
    torch.testing.assert_close(dropped[dropped != 0], 2 * kept[dropped != 0])
    assert 0.2 < (dropped == 0).float().mean() < 0.8


# Trainable parameters of the published networks, the head included, from their shapes; a torch LSTM has a second bias.
PUBLISHED = {
    "OPPORTUNITY": (
        (107, 64, 18),
        [
            (SharedCNN(), 3_256_890, 0),
            (MLP(), 21_738_020, 0),
            (LSTM(), 4_898_548, 2 * 2400),
            (Hybrid(), 17_482_348, 2 * 2400),
        ],
    ),
    "UniMiB": (
        (3, 151, 17),
        [
            (SharedCNN(), 1_395_889, 0),
            (MLP([2000, 2000, 100]), 5_111_819, 0),
            (LSTM(), 4_648_435, 2 * 2400),
            (Hybrid(), 5_001_835, 2 * 2400),
        ],
    ),
}


@pytest.mark.parametrize("data_set", PUBLISHED)
def test_the_papers_networks_have_as_many_parameters_as_published(data_set: str) -> None:
    (channels, samples, activities), networks = PUBLISHED[data_set]
    for learner, parameters, second_biases in networks:
        with torch.device("meta"):
            features = learner.build(channels, samples, NormPlan(placement="input_scalar"))
            head = nn.Linear(features.features, activities)
        count = sum(parameter.numel() for part in (features, head) for parameter in part.parameters())
        assert count == parameters + second_biases, type(learner).__name__


def test_deepconvlstm_has_the_original_shape_and_the_autoencoder_the_papers() -> None:
    with torch.device("meta"):
        deep = DeepConvLSTM().build(113, 24, BARE)
        code = Autoencoder().build(107, 64, BARE)
    lstm = deep.get_submodule("lstm1.lstm")
    assert (lstm.input_size, lstm.hidden_size, deep.features) == (113 * 64, 128, 128)
    assert [name for name, _ in deep.named_children()][:6] == [*(f"block{n}" for n in (1, 2, 3, 4)), "lstm1", "lstm2"]
    assert sum(p.numel() for p in code.parameters()) == (6848 + 1) * 5000 + (5000 + 1) * 6848


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: MLP([]), "MLP dense"),
        (lambda: MLP([4, 0]), "MLP dense"),
        (lambda: MLP([4], 1.0), "dropout"),
        (lambda: SharedCNN([4], [3, 3], [1]), "SharedCNN kernels"),
        (lambda: SharedCNN([4], [3], [0]), "SharedCNN pool"),
        (lambda: SharedCNN([4], [3], [1], []), "SharedCNN dense"),
        (lambda: LSTM([]), "LSTM units"),
        (lambda: LSTM([4], [0]), "LSTM dense"),
        (lambda: Hybrid([], [], []), "Hybrid filters"),
        (lambda: Hybrid([4], [3], [1], [0]), "Hybrid units"),
        (lambda: DeepConvLSTM([4], 0), "DeepConvLSTM kernel"),
        (lambda: DeepConvLSTM([4], 3, [4], -0.1), "DeepConvLSTM dropout"),
        (lambda: Autoencoder(0), "Autoencoder code"),
    ],
)
def test_contradicting_settings_are_refused(make: object, match: str) -> None:
    with pytest.raises(UsageError, match=match):
        make()  # type: ignore[operator]


@pytest.mark.parametrize("kind", ["mabn", "standardised_weights", "scaled_weights"])
def test_a_kind_that_changes_weights_names_the_lstm_that_has_none_for_it(kind: str) -> None:
    with pytest.raises(UsageError, match=f"{kind} cannot stand behind an LSTM, which is layer 2 of 4") as error:
        Hybrid([4], [3], [1], [5, 5], [6]).build(3, 20, NormPlan(kind, "every"))
    assert "group" in error.value.hint
    Hybrid([4], [3], [1], [5, 5], [6]).build(3, 20, NormPlan(kind, [1, 4]))
