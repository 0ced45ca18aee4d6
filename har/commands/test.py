"""`har test`: predictions of a run's weights for its test subjects, and F1 per activity."""

from __future__ import annotations

from pathlib import Path

from har.commands.settings import open_trained, split, trained_parser
from har.errors import UsageError

_EXAMPLES = """\
har test runs/spar-cnn/spar/every/subject-1/seed-0
har test runs/spar-cnn/spar/every/subject-1/seed-0 --data.step_s 0.5 --out finer"""


def main(args: list[str]) -> int:
    """Predict the test subjects, write predictions and truth, print their scores.

    Without settings the run's own files are written again, to the same values; with settings the result is another
    and needs a folder of its own.
    """
    parser = trained_parser("test", "F1 per activity of trained weights on the test subjects.", _EXAMPLES)
    parser.add_argument("--out", help="folder to write to (default: the run's own)")
    options, settings = split(parser, args)
    changed = bool(settings or options.ckpt or options.config)
    if options.out is None and (options.run is None or changed):
        raise UsageError(
            "these settings are not the run's own, so its files are not replaced.", "Give another folder with --out."
        )
    from har.commands import evaluate
    from har.training.inference import write_test_files

    trained = open_trained(options, settings)
    data = trained.set_up()
    folder = Path(options.out or options.run)
    if changed and (folder / "run.json").exists():
        raise UsageError(f"{folder} holds a run, whose files are not replaced.", "Give another folder with --out.")
    write_test_files(folder, data, trained.test())
    if (folder / "run.json").exists():
        return evaluate.main([str(folder)])
    return evaluate.main([str(folder / "predictions" / "running.parquet"), "--out", str(folder)])
