"""`har test`: predictions of a run's weights for its test subjects, and F1 per activity."""

from __future__ import annotations

from pathlib import Path

from har.commands.settings import FOLDS, MACHINE, WINDOWS, open_trained, split, trained_parser
from har.errors import UsageError

_EXAMPLES = """\
har test runs/spar-cnn/spar/every/subject-1/seed-0
har test runs/spar-cnn/spar/every/subject-1/seed-0 --data.step_s 0.5 --out finer"""
_SETTINGS = (*WINDOWS, *FOLDS, *MACHINE, "inferences")


def main(args: list[str]) -> int:
    """Predict the test subjects, write predictions and truth, print their scores.

    Without settings the run's own files are written again, to the same values; with settings the result is another
    and needs a folder of its own.
    """
    parser = trained_parser("test", "F1 per activity of trained weights on the test subjects.", _EXAMPLES, _SETTINGS)
    parser.add_argument("--out", help="folder to write to (default: the run's own)")
    options, settings = split(parser, args)
    changed = bool(settings or options.ckpt or options.config)
    if options.out is None and (options.run is None or changed):
        raise UsageError(
            "these settings are not the run's own, so its files are not replaced.", "Give another folder with --out."
        )
    from har.commands import evaluate
    from har.training.inference import write_test_files

    folder = Path(options.out or options.run)
    if changed and (folder / "run.json").exists():
        raise UsageError(f"{folder} holds a run, whose files are not replaced.", "Give another folder with --out.")
    if not changed:
        _require_same_data(Path(options.run))
    trained = open_trained(options, settings)
    data = trained.set_up()
    write_test_files(folder, data, trained.test())
    if (folder / "run.json").exists():
        return evaluate.main([str(folder)])
    return evaluate.main([str(folder / "predictions" / "running.parquet"), "--out", str(folder)])


def _require_same_data(folder: Path) -> None:
    """Refuse to write a run's files again from other data than it was made with, or before it is finished."""
    from har.training.record import identity, read_config, read_run

    record = read_run(folder)
    if record["status"] != "done":
        raise UsageError(f"{folder} is not finished: its status is {record['status']}.", f"har fit --resume {folder}")
    now = identity(read_config(folder))
    differ = [name for name, value in now.items() if record["hashes"].get(name) != value]
    if differ:
        raise UsageError(
            f"{folder} was made with another {' and '.join(differ)} than there is now.",
            "Its files are not replaced; give another folder with --out.",
        )
