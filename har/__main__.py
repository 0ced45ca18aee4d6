"""The `har` command: a table of commands, and the one place where errors become exit codes.

Nothing heavy is imported here: `har --help` answers at once, and a command's module is imported when it is called.
"""

from __future__ import annotations

import importlib
import os
import sys

from har.errors import HarError, disk_failure, unknown

GROUPS: dict[str, dict[str, str]] = {
    "data": {
        "datasets": "what data sets there are, which of them are on this machine, what a card says",
        "prepare": "raw files to a prepared store: verify, convert to SI units, write",
    },
    "train": {
        "fit": "train one learner on one fold (LightningCLI: --config FILE and dotted overrides)",
        "validate": "macro F1 of a run's best weights on its validation subjects",
        "test": "F1 per activity of a run's best weights on its test subjects",
        "predict": "activities for every window of any prepared data set",
        "study": "all runs of a comparison, then its contrasts and its report",
    },
    "judge": {
        "evaluate": "F1 per activity of a run, a study or a predictions file",
        "report": "report.html, report.md and tables of a study",
    },
    "ship": {
        "export": "a run as ONNX and torch.export files, proved, with a model card",
        "stream": "sensor samples in, activities out, as they come",
        "serve": "a local page for live motion from a phone's browser",
    },
    "machine": {
        "doctor": "versions, threads, data found, disk, accelerators",
    },
}
_COMMANDS = {name: line for group in GROUPS.values() for name, line in group.items()}

_QUICK_START = """\
har: from wearable sensor streams to activities, with statistics that hold.

Quick start (SPAR, real smartwatch recordings, comes with the installation):
  har prepare spar                                      the recordings, verified, in SI units
  har study configs/studies/bn-placement.yaml --short   the main comparison, its verdict and report
  har fit --config configs/experiments/spar-cnn.yaml --model.norm.placement every
  har evaluate runs/spar-cnn/spar/every/subject-1/seed-0
"""
_FOOTER = """
Files: data in ./data ($HAR_DATA), runs in ./runs ($HAR_RUNS). Help of a command: har COMMAND --help.
Exit codes: 0 ok, 1 a run failed, 2 usage or configuration, 3 data missing or damaged, 130 interrupted."""


def help_text() -> str:
    """Return the one screen that `har --help` prints."""
    lines = [_QUICK_START.rstrip("\n")]
    for group, commands in GROUPS.items():
        lines.append(f"\n{group}:")
        lines.extend(f"  {name:10}{line}" for name, line in commands.items())
    return "\n".join([*lines, _FOOTER])


def main(args: list[str] | None = None) -> int:
    """Run one command and return its exit code.

    Args:
        args: The command line without the program's name; the process's own when None.

    Returns:
        0 ok, 1 a run failed, 2 usage or configuration, 3 data missing or damaged, 130 interrupted.
    """
    arguments = sys.argv[1:] if args is None else args
    try:
        return _dispatch(arguments)
    except HarError as error:
        print(f"har: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("har: interrupted; what was finished is kept.", file=sys.stderr)
        return 130
    except BrokenPipeError:  # `har … | head` closed our output
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        reason = disk_failure(error)
        if reason is None:
            raise
        print(f"har: could not read or write: {reason}.", file=sys.stderr)
        print("  Make room or choose another folder (HAR_DATA, HAR_RUNS); finished results are kept.", file=sys.stderr)
        return 1


def _dispatch(arguments: list[str]) -> int:
    """Find the command's module, import it, call it."""
    if not arguments or arguments[0] in {"-h", "--help", "help"}:
        print(help_text())
        return 0
    name, *rest = arguments
    if name == "--version":
        name, rest = "doctor", ["--versions"]
    if name not in _COMMANDS:
        raise unknown("command", name, _COMMANDS)
    module = importlib.import_module(f"har.commands.{name}")
    code: int = module.main(rest)
    return code


def entry_point() -> None:
    """Run the command line of this process (the `har` script)."""
    sys.exit(main())


if __name__ == "__main__":
    entry_point()
