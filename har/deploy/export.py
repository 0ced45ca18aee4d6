"""`har export`: a run as files that other programs run, each proved against the checkpoint on real windows.

model.onnx            one file, any number of windows, probabilities out
model.pt2             torch.export, the same
model-int8.onnx       the same in 8 bits, where that can be had
deploy.json           parity, F1 of each file, latency, size, multiply-adds
model-card.md         the same for people, with data, subjects, protocol, scores, limits and licence
"""

from __future__ import annotations

import dataclasses
import importlib.metadata
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from har.deploy.facts import CHECKPOINT, Facts
from har.deploy.formats import exported, save_int8, save_onnx, save_program
from har.deploy.latency import latencies
from har.deploy.model_card import model_card
from har.deploy.networks import Network, classifier_of, of_classifier, open_network
from har.deploy.windows import Windows
from har.errors import HarError, RunError, UsageError
from har.evaluation.gathering import read_json
from har.files import replacing, write_json, write_text
from har.learners.cost import describe
from har.learners.fitted import FittedFeatures
from har.learners.folding import fold
from har.training import provenance
from har.training.stored import read_config, read_run

LIMIT = 1e-4  # the largest difference of a probability that an exported file may have
ONNX, PROGRAM, INT8 = "model.onnx", "model.pt2", "model-int8.onnx"
_CALIBRATION_WINDOWS = 512
_PACKAGES = ("torch", "onnx", "onnxscript", "onnxruntime")


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        folder: Where.
        files: Names, in the order of the module's docstring.
        content: The content of ``deploy.json``.
    """

    folder: Path
    files: list[str]
    content: dict[str, Any]


def export(
    run: Path, out: Path | None = None, root: str | None = None, say: Callable[[str], None] = lambda step: None
) -> Exported:
    """Export a finished run.

    Args:
        run: The run's folder.
        out: Where the files go; ``export`` in the run's folder when None. Files of an earlier export are replaced,
            nothing else in it is touched.
        root: The data root; the run's own when None.
        say: Called with what is done next; a large network takes minutes.

    Raises:
        UsageError: The folder is no finished run or has no scores, its learner cannot be exported, or its data are not
            what they were.
        RunError: An exported file differs from the checkpoint by more than 1e-4. Nothing is written then.
    """
    facts, classifier = Facts.of_run(run), classifier_of(run)
    test = Windows.of_run(run, "test", root)
    calibration_NTC = Windows.of_run(run, "validation", root).spread(_CALIBRATION_WINDOWS)
    scores = _scores_of(run)
    folded, left = fold(classifier)
    say("translating the network")
    program = exported(folded, facts.samples, len(facts.channels.made))
    with tempfile.TemporaryDirectory() as scratch:
        made = Path(scratch)
        save_program(program, facts, made / PROGRAM)
        say("writing it as ONNX")
        save_onnx(program, facts, made / ONNX)
        if isinstance(classifier.features, FittedFeatures):
            int8 = {"why": "its features are computed by fixed rules, which have no trained weights to round"}
        else:
            say(f"rounding it to 8 bits by {len(calibration_NTC)} validation windows")
            int8 = _in_8_bits(made, facts, calibration_NTC)
        names = [ONNX, PROGRAM, *([INT8] if "why" not in int8 else [])]
        networks = {CHECKPOINT.name: of_classifier(classifier)}
        networks |= {name: open_network(made / name)[1] for name in names}  # as they will be used
        say(f"comparing {' and '.join(names)} with the checkpoint on {len(test)} test windows")
        judged = _judged(networks, test, int8)
        say("measuring what a window takes")
        content = {
            **judged,
            "folding": left,
            "cost": _cost(networks, test, {**{name: made / name for name in names}, CHECKPOINT.name: run / CHECKPOINT}),
            **dataclasses.asdict(describe(classifier, len(facts.channels.made), facts.samples, facts.rate_hz)),
            "machine": provenance.machine(),
            "threads": 1,
            "versions": {name: importlib.metadata.version(name) for name in _PACKAGES},
        }
        folder = out or run / "export"
        for name in names:
            with replacing(folder / name) as temporary:
                shutil.copyfile(made / name, temporary)
    if "why" in int8:
        (folder / INT8).unlink(missing_ok=True)  # of an earlier export
    write_json(folder / "deploy.json", content)
    write_text(folder / "model-card.md", model_card(run, facts, read_run(run), read_config(run), scores, content, test))
    return Exported(folder, [*names, "deploy.json", "model-card.md"], content)


def _scores_of(run: Path) -> dict[str, Any]:
    """Read what the card says of the run, before anything is written."""
    if not (run / "scores.json").is_file():
        raise UsageError(f"{run} has no scores.json, of which the model card is made.", f"Score it: har test {run}")
    scores: dict[str, Any] = read_json(run / "scores.json")
    return scores


def _in_8_bits(made: Path, facts: Facts, calibration_NTC: NDArray[np.float32]) -> dict[str, Any]:
    """Write the 8-bit file; return the method, or why there is none."""
    try:
        return {"method": save_int8(made / ONNX, facts, made / INT8, calibration_NTC)}
    except HarError:
        raise
    except Exception as error:  # noqa: BLE001  (onnxruntime raises many kinds; the other files are as good without it)
        reason = (str(error).strip().splitlines() or [""])[0]
        return {"why": f"onnxruntime cannot quantise this network ({type(error).__name__}: {reason})"}


def _judged(networks: dict[str, Network], test: Windows, int8: dict[str, Any]) -> dict[str, Any]:
    """Hold every file against the checkpoint on all test windows.

    Raises:
        RunError: One that should be equal differs by more than the limit, or has values that are no numbers.
    """
    found = dict(zip(networks, test.probabilities(list(networks.values())), strict=True))
    reference_NK = found[CHECKPOINT.name]
    differences = {
        name: float(np.abs(found[name] - reference_NK).max()) for name in networks if name != CHECKPOINT.name
    }
    for name in (ONNX, PROGRAM):
        if not differences[name] <= LIMIT:
            raise RunError(
                f"{name} differs from the checkpoint by up to {differences[name]:.2g} in a probability over "
                f"{len(test)} test windows; {LIMIT:g} is allowed.",
                "Nothing was written. Use the run itself (har.load(RUN)), and tell the project.",
            )
    scores = {name: test.macro_f1(probability_NK) for name, probability_NK in found.items()}
    if INT8 in scores:
        int8 = {**int8, "macro_f1_loss": scores[CHECKPOINT.name] - scores[INT8]}
    return {
        "parity": {"test_windows": len(test), "limit": LIMIT, "largest_difference": differences},
        "macro_f1": scores,
        "int8": int8,
    }


def _cost(networks: dict[str, Network], test: Windows, files: dict[str, Path]) -> dict[str, dict[str, float]]:
    """Return size and latency of each form."""
    measured = latencies(networks, test.spread(64))
    return {name: {"bytes": files[name].stat().st_size, **dataclasses.asdict(measured[name])} for name in networks}
