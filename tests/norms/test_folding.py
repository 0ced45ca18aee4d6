"""Affine maps of norms, and neighbours that take them over, in float64."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from har.norms.folding import affine_of, foldable, into_next, into_previous, plain
from har.norms.layers import KINDS, AllSensors
from har.norms.weights import TRANSFORMS, Convolution

C, T = 6, 20
AFFINE = ("batch", "ghost_batch", "batch_renorm", "mabn")


def used(kind: str, channels: int = C) -> nn.Module:
    """A norm with parameters and statistics of its own, in inference."""
    norm = KINDS[kind].build(channels, T, 1e-3, 0.1).double()
    with torch.no_grad():
        norm.weight.normal_()
        norm.bias.normal_()
    for _ in range(3):
        norm(torch.randn(5, channels, T, 1, dtype=torch.float64) * 3 + 2)
    return norm.eval()


def random_input(channels: int = C) -> Tensor:
    return torch.randn(4, channels, T, 1, dtype=torch.float64) * 2 + 1


@pytest.mark.parametrize("kind", [kind for kind, made in KINDS.items() if made.layer])
def test_the_map_of_a_norm_is_its_inference_and_norms_of_a_window_have_none(kind: str) -> None:
    norm, x = used(kind), random_input()
    maps = affine_of(norm, C)
    assert (maps is not None) == (kind in AFFINE)
    if maps is not None:
        scale, shift = (value.view(1, C, 1, 1) for value in maps)
        torch.testing.assert_close(norm(x), x * scale + shift)


@pytest.mark.parametrize("kind", AFFINE)
def test_a_norm_of_all_sensors_has_one_factor_for_all(kind: str) -> None:
    norm, x = AllSensors(used(kind, channels=1)), random_input()
    maps = affine_of(norm, C)
    assert maps is not None
    torch.testing.assert_close(norm(x), x * maps[0].view(1, C, 1, 1) + maps[1].view(1, C, 1, 1))
    assert affine_of(AllSensors(KINDS["layer"].build(1, T * C, 1e-3, 0.1)), C) is None


@pytest.mark.parametrize("transform", TRANSFORMS)
@pytest.mark.parametrize("bias", [True, False])
def test_a_plain_convolution_does_what_the_transformed_one_does(transform: str, bias: bool) -> None:
    conv = Convolution(C, 4, 5, bias, transform).double()
    twin, x = plain(conv), random_input()
    assert twin.transform == "plain"
    torch.testing.assert_close(twin(x), conv(x))


@pytest.mark.parametrize("transform", TRANSFORMS)
@pytest.mark.parametrize("bias", [True, False])
def test_neighbours_take_a_map_over(transform: str, bias: bool) -> None:
    conv, x = Convolution(C, 4, 5, bias, transform).double(), random_input()
    scale_F, shift_F = torch.randn(2, 4, dtype=torch.float64)
    behind = conv(x) * scale_F.view(1, 4, 1, 1) + shift_F.view(1, 4, 1, 1)
    torch.testing.assert_close(into_previous(conv, scale_F, shift_F)(x), behind)
    scale_C, shift_C = torch.randn(2, C, dtype=torch.float64)
    before = conv(x * scale_C.view(1, C, 1, 1) + shift_C.view(1, C, 1, 1))
    torch.testing.assert_close(into_next(conv, scale_C, shift_C)(x), before)
    head, features = nn.Linear(C, 3).double(), torch.randn(5, C, dtype=torch.float64)
    torch.testing.assert_close(into_next(head, scale_C, shift_C)(features), head(features * scale_C + shift_C))


def test_before_a_padded_convolution_the_map_would_be_wrong_at_the_borders() -> None:
    """Why the project's convolutions are valid: padded zeros are not normalised."""
    conv = plain(Convolution(C, 4, 5, bias=True).double())
    scale_C, shift_C = torch.rand(2, C, dtype=torch.float64) + 0.5
    folded, x = into_next(conv, scale_C, shift_C), random_input()

    def padded(layer: Convolution, values: Tensor) -> Tensor:
        return functional.conv2d(values, layer.weight, layer.bias, padding=(2, 0))

    mapped = x * scale_C.view(1, C, 1, 1) + shift_C.view(1, C, 1, 1)
    difference = (padded(conv, mapped) - padded(folded, x)).abs().amax((0, 1, 3))
    assert (difference[2:-2] < 1e-9).all()
    assert (difference[[0, 1, -2, -1]] > 1e-3).all()


def test_a_negative_factor_keeps_a_norm_in_front_of_max_pooling_and_nowhere_else() -> None:
    norm = used("batch")
    norm.weight.data = torch.tensor([1.0, -1.0, 1.0, -1.0, 1.0, 1.0]).double()
    maps, why = foldable(norm, "block1.norm", C, pooled=True)
    assert maps is None
    assert why[0].startswith("block1.norm stays: 2 of its 6 factors are negative")
    maps, why = foldable(norm, "block1.norm", C)
    assert maps is not None
    assert why == []
    assert "each window" in foldable(used("group"), "block1.norm", C)[1][0]
