"""Networks trained as one stack against the same networks by themselves, in float64, where only rounding differs.

The reference is the module's own step with torch's optimiser, scheduler and clipping, network by network.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from har.norms.base import set_total_steps
from har.seeds import derive_seed
from har.training.cli import parts, resolve
from har.training.datamodule import HarDataModule
from har.training.evaluations import seed_step
from har.training.module import HarModule
from har.training.stack import Layout, Replica, Stack

STEPS = 20
CLIP = 0.3  # most steps' gradients are larger
NORM = "model.norm.kind"
# Seeds, folds (with other numbers of windows), learning rates, decays and scalings of one stack
REPLICAS: list[dict[str, Any]] = [
    {"seed_everything": 1, "data.fold": "subject-1"},
    {"seed_everything": 2, "data.fold": "subject-2", "model.learning_rate": 0.01, "model.scaling": "none"},
    {"seed_everything": 3, "data.fold": "subject-1", "model.weight_decay": 0.3},
]
VARIANTS: dict[str, tuple[dict[str, Any], float | None, str]] = {
    "none": ({"model.norm.placement": "none"}, None, "norm"),
    "batch": ({"model.learner.init_args.dropout": 0.3}, CLIP, "norm"),
    "mabn": ({NORM: "mabn", "model.learner.init_args.dropout": 0.3}, CLIP, "norm"),
    "batch_renorm": ({NORM: "batch_renorm", "model.norm.options": {"size": 8}}, 0.01, "value"),
    "adaptive": (
        {
            NORM: "scaled_weights",
            "model.adaptive_clipping": 0.01,
            "model.optimisation.schedule": "warm_up_cosine",
            "model.optimisation.label_smoothing": 0.1,
            "model.augmentation.gain": 0.2,
            "data.shift_s": 0.2,
        },
        None,
        "norm",
    ),
}


def made(root: Path, settings: dict[str, Any]) -> list[tuple[HarModule, HarDataModule]]:
    """Networks in float64 with their data, the same at every call."""
    common = {
        "data.root": str(root),
        "data.window_s": 2.0,
        "data.step_s": 0.5,
        "data.batch_size": 32,
        "model.learner": "har.learners.cnn.CNN",
        "model.learner.init_args.filters": [8, 6],
        "model.learner.init_args.pool": [4, 2],
        **settings,
    }
    found = []
    for own in REPLICAS:
        module, data, _ = parts(resolve([], {**common, **own}))
        data.setup()
        module.doubts(data)
        module.double()
        set_total_steps(module.network, STEPS)
        found.append((module, data))
    return found


def stacked(both: list[tuple[HarModule, HarDataModule]], clip: float | None, how: str) -> Tensor:
    """Train as a stack, give the weights back and return loss_SM of the steps."""
    stack = Stack([Replica(module, data) for module, data in both], STEPS).double()
    optimizer = stack.configure_optimizers()
    losses = []
    for step, (x_MNTC, label_MN) in enumerate(stack.train_dataloader()):
        optimizer.zero_grad()
        loss_M = stack.training_losses((x_MNTC.double(), label_MN), step)
        loss_M.sum().backward()
        stack.on_before_optimizer_step(optimizer)
        stack.configure_gradient_clipping(optimizer, clip, how)
        optimizer.step()
        losses.append(loss_M.detach())
    for number in range(len(both)):
        stack.give_back(number, stack.values)
    return torch.stack(losses)


def alone(module: HarModule, data: HarDataModule, clip: float | None, how: str) -> Tensor:
    """Train one network and return loss_S of the steps."""
    optimizer = module.optimisation.make(module.parameters(), module.learning_rate, module.weight_decay)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, module.optimisation.factor(STEPS))
    losses = []
    for step, (x_NTC, label_N) in enumerate(data.training_loader(STEPS)):
        module.seed_step(step)
        optimizer.zero_grad()
        loss = module.loss(module(module.augmented(x_NTC.double(), step)), label_N)
        loss.backward()
        module.on_before_optimizer_step(optimizer)
        if clip and how == "norm":
            torch.nn.utils.clip_grad_norm_(module.parameters(), clip)
        elif clip:
            torch.nn.utils.clip_grad_value_(module.parameters(), clip)
        optimizer.step()
        schedule.step()
        losses.append(loss.detach())
    return torch.stack(losses)


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_first_twenty_steps_of_a_stack_are_those_of_separate_runs(variant: str, data_root: Path) -> None:
    settings, clip, how = VARIANTS[variant]
    together, apart = made(data_root, settings), made(data_root, settings)
    loss_SM = stacked(together, clip, how)
    for number, (module, data) in enumerate(apart):
        torch.testing.assert_close(loss_SM[:, number], alone(module, data, clip, how), rtol=1e-9, atol=1e-9)
        found = together[number][0].network.state_dict()
        for name, value in module.network.state_dict().items():
            torch.testing.assert_close(found[name], value, rtol=1e-7, atol=1e-9, msg=f"{name} of {number}")
    assert len({round(float(loss), 6) for loss in loss_SM[-1]}) == len(REPLICAS)


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_step_elsewhere_takes_all_along_and_waits_for_no_value(variant: str, data_root: Path) -> None:
    """Torch's meta device stands for an accelerator: it refuses tensors of another one, and tells no value."""
    settings, clip, how = VARIANTS[variant]
    both = made(data_root, settings)
    stack = Stack([Replica(module, data) for module, data in both], STEPS).double().to("meta")
    optimizer = stack.configure_optimizers()
    x_MNTC, label_MN = next(iter(stack.train_dataloader()))
    assert x_MNTC.device.type == label_MN.device.type == "meta"
    for step in range(2):
        stack.training_losses((x_MNTC.double(), label_MN), step).sum().backward()
        stack.on_before_optimizer_step(optimizer)
        stack.configure_gradient_clipping(optimizer, clip, how)
        optimizer.step()
    stack.eval().on_validation_epoch_start()
    with torch.inference_mode():
        stack.validation_step((x_MNTC.double(), label_MN), 0)
    assert {value.device.type for value in (*stack.values.values(), *optimizer.moments.values())} == {"meta"}


