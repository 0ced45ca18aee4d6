"""Which runs can be trained as one stack, and why others cannot."""

from __future__ import annotations

import copy
import functools
import warnings
from typing import Any

import torch
from torch import Tensor

from har.errors import HarError
from har.files import sha256_of_json
from har.training.cli import parts, resolve
from har.training.module import HarModule
from har.training.stack import Replica, Stack
from har.windows.prepare import open_store
from har.windows.segment import samples_of

# Settings in which the runs of one stack may differ: they change values, and not what is computed.
_OWN: tuple[tuple[str, ...], ...] = (
    ("seed_everything",),
    ("name",),
    ("inferences",),
    ("data", "fold"),
    ("data", "folds"),
    ("data", "fold_count"),
    ("data", "validation_subjects"),
    ("data", "train_subjects"),
    ("model", "learning_rate"),
    ("model", "weight_decay"),
    ("model", "scaling"),
)
_TRAINER = {  # the trainer's settings that a stack knows
    *("accelerator", "max_steps", "val_check_interval", "enable_progress_bar", "enable_model_summary"),
    *("gradient_clip_val", "gradient_clip_algorithm", "deterministic", "benchmark"),
}
_TRIED = 20  # windows of a batch in a trial, at most
_CLOSE = {"rtol": 1e-6, "atol": 1e-9}


def likeness(config: dict[str, Any]) -> str:
    """Return what all runs of one stack have in common, as a hash of their configurations."""
    settings = copy.deepcopy(config)
    for path in _OWN:
        section = settings
        for name in path[:-1]:
            section = section[name]
        section.pop(path[-1], None)
    return sha256_of_json(settings)


def obstacle(config: dict[str, Any]) -> str | None:
    """Return why a run cannot be one of a stack, in words that go on from its name; None when it can.

    Settings are looked at first; then one step of a stack of two such networks is held against the same step by itself,
    in float64, so that what a stack cannot do, or would do otherwise, is found whatever the learner.

    Args:
        config: A complete configuration. Its store is there.
    """
    return _of_settings(config) or _of_step(config)


def _of_settings(config: dict[str, Any]) -> str | None:
    """Return what settings stand against a stack."""
    model, optimisation = config["model"], config["model"]["optimisation"]
    usual = _usual_trainer()
    unusual = [key for key, value in config["trainer"].items() if key not in _TRAINER and value != usual.get(key)]
    reasons = {
        "probes look at one network at a time": bool(config.get("probes")),
        "exact statistics for validation are measured network by network": model["precise_validation"],
        "averaged weights are kept network by network": optimisation["weight_averaging"] is not None,
        f"there is no stacked {optimisation['optimiser']}": optimisation["optimiser"] != "adamw",
        "its activities are weighed fold by fold": optimisation["class_weights"] != "none",
        f"trainer.{unusual[0] if unusual else ''} is set": bool(unusual),
    }
    return next((reason for reason, holds in reasons.items() if holds), None)


@functools.cache
def _usual_trainer() -> dict[str, Any]:
    """Return the trainer's settings where nobody says anything else."""
    trainer: dict[str, Any] = resolve([], {})["trainer"]
    return trainer


def _of_step(config: dict[str, Any]) -> str | None:
    """Return what a stack of two does otherwise than one network."""
    torch.set_num_threads(config["threads"])
    try:
        modules, batch = _two(config)
        if modules[0].learner.at_once:
            return "it is fitted at once, not step by step"
        alone = [_by_itself(copy.deepcopy(module), *_part(batch, number)) for number, module in enumerate(modules)]
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)  # vmap warns where it falls back on a loop
            together = _stacked(modules, batch)
    except HarError:
        return None  # such a run fails in its own way, whoever trains it
    except Exception as error:  # noqa: BLE001 - whatever keeps it from being stacked
        return f"it cannot be stacked ({type(error).__name__}: {str(error).splitlines()[0][:120]})"
    for one, other in zip(alone, together, strict=True):
        for value, stacked in zip(one, other, strict=True):
            if not torch.allclose(value.double(), stacked.double(), **_CLOSE, equal_nan=True):
                return "a step of it in a stack differs from one by itself"
    return None


def _two(config: dict[str, Any]) -> tuple[list[HarModule], tuple[Tensor, Tensor]]:
    """Build the network of a configuration with two seeds, and batches of noise for both."""
    modules = []
    for seed in (0, 1):
        module, data, _ = parts({**config, "seed_everything": seed, "probes": None})
        store = open_store(data.data_set, data.root)
        samples, channels = samples_of(data.spec.window_s, store.rate_hz), list(store.channels)
        recipe = {"samples": samples, "channels": channels, "activities": ["a", "b", "c"]}
        module.build(recipe, torch.zeros(len(channels)), torch.ones(len(channels)))
        module.double()
        modules.append(module)
    generator = torch.Generator().manual_seed(0)
    shape = (2, min(data.batch_size, _TRIED), samples, len(channels))
    x_MNTC = torch.randn(shape, generator=generator, dtype=torch.float64)
    return modules, (x_MNTC, torch.randint(0, 3, shape[:2], generator=generator))


def _part(batch: tuple[Tensor, Tensor], number: int) -> tuple[Tensor, Tensor]:
    """Return one replica's windows and labels."""
    return batch[0][number], batch[1][number]


def _by_itself(module: HarModule, x_NTC: Tensor, label_N: Tensor) -> list[Tensor]:
    """Return loss, gradients and buffers of a step, as `HarModule` makes it."""
    module.train()
    module.seed_step(0)
    loss = module.training_step((x_NTC, label_N), 0)
    gradients = torch.autograd.grad(loss, list(module.network.parameters()))
    return [loss.detach(), *gradients, *module.network.buffers()]


def _stacked(modules: list[HarModule], batch: tuple[Tensor, Tensor]) -> list[list[Tensor]]:
    """Return the same of a stack, for each replica."""
    stack = Stack([Replica(module, None) for module in modules], 0).double().train()  # type: ignore[arg-type]
    loss_M = stack.training_losses(batch, 0)
    (gradient_MP,) = torch.autograd.grad(loss_M.sum(), [stack.rows])
    found = []
    for number in range(len(modules)):
        buffers = [value[number] for name, value in stack.values.items() if name != "rows"]
        found.append([loss_M[number].detach(), *stack.unpacked(gradient_MP[number]).values(), *buffers])
    return found
