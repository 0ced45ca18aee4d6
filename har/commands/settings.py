"""What `fit`, `validate`, `test` and `predict` share: help for Lightning's settings, and naming a trained run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from har.commands.parser import CommandParser
from har.errors import UsageError, unknown

if TYPE_CHECKING:
    from har.training.trained import Trained

_LINES = {  # setting and a usual value: what it is
    "data.name spar": "data set, see har datasets",
    "data.window_s 4.0": "length of a window in seconds",
    "data.step_s 1.0": "seconds from one window to the next",
    "data.folds loso|kfold|FILE": "who tests; data.fold subject-3 names one fold",
    "data.validation_subjects 2": "training subjects that choose the step instead",
    "data.batch_size 64": "windows of a step",
    "model.learner CNN": "feature learner: docs/learners.md; settings of steps do nothing to one fitted at once",
    "model.head.kind softmax": "trained with the features, or fitted on them: linear_svm, ridge, boosted_trees",
    "model.norm.placement every": "none, input_scalar, input, first, every, last, input_every, or [0, 2]",
    "model.norm.order pre": "pre or post activation",
    "model.scaling channel": "fixed input scaling from training subjects: none, scalar, channel",
    "model.learning_rate 0.001": "",
    "trainer.max_steps 600": "budget in optimiser steps",
    "trainer.val_check_interval 50": "steps from one evaluation to the next",
    "trainer.accelerator cpu": "",
    "threads 1": "threads of torch; results differ with them",
    "seed_everything 0": "initial weights, batch order and dropout",
    "probes true": "measure every layer while training, into probes.parquet: docs/probes.md",
    "inferences '[running]'": "statistics of batch norms to predict with: running, population, target, …",
}
WINDOWS = ("data.name", "data.window_s", "data.step_s")
FOLDS = ("data.folds", "data.validation_subjects")
MACHINE = ("trainer.accelerator", "threads")


def settings_help(*keys: str) -> str:
    """Return the lines of help for some settings, for all when none is named."""
    shown = {line: what for line, what in _LINES.items() if not keys or line.split()[0] in keys}
    listed = [f"  {line:32}{what}".rstrip() for line, what in shown.items()]
    rule = (
        "a run's own hold otherwise"
        if keys
        else "the command line wins over files, files over defaults, a checkpoint over nothing"
    )
    which = f"settings (each as --KEY VALUE; {rule}):"
    return "\n".join([which, *listed, "all of them: har fit --help=all"])


_TOP_LEVEL = ("--name", "--seed_everything", "--threads", "--inferences", "--probes")  # settings outside any section


def split(parser: CommandParser, args: list[str]) -> tuple[Any, list[str]]:
    """Return the command's own options and, apart, the settings that LightningCLI is to read.

    Args:
        parser: The command's parser, with the option of the data root.
        args: The command line after the command's name.

    Raises:
        UsageError: When an option is not known, or ``--root`` and ``--data.root`` are both there.
    """
    own = {option for action in parser._actions for option in action.option_strings}
    mine, settings = [], []
    previous_takes_value = False
    for argument in args:
        name = argument.split("=", 1)[0]
        if argument.startswith("--") and name not in own:
            if "." not in name and name not in _TOP_LEVEL:
                raise unknown("option", name, {*own, *_TOP_LEVEL}, parser.prog)
            settings.append(argument)
            previous_takes_value = "=" not in argument
        elif previous_takes_value and not argument.startswith("--"):
            settings.append(argument)  # the value of the setting before it, never the command's folder
            previous_takes_value = False
        else:
            mine.append(argument)
            previous_takes_value = False
    options = parser.parse_args(mine)
    if options.root is not None:
        if any(setting.split("=", 1)[0] == "--data.root" for setting in settings):
            raise UsageError(f"--root {options.root} and --data.root are one setting.", "Give it once.")
        settings.append(f"--data.root={options.root}")
    return options, settings


def trained_parser(name: str, about: str, examples: str, keys: tuple[str, ...]) -> CommandParser:
    """Return the parser of a command that uses a trained run.

    Args:
        name: The command.
        about: One sentence of what it does.
        examples: Command lines.
        keys: The settings that matter to it; those of the training itself are the run's.
    """
    parser = CommandParser(name, about, f"{examples}\n\n{settings_help(*keys)}")
    parser.add_argument("run", nargs="?", help="folder of a run; or give --config and --ckpt")
    parser.add_argument("--config", action="append", help="experiment file over the run's own configuration")
    parser.add_argument("--ckpt", help="weights to use (default: the run's checkpoints/best.ckpt)")
    parser.add_root()
    return parser


def open_trained(options: Any, settings: list[str]) -> Trained:
    """Return the network that the options name, under the run's configuration and the settings over it.

    Raises:
        UsageError: When neither a run nor a configuration with weights is named.
    """
    from har.training.cli import complete
    from har.training.record import read_config
    from har.training.trained import Trained

    if options.run is None and options.ckpt is None:
        raise UsageError("no run is named.", "Give its folder, or --config FILE and --ckpt FILE.")
    files = []
    if options.run is not None:
        read_config(Path(options.run))
        files = ["--config", str(Path(options.run) / "config.yaml")]
    checkpoint = Path(options.ckpt) if options.ckpt else Path(options.run) / "checkpoints" / "best.ckpt"
    files += [argument for file in options.config or [] for argument in ("--config", file)]
    return Trained(complete([*files, *settings]), checkpoint)
