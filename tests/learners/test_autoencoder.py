"""The autoencoder learns its code without labels, and its head beside it."""

from __future__ import annotations

import copy

import torch
from torch import Tensor
from torch.nn import functional

from har.learners.autoencoder import Autoencoder
from har.learners.classifier import Classifier, InputScaling
from har.learners.folding import fold
from har.learners.initialise import initialise
from har.norms.plan import NormPlan


def network(placement: str = "none") -> Classifier:
    features = Autoencoder(12).build(2, 10, NormPlan(placement=placement))
    scaling = InputScaling("channel", torch.tensor([1.0, -2.0]), torch.tensor([4.0, 0.25]), ["a", "b"])
    made = Classifier(scaling, features, 3)
    initialise(made, 0)
    return made


def loss_of(made: Classifier, x_NTC: Tensor, label_N: Tensor) -> Tensor:
    logits_NK, own_loss = made.learn(x_NTC)
    assert own_loss is not None
    return functional.cross_entropy(logits_NK, label_N) + own_loss


def test_no_label_reaches_the_code_and_no_reconstruction_the_head() -> None:
    x_NTC = torch.randn(6, 10, 2)
    gradients = []
    for labels in (torch.zeros(6, dtype=torch.int64), torch.arange(6) % 3):
        made = network()
        loss_of(made, x_NTC, labels).backward()
        gradients.append({name: parameter.grad for name, parameter in made.named_parameters()})
    for name in gradients[0]:
        assert torch.equal(gradients[0][name], gradients[1][name]) is name.startswith("features"), name  # type: ignore[arg-type]


def test_what_is_given_back_is_the_scaled_window_in_the_order_of_its_memory() -> None:
    made = network("input")
    x_NTC = torch.randn(6, 10, 2) * 3
    _, own_loss = made.learn(x_NTC)
    scaled_NTC = made.scaling(x_NTC)
    decoded_NTC = made.features.get_submodule("decoder")(made.features(scaled_NTC)).view(6, 10, 2)
    torch.testing.assert_close(own_loss, (decoded_NTC - scaled_NTC).square().mean())


def test_training_makes_windows_come_back_and_teaches_the_head() -> None:
    """Two shapes of noise about a sine and a cosine; the code never saw which is which."""
    made = network()
    optimiser = torch.optim.Adam(made.parameters(), 0.01)
    generator = torch.Generator().manual_seed(0)
    phase_T = torch.linspace(0, 6.28, 10)

    def windows() -> tuple[Tensor, Tensor]:
        label_N = torch.arange(32) % 2
        wave_NT = torch.where(label_N[:, None] == 0, phase_T.sin(), phase_T.cos())
        noise_NTC = torch.randn(32, 10, 2, generator=generator)
        return torch.stack([wave_NT, -wave_NT], dim=2) + 0.3 * noise_NTC, label_N

    first = made.learn(windows()[0])[1]
    for _ in range(150):
        optimiser.zero_grad()
        loss_of(made, *windows()).backward()
        optimiser.step()
    x_NTC, label_N = windows()
    assert made.learn(x_NTC)[1] < first / 3  # type: ignore[operator]
    assert (made(x_NTC).argmax(1) == label_N).float().mean() > 0.9


def test_the_decoder_stays_behind_when_norms_are_folded() -> None:
    made = network("every")
    made(torch.randn(6, 10, 2)).sum().backward()
    folded, left = fold(made)
    assert left == []
    assert not [name for name in folded.state_dict() if "decoder" in name or "norm" in name]
    x_NTC = torch.randn(3, 10, 2)
    torch.testing.assert_close(folded(x_NTC), copy.deepcopy(made).eval()(x_NTC), rtol=1e-4, atol=1e-5)
