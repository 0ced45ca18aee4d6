"""Gain, offset and the mates in a batch: networks whose answer is known."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from har.norms.layers import KINDS
from har.norms.sensitivity import GAINS, OFFSETS, _batches, batch_sensitivity, gain_accuracy, offset_accuracy


def sign_of_the_mean(x_NTC: Tensor) -> Tensor:
    mean_N = x_NTC.mean((1, 2))
    return torch.stack([-mean_N, mean_N], dim=1)


def loud(x_NTC: Tensor) -> Tensor:
    """Activity 1 where the root mean square is above 1."""
    size_N = x_NTC.square().mean((1, 2)).sqrt()
    return torch.stack([1 - size_N, size_N - 1], dim=1)


def test_gain_is_borne_by_signs_and_not_by_sizes() -> None:
    x_NTC = torch.randn(400, 30, 2) + torch.randn(400, 1, 1)
    label_N = (x_NTC.mean((1, 2)) > 0).long()
    assert gain_accuracy(sign_of_the_mean, x_NTC, label_N) == dict.fromkeys(GAINS, 1.0)
    sizes_N = torch.linspace(0.4, 2.2, 400)  # 133 up to 1, 267 above
    x_NTC = (x_NTC / x_NTC.square().mean((1, 2), keepdim=True).sqrt()) * sizes_N[:, None, None]
    found = gain_accuracy(loud, x_NTC, (sizes_N > 1).long())
    assert found[1.0] == 1.0
    for gain in GAINS:
        between_N = (sizes_N > min(1, 1 / gain)) & (sizes_N <= max(1, 1 / gain))
        assert found[gain] == pytest.approx(1 - float(between_N.float().mean()), abs=0.006)


def test_an_offset_is_so_many_deviations_of_each_channel() -> None:
    deviation_C = torch.tensor([1.0, 10.0])
    seen: list[Tensor] = []

    def predict(x_NTC: Tensor) -> Tensor:
        seen.append(x_NTC[0, 0])
        return sign_of_the_mean(x_NTC)

    x_NTC = torch.randn(100, 8, 2)
    x_NTC[:50] = x_NTC[:50].abs() + 0.1
    x_NTC[50:] = -x_NTC[:50]
    label_N = torch.tensor([1] * 50 + [0] * 50)
    found = offset_accuracy(predict, x_NTC, label_N, deviation_C)
    assert found == {-1.0: 0.5, -0.5: 0.5, 0.0: 1.0, 0.5: 0.5, 1.0: 0.5}  # 5 on the mean of windows of about 1
    for offset, first in zip(OFFSETS, seen, strict=True):
        torch.testing.assert_close(first, x_NTC[0, 0] + offset * deviation_C)


@settings(max_examples=60)
@given(st.lists(st.integers(0, 4), min_size=1, max_size=60), st.integers(1, 9), st.integers(0, 2**31 - 1))
def test_every_window_is_new_once_among_its_own_in_full_batches(groups: list[int], size: int, seed: int) -> None:
    group_N = torch.tensor(groups)
    seen: list[int] = []
    for rows, new in _batches(group_N, size, torch.Generator().manual_seed(seed)):
        assert len(rows) == size
        assert len(group_N[rows].unique()) == 1
        if int((group_N == group_N[rows[0]]).sum()) >= size:
            assert len(rows.unique()) == size  # none twice where there are enough
        seen += rows[:new].tolist()
    assert sorted(seen) == list(range(len(groups)))


def with_mates(kind: str, training: bool = True) -> dict[str, float]:
    """Windows whose offset is their activity's, through a norm and the sign of the mean."""
    layer = KINDS[kind].build(2, 12, 1e-5, 0.1).train(training)
    generator = torch.Generator().manual_seed(0)
    label_N, subject_N = torch.arange(240) % 3, torch.arange(240) // 60
    x_NTC = torch.randn(240, 12, 2, generator=generator) + 2 * label_N[:, None, None] - 2

    @torch.no_grad()
    def predict(x_NTC: Tensor) -> Tensor:
        own = {name: buffer.clone() for name, buffer in layer.named_buffers()}
        output = layer(x_NTC.permute(0, 2, 1).unsqueeze(-1))
        for name, buffer in layer.named_buffers():
            buffer.copy_(own[name])
        return 2 * sign_of_the_mean(output.squeeze(-1).permute(0, 2, 1))

    return batch_sensitivity(predict, x_NTC, label_N, subject_N, 20, generator)


def test_batch_norm_takes_from_batches_of_one_activity_what_tells_it() -> None:
    found = with_mates("batch")
    assert list(found) == ["random", "activity", "subject"]
    assert found["activity"] > 3 * found["random"] > 0
    assert found["subject"] == pytest.approx(found["random"], rel=0.5)  # subjects do not differ here


@pytest.mark.parametrize("kind", ["instance", "layer", "group", "filter_response", "layer_channels"])
def test_a_norm_of_a_window_does_not_notice_the_others(kind: str) -> None:
    assert max(with_mates(kind).values()) < 1e-6


def test_no_norm_notices_them_in_inference() -> None:
    assert max(with_mates("batch", training=False).values()) < 1e-6


def test_a_change_is_half_the_sum_of_differences() -> None:
    """A network that is certain of the activity of its batch's first window: all change, or none."""

    class First(nn.Module):
        def forward(self, x_NTC: Tensor) -> Tensor:
            return 1e6 * nn.functional.one_hot(x_NTC[:1, 0, 0].long(), 2).expand(len(x_NTC), 2).double()

    label_N = torch.arange(4000) % 2
    x_NTC = label_N[:, None, None].float()
    found = batch_sensitivity(First(), x_NTC, label_N, label_N, 2, torch.Generator().manual_seed(1))
    assert found["activity"] == found["subject"] == pytest.approx(0.25, abs=0.03)  # half the windows, half the time
    assert found["random"] == pytest.approx(0.375, abs=0.03)
