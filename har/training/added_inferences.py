"""More inferences for a finished run: predictions of its best weights, and nothing trained anew."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import yaml

from har.errors import UsageError
from har.evaluation.scores import score_run
from har.files import write_json, write_text
from har.norms.inferences import RUNNING
from har.training import provenance
from har.training.inference import write_inferences
from har.training.record import identity, read_config, read_run
from har.training.trained import Trained


def missing_inferences(folder: Path, config: dict[str, Any]) -> list[str]:
    """Return the inferences of a configuration that a finished run has not made; none where there is no such run."""
    if not (folder / "run.json").is_file():
        return []
    record = read_run(folder)
    made = record.get("inferences", [RUNNING])
    return [name for name in config["inferences"] if name not in made] if record["status"] == "done" else []


def add_inferences(folder: Path, config: dict[str, Any]) -> None:
    """Predict the test subjects of a finished run under the inferences that it lacks.

    What it has is left as it is. The predictions are to the last bit those of a run that had them from the start.
    ``config.yaml`` and, last, ``run.json`` then name them; a run that was cut off before that lacks them still.

    Args:
        folder: The run's folder.
        config: The run's configuration with the inferences that it is to have.

    Raises:
        UsageError: The run was made with other settings, data or split.
        DataError: Its weights are missing or damaged, or statistics are not finite.
    """
    clock = time.monotonic()
    record = read_run(folder)
    differ = [name for name, value in identity(config).items() if record["hashes"].get(name) != value]
    if differ:
        raise UsageError(
            f"the finished run {folder} was made with another {' and '.join(differ)}, so it gets no inferences.",
            "Choose another folder for a new run.",
        )
    names = missing_inferences(folder, config)
    trained = Trained(config, folder / "checkpoints" / "best.ckpt")
    predictions = trained.test(names)
    write_inferences(folder, trained.data, predictions)
    for name in names:
        score_run(folder, inference=name)
    inferences = [*record.get("inferences", [RUNNING]), *names]
    saved = {**read_config(folder), "inferences": inferences}
    write_text(folder / "config.yaml", yaml.safe_dump(saved, sort_keys=False, allow_unicode=True))
    added = {
        "inferences": names,
        "finished": provenance.now(),
        "seconds": round(time.monotonic() - clock, 3),
        "versions": provenance.versions(),
        "commit": provenance.commit(),
        "machine": provenance.machine(),
    }
    write_json(folder / "run.json", {**record, "inferences": inferences, "added": [*record.get("added", []), added]})
