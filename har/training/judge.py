"""How a trained run ends, whatever trained it: chosen weights restored, test subjects predicted once, scores."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from har.errors import RunError
from har.evaluation.scores import score_run
from har.learners.cost import describe
from har.norms.inferences import RUNNING, check
from har.training.begin import Begun
from har.training.checkpoint import load_checkpoint, restore
from har.training.inference import write_test_files
from har.training.statistics import Predict, probabilities


@dataclass(frozen=True)
class Fitted:
    """What a fit has left, beside ``best.ckpt`` and ``last.ckpt``.

    Attributes:
        score: Validation macro F1 of the chosen weights when they were chosen.
        again: Returns that of the weights now in the module, by the same arithmetic.
        predict: Predicts with the module.
    """

    score: float
    again: Callable[[], float]
    predict: Predict


def judge(begun: Begun, fitted: Fitted) -> dict[str, Any]:
    """Restore the best weights, predict the test windows under every inference, score.

    Args:
        begun: The run.
        fitted: What its fit has left.

    Returns:
        What run.json says of the outcome.

    Raises:
        RunError: When the restored weights do not score what the chosen ones scored.
        DataError: When statistics of an inference are not finite.
    """
    restore(begun.module, begun.best)
    _require_restored(fitted.again(), fitted.score)
    begun.data.open_test()  # everything is chosen
    step = load_checkpoint(begun.best)["global_step"]
    predictions = {
        inference.name: probabilities(inference, begun.module, begun.data, step, fitted.predict)
        for inference in check(begun.config.get("inferences", [RUNNING]))
    }
    write_test_files(begun.folder, begun.data, predictions)
    for name in predictions:
        score_run(begun.folder, inference=name)
    fed = begun.module.recipe
    cost = describe(begun.module.network, len(fed["channels"]), fed["samples"], fed["rate_hz"])
    return {
        **dataclasses.asdict(cost),
        "best_step": step,
        "best_validation_macro_f1": fitted.score,
    }


def _require_restored(again: float, score: float) -> None:
    """Fail the run when the restored weights do not score what the chosen ones scored."""
    if abs(again - score) > 1e-6:
        raise RunError(
            f"the restored weights have validation macro F1 {again:.6f}, the chosen ones had {score:.6f}.",
            "best.ckpt is not what was selected; delete the run's folder and repeat it.",
        )
