"""`har fit`: train one learner on one fold, with one seed, into one folder."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from har.commands.parser import CommandParser
from har.commands.settings import settings_help, split
from har.errors import UsageError
from har.files import runs_root

_EXAMPLES = """\
har fit --config configs/experiments/spar-cnn.yaml
har fit --config configs/experiments/spar-cnn.yaml --model.norm.placement first --data.fold subject-3
har fit --resume runs/spar-cnn/spar/every/subject-1/seed-0
har fit --config runs/spar-cnn/spar/every/subject-1/seed-0/config.yaml --out runs/again"""


def main(args: list[str]) -> int:
    """Parse with LightningCLI, run, print F1 per activity and where everything lies."""
    parser = CommandParser("fit", "Train one learner on one fold with one seed.", f"{_EXAMPLES}\n\n{settings_help()}")
    parser.add_argument("--config", action="append", help="experiment file; a later one wins over an earlier one")
    parser.add_argument("--out", help="the run's folder (default RUNS/NAME/DATA SET/PLACEMENT/FOLD/seed-SEED)")
    parser.add_argument("--runs", help="folder of all runs (default $HAR_RUNS or ./runs)")
    parser.add_argument("--resume", metavar="RUN", help="go on with an unfinished run, as it was started")
    parser.add_root()
    if "--help=all" in args:
        from har.training.cli import full_help

        print(full_help())
        return 0
    options, settings = split(parser, args)
    folder = _resume(options, settings) if options.resume else _start(options, settings)
    from har.commands import evaluate

    print(f"Run: {folder}\n")
    return evaluate.main([str(folder)])


def _start(options: Any, settings: list[str]) -> Path:
    """Make a new run of the configuration."""
    from har.training.cli import complete
    from har.training.record import default_folder
    from har.training.run import run

    files = [argument for file in options.config or [] for argument in ("--config", file)]
    config = complete([*files, *settings])
    folder = Path(options.out) if options.out else default_folder(config, runs_root(options.runs))
    with _told_how_to_go_on(folder):
        return run(config, folder)


def _resume(options: Any, settings: list[str]) -> Path:
    """Go on with an unfinished run; nothing about it may change."""
    from har.training.record import read_config
    from har.training.run import run

    if settings or options.config or options.out:
        raise UsageError(
            f"a run is resumed as it was started, so {(settings or ['--config or --out'])[0]} cannot be given.",
            "Start a new run for other settings: har fit --config FILE --out FOLDER.",
        )
    folder = Path(options.resume)
    with _told_how_to_go_on(folder):
        return run(read_config(folder), folder, resume=True)


@contextmanager
def _told_how_to_go_on(folder: Path) -> Iterator[None]:
    """Name the command that goes on with an interrupted run, where there is something to go on from."""
    try:
        yield
    except KeyboardInterrupt:
        if (folder / "checkpoints" / "last.ckpt").exists():
            print(f"har: go on with: har fit --resume {shlex.quote(str(folder))}", file=sys.stderr)
        raise