def test_dropout_on_a_gpu_seeds_that_gpu_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    generators = [torch.Generator(), torch.Generator()]
    monkeypatch.setattr(torch.cuda, "default_generators", generators)
    before = torch.default_generator.get_state(), generators[0].get_state()
    seed_step(7, 3, torch.device("cuda", 1))
    assert torch.equal(torch.default_generator.get_state(), before[0])
    assert torch.equal(generators[0].get_state(), before[1])
    assert generators[1].initial_seed() == derive_seed(7, "step", 3)


def test_a_replica_that_is_not_finite_disturbs_no_other(data_root: Path) -> None:
    both, apart = made(data_root, {}), made(data_root, {})
    with torch.no_grad():
        both[1][0].network.head.weight.fill_(float("nan"))
    loss_SM = stacked(both, CLIP, "norm")
    assert not loss_SM[:, 1].isfinite().any()
    torch.testing.assert_close(loss_SM[:, 2], alone(*apart[2], CLIP, "norm"), rtol=1e-9, atol=1e-9)


@torch.no_grad()
def test_validation_counts_every_replicas_own_windows(data_root: Path) -> None:
    both = made(data_root, {})
    assert len({len(data.validation) for _, data in both}) > 1  # shorter ones are filled up
    stack = Stack([Replica(module, data) for module, data in both], STEPS).double().eval()
    stack.on_validation_epoch_start()
    for number, (x_MNTC, label_MN) in enumerate(stack.val_dataloader()):
        stack.validation_step((x_MNTC.double(), label_MN), number)
    stack.on_validation_epoch_end()
    for replica, (module, data) in zip(stack.replicas, both, strict=True):
        module.eval()
        module.on_validation_epoch_start()
        for number, (x_NTC, label_N) in enumerate(data.val_dataloader()):
            module.validation_step((x_NTC.double(), label_N), number)
        module.log_dict = lambda scores: None  # type: ignore[method-assign,assignment]  # there is no trainer
        module.on_validation_epoch_end()
        assert replica.scores == pytest.approx(module.validation_scores, rel=1e-9)


def test_a_row_holds_every_parameter_once() -> None:
    network = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.Linear(2, 5))
    layout = Layout(network)
    row_MP = layout.pack([network, network])
    assert row_MP.shape == (2, sum(p.numel() for p in network.parameters()))
    for name, value in layout.views(row_MP).items():
        assert torch.equal(value[1], network.get_parameter(name))
