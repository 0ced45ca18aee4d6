"""The registry of kinds: what each must do, and the norm that all sensors share."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from har.norms.batch import BatchNorm
from har.norms.layers import KINDS, AllSensors

EPSILON = 1e-3  # large enough that forgetting it fails


def random_input(channels: int = 3) -> Tensor:
    offset_C = torch.randn(1, channels, 1, 1, dtype=torch.float64) * 5
    return torch.randn(7, channels, 11, 1, dtype=torch.float64) * 3 + offset_C


def test_scalar_norm_has_one_mean_and_variance_over_all_sensors() -> None:
    layer, x = AllSensors(BatchNorm(1, EPSILON, 0.1)).double(), random_input(5)
    expected = (x - x.mean()) / (x.var(correction=0) + EPSILON).sqrt() * layer.scalar.weight + layer.scalar.bias
    torch.testing.assert_close(layer(x), expected)
    n = x.numel()
    torch.testing.assert_close(layer.scalar.running_mean, 0.1 * x.mean().view(1))
    torch.testing.assert_close(layer.scalar.running_var, 0.9 + 0.1 * x.var(correction=0).view(1) * n / (n - 1))


def test_scalar_norm_keeps_the_offset_between_sensors() -> None:
    """107 sensors, one of them offset by 10: it stays apart from the others, as it would not per channel."""
    x = torch.randn(16, 107, 64, 1)
    x[:, 0] += 10
    y = AllSensors(BatchNorm(1, 1e-5, 0.1))(x)
    assert y[:, 0].mean() > 6
    assert abs(y[:, 1:].mean()) < 0.2


def test_scalar_norm_keeps_the_memory_layout() -> None:
    x = torch.randn(4, 20, 6).permute(0, 2, 1).unsqueeze(-1)  # time-major memory
    assert AllSensors(BatchNorm(1, 1e-5, 0.1))(x).is_contiguous(memory_format=torch.channels_last)


# One channel cannot be normalised over channels, which test_per_window guards.
LAYERS = [(name, channels) for name, kind in KINDS.items() if kind.layer for channels in (1, 6)]
LAYERS.remove(("layer_channels", 1))
# Options that change what a layer does or keeps.
OPTIONS = {
    "ghost_batch by 2": {"size": 2},
    "batch_renorm by 2": {"size": 2},
    "mabn by 2": {"size": 2, "memory": 3},
    "filter_response learned": {"learned_epsilon": True},
}
LAYERS += [(name, channels) for name in OPTIONS for channels in (1, 6)]


@pytest.mark.parametrize(("kind", "channels"), LAYERS)
class TestContract:
    """What every registered kind with a layer must do."""

    def made(self, kind: str, channels: int) -> nn.Module:
        return KINDS[kind.split()[0]].build(channels, 9, 1e-5, 0.1, **OPTIONS.get(kind, {}))

    def test_shape_dtype_and_layout_are_kept(self, kind: str, channels: int) -> None:
        layer = self.made(kind, channels)
        x = torch.randn(5, 9, channels).permute(0, 2, 1).unsqueeze(-1)
        for mode in (True, False):
            y = layer.train(mode)(x)
            assert y.shape == x.shape
            assert y.dtype == x.dtype
            assert y.is_contiguous(memory_format=torch.channels_last)

    def test_gradients_reach_input_and_parameters(self, kind: str, channels: int) -> None:
        layer = self.made(kind, channels)
        x = torch.randn(5, channels, 9, 1, requires_grad=True)
        (layer(x) ** 3).sum().backward()
        assert x.grad is not None
        assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in layer.parameters())

    def test_windows_that_need_no_gradient_train_the_parameters(self, kind: str, channels: int) -> None:
        layer = self.made(kind, channels)
        x = torch.randn(5, 9, channels).permute(0, 2, 1).unsqueeze(-1)
        layer(x).square().sum().backward()
        AllSensors(layer)(x.permute(0, 3, 2, 1)).square().sum().backward()
        assert all(parameter.grad is not None for parameter in layer.parameters())

    def test_inference_does_not_depend_on_the_batch(self, kind: str, channels: int) -> None:
        layer = self.made(kind, channels)
        layer(torch.randn(5, channels, 9, 1) * 4 + 1)
        layer.eval()
        x = torch.randn(6, channels, 9, 1)
        torch.testing.assert_close(layer(x)[:1], layer(x[:1]))

    def test_inference_changes_no_state(self, kind: str, channels: int) -> None:
        layer = self.made(kind, channels).eval()
        before = copy.deepcopy(layer.state_dict())
        layer(torch.randn(5, channels, 9, 1) * 4 + 1)
        assert all(torch.equal(value, before[name]) for name, value in layer.state_dict().items())

    def test_state_survives_save_and_load(self, kind: str, channels: int) -> None:
        layer, other = self.made(kind, channels), self.made(kind, channels)
        for _ in range(3):
            layer(torch.randn(5, channels, 9, 1) * 4 + 1).sum().backward()
        other.load_state_dict(copy.deepcopy(layer.state_dict()))
        x = torch.randn(6, channels, 9, 1)
        torch.testing.assert_close(layer(x), other(x), rtol=0, atol=0)
        torch.testing.assert_close(layer.eval()(x), other.eval()(x), rtol=0, atol=0)

    def test_parameters_are_vectors_that_no_optimiser_decays(self, kind: str, channels: int) -> None:
        assert all(parameter.ndim == 1 for parameter in self.made(kind, channels).parameters())

    def test_reset_gives_the_state_of_a_new_layer(self, kind: str, channels: int) -> None:
        layer, new = self.made(kind, channels), self.made(kind, channels)
        layer(torch.randn(5, channels, 9, 1) * 4 + 1).sum().backward()
        with torch.no_grad():
            for parameter in layer.parameters():
                parameter.normal_()
        layer.reset_parameters()
        assert all(torch.equal(value, new.state_dict()[name]) for name, value in layer.state_dict().items())


def test_options_are_what_a_class_takes_beyond_shape_epsilon_and_momentum() -> None:
    assert KINDS["batch"].options() == {}
    assert KINDS["ghost_batch"].options() == {"size": int}
    assert set(KINDS["group"].options()) == {"groups"}
    assert KINDS["scaled_weights"].options() == {}
