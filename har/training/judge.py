"""How a trained run ends, whatever trained it: chosen weights restored, test subjects predicted once, scores."""

from __future__ import annotations

import dataclasses
from typing import Any

from har.errors import RunError
from har.evaluation.scores import score_run
from har.learners.cost import describe
from har.norms.inferences import RUNNING, check
from har.training.at_once import CHOSEN, fit_head_anew
from har.training.begin import Begun
from har.training.checkpoint import load_checkpoint, restore
from har.training.inference import write_test_files
from har.training.outcome import Fitted as Fitted  # for those who fit, too
from har.training.statistics import probabilities


def judge(begun: Begun, fitted: Fitted) -> dict[str, Any]:
    """Restore the best weights, predict the test windows under every inference, score.

    Where the head behind trained features is one that is fitted at once, it is fitted first, and what is judged has it.

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
    stored = load_checkpoint(begun.best)
    step = stored["global_step"]
    chosen: dict[str, Any] = {}
    if begun.module.head.at_once and not begun.module.learner.at_once:
        if CHOSEN not in stored:  # it is there where a run was cut off behind this
            _require_restored(fitted.again(), fitted.score)
        fitted, chosen = fit_head_anew(begun, fitted)
        restore(begun.module, begun.best)
    _require_restored(fitted.again(), fitted.score)
    begun.data.open_test()  # everything is chosen
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
        **chosen,
    }


def _require_restored(again: float, score: float) -> None:
    """Fail the run when the restored weights do not score what the chosen ones scored."""
    if abs(again - score) > 1e-6:
        raise RunError(
            f"the restored weights have validation macro F1 {again:.6f}, the chosen ones had {score:.6f}.",
            "best.ckpt is not what was selected; delete the run's folder and repeat it.",
        )
