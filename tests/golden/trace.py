"""Training losses of 20 steps on the fake of SPAR, and the script that writes the golden ones.

Rewrite them on purpose only, and say in the commit why they changed:

    python -m tests.golden.trace
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import torch

from har.training import provenance
from har.training.cli import parts, resolve
from har.training.datamodule import WindowLoader, training_batches
from har.windows.prepare import prepare
from tests.fakes.stores import faked

FILE = Path(__file__).parent / "losses.json"
STEPS = 20
VARIANTS: dict[str, dict[str, Any]] = {
    "none": {"model.norm.placement": "none"},
    "input_scalar": {"model.norm.placement": "input_scalar", "model.scaling": "none"},
    "every-pre": {"model.norm.placement": "every"},
    "every-post-dropout": {"model.norm.order": "post", "model.learner.init_args.dropout": 0.2},
}


def losses(root: Path, overrides: dict[str, Any]) -> list[float]:
    """Return the loss of each of the first steps, computed as a run does, with plain torch around it.

    In float64, so that the order in which a processor sums does not show within 20 steps.
    """
    settings = {"data.root": str(root), "data.window_s": 2.0, "data.step_s": 0.5, **overrides}
    torch.set_num_threads(1)
    module, data, _ = parts(resolve([], settings))
    data.setup()
    module.build(data.recipe(), *data.training_moments())
    module.double()
    optimiser = module.configure_optimizers()
    batches = training_batches(len(data.train), data.batch_size, STEPS, data.seed)
    trace = []
    for step, (x_NTC, label_N) in enumerate(WindowLoader(data.store.signal_TC, data.train, batches)):
        module.seed_step(step)
        optimiser.zero_grad()
        loss = module.training_step((x_NTC.double(), label_N), step)
        loss.backward()
        optimiser.step()
        trace.append(loss.item())
    return trace


def prepared(folder: Path) -> Path:
    """Return a data root with the fake of SPAR."""
    card, written = faked("spar", folder / "raw")
    prepare(card, source=written["source"], root=folder)
    return folder


def main() -> None:
    """Write the golden losses of this machine."""
    with tempfile.TemporaryDirectory() as name:
        root = prepared(Path(name))
        traces = {variant: losses(root, overrides) for variant, overrides in VARIANTS.items()}
    made_with = {"machine": provenance.machine(), "torch": torch.__version__, "threads": 1}
    FILE.write_text(json.dumps({"made_with": made_with, "losses": traces}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
