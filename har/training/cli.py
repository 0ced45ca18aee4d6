"""The training command line: Lightning's CLI as parser and builder, nothing of it hidden and nothing run by it.

Precedence is command line, then files in their order, then defaults. A checkpoint never changes a setting: Lightning
2.6 would let its hyper-parameters win over the command line in silence, so they are not read.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import importlib
import itertools
import logging
import math
import re
import typing
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from jsonargparse import ArgumentError
from pytorch_lightning.cli import ArgsType, LightningArgumentParser, LightningCLI

from har.errors import UsageError, candidates, unknown
from har.files import held
from har.learners.registry import FITTED_LEARNERS, LEARNERS
from har.norms.inferences import NAMES, RUNNING, check, parse
from har.strict_yaml import read_yaml
from har.training.datamodule import HarDataModule
from har.training.module import HarModule
from har.training.probes import ProbeSettings

_TRAINER_DEFAULTS: dict[str, Any] = {
    "max_steps": 600,
    "max_epochs": -1,  # the budget is steps
    "val_check_interval": 50,  # steps
    "accelerator": "cpu",
    "devices": 1,
    "deterministic": True,
    "num_sanity_val_steps": 0,
    "enable_model_summary": False,
    "logger": False,  # metrics.jsonl is the log
}
# Keys of Lightning that a run decides by itself, or that would break what it promises (batches in the order of the
# seed, evaluation every so many steps on all windows), with the values that change nothing. Anything else is refused.
_OWNED: dict[str, tuple[Any, ...]] = {
    "logger": (None, False),
    "callbacks": (None, []),
    "default_root_dir": (None,),
    "max_epochs": (None, -1),
    "min_epochs": (None,),
    "min_steps": (None,),
    "max_time": (None,),
    "fast_dev_run": (None, False),
    "barebones": (None, False),
    "enable_checkpointing": (None,),
    "limit_train_batches": (None,),
    "limit_val_batches": (None,),
    "limit_test_batches": (None,),
    "limit_predict_batches": (None,),
    "overfit_batches": (None, 0.0),
    "check_val_every_n_epoch": (None, 1),
    "accumulate_grad_batches": (None, 1),
    "num_sanity_val_steps": (None, 0),
    "reload_dataloaders_every_n_epochs": (None, 0),
    "num_nodes": (None, 1),
}
_INSTEAD = {  # what serves the purpose of a key that a run owns, where that is not plain
    "accumulate_grad_batches": "For larger batches use data.batch_size; how many windows a norm takes its statistics "
    "from is model.norm.options.size.",
}
_KNOWN_WARNINGS = (
    r".*isinstance\(treespec, LeafSpec\)",  # Lightning issue 21326: its own use of torch's pytree
    r".*does not have many workers",  # gathering in the process is faster than worker processes (docs/architecture.md)
    r".*Checkpoint directory .* exists and is not empty",  # so it is when a run is resumed
)


class HarCLI(LightningCLI):
    """LightningCLI of `HarModule` and `HarDataModule` without subcommands: it parses and, if asked to, builds.

    Args:
        args: Command line arguments, or a complete configuration as a dict.
        build: Instantiate module and data module (`.model`, `.datamodule`). Otherwise only `.config` is there.
    """

    def __init__(self, args: ArgsType, build: bool = False) -> None:
        self._build = build
        with quiet():
            super().__init__(
                HarModule,
                HarDataModule,
                args=args,
                run=False,
                save_config_callback=None,
                seed_everything_default=0,
                trainer_defaults=_TRAINER_DEFAULTS,
                auto_configure_optimizers=False,
                load_from_checkpoint_support=False,
                # Without allow_abbrev a typo such as trainer.max_step would count as the key that it begins.
                parser_kwargs={"exit_on_error": False, "allow_abbrev": False},
            )

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add the keys that belong to neither module, data nor trainer."""
        parser.add_argument("--name", type=str, default="experiment", help="Folder of the experiment below the runs.")
        parser.add_argument("--threads", type=int, default=1, help="Threads of torch; results differ with them.")
        parser.add_argument(
            "--inferences",
            type=list[str],
            default=[RUNNING],
            help="Statistics of batch norms to predict the test subjects with, each on the same weights: "
            f"{', '.join(NAMES)}; or another device or a personal head: turned-30, without-gyroscope, personal-20s.",
        )
        parser.add_argument(
            "--probes",
            type=bool | ProbeSettings | None,
            default=None,
            help="Measure probes of every layer at evaluations, into probes.parquet: true, or how much.",
        )
        parser.link_arguments("seed_everything", "model.seed")
        parser.link_arguments("seed_everything", "data.seed")

    def parse_arguments(self, parser: LightningArgumentParser, args: ArgsType) -> None:
        """Parse, and turn the parser's errors into `UsageError` with the nearest keys."""
        for path in _config_files(args):
            _check_keys(check_yaml(path), known_keys(parser), path)
        try:
            self.config = parser.parse_args(args) if isinstance(args, list) else parser.parse_object(args)
            _require_sections(self.config.as_dict(), parser.get_defaults().as_dict())
            parser.validate(self.config, skip_unset=False)  # None for a number, which parsing lets pass
        except (ArgumentError, TypeError, ValueError) as error:
            raise _usage_error(str(error), known_keys(parser)) from None
        except OverflowError:
            longest = max(re.findall(r"\d+", str(args)), key=len)
            said = f"a setting: the number {longest[:6]}… of {len(longest)} digits is more than it can be."
            raise UsageError(said, "All settings: har fit --help=all") from None

    def again(self, args: ArgsType, *, build: bool) -> HarCLI:
        """Parse, and build if asked to, by the parser that is there: to make one takes longer than that."""
        self._build = build
        with quiet():
            self.parse_arguments(self.parser, args)
            self.instantiate_classes()
        return self

    def _set_seed(self) -> None:
        """Leave the seed to the run: parsing draws nothing."""

    def instantiate_classes(self) -> None:
        """Build module and data module only when asked to; the trainer belongs to the run."""
        if self._build:
            parts = self.parser.instantiate(self.config)
            self.model, self.datamodule = parts["model"], parts["data"]
            self.trainer_settings: dict[str, Any] = parts["trainer"].as_dict()


def _config_files(args: ArgsType) -> list[Path]:
    """Return the configuration files that a command line names."""
    if not isinstance(args, list):
        return []
    paths = [value for option, value in itertools.pairwise(args) if option in ("--config", "-c")]
    paths += [arg.removeprefix("--config=") for arg in args if arg.startswith("--config=")]
    return [Path(path) for path in paths]


def known_keys(parser: LightningArgumentParser) -> list[str]:
    """Return every dotted key of the configuration."""
    keys = [key for key in parser.get_defaults().keys() if not key.startswith("config")]  # noqa: SIM118
    return sorted([*keys, *(f"probes.{field.name}" for field in dataclasses.fields(ProbeSettings))])


def resolve(files: list[Path], overrides: dict[str, Any]) -> dict[str, Any]:
    """Return the complete configuration of experiment files and overrides.

    Args:
        files: Experiment files, later ones over earlier ones.
        overrides: Dotted keys over the files, such as ``{"model.norm.placement": "every"}``.

    Returns:
        Plain values for every key, as saved in a run's ``config.yaml``.

    Raises:
        UsageError: When a file is missing or no YAML, a key is not known or a value impossible.
    """
    arguments = []
    for file in files:
        arguments += ["--config", str(file)]
    for key, value in overrides.items():
        text = value if isinstance(value, str) else yaml.safe_dump(value, default_flow_style=True, width=10**6)
        arguments.append(f"--{key}={text.removesuffix(chr(10)).removesuffix('...').strip()}")
    return complete(arguments)


def complete(arguments: list[str]) -> dict[str, Any]:
    """Return the complete configuration of command line arguments; see `resolve`.

    Raises:
        UsageError: When an argument is not known or a value impossible.
    """
    config: dict[str, Any] = _cli().again(arguments, build=False).config.as_dict()
    config.pop("config", None)
    for section in ("model", "data"):
        config[section].pop("seed", None)  # linked to seed_everything, which the parser fills in again
    for key, neutral in _OWNED.items():
        if config["trainer"].pop(key, None) not in neutral:
            raise UsageError(
                f"trainer.{key} cannot be set: a run decides it itself.",
                _INSTEAD.get(key, "The budget is trainer.max_steps, the folder --out, the log metrics.jsonl."),
            )
    if config["threads"] < 1:
        raise UsageError(f"threads {config['threads']} is not a positive number.", "1 is the default.")
    config["probes"] = _probes(config["probes"])
    _require_finite(config)
    parts(config)  # a value that the classes refuse is refused now, not when the run has started
    return config


def _require_finite(value: Any, key: str = "") -> None:
    """Refuse what no record holds, wherever a setting has it: infinity, no number, whole numbers beyond 64 bits."""
    if isinstance(value, (dict, list, tuple)):
        inside = value.items() if isinstance(value, dict) else enumerate(value)
        for name, one in inside:
            _require_finite(one, f"{key}.{name}".lstrip("."))
    elif isinstance(value, float) and not math.isfinite(value):
        raise UsageError(f"{key} is {value}, which is no finite number.", "All settings: har fit --help=all")
    elif isinstance(value, int):
        try:
            held(value, str(value))
        except ValueError as error:
            raise UsageError(f"{key}: {error}.", "All settings: har fit --help=all") from None


def _probes(given: bool | dict[str, int] | None) -> dict[str, int] | None:
    """Return the settings of probes in full, None without probes."""
    if not given:
        return None
    settings = ProbeSettings() if given is True else ProbeSettings(**given)
    settings.require_possible()
    return dataclasses.asdict(settings)


def parts(config: dict[str, Any]) -> tuple[HarModule, HarDataModule, dict[str, Any]]:
    """Build the module and the data module of a complete configuration, and return the trainer's settings.

    Raises:
        UsageError: When a key is not known or a value impossible.
    """
    _require_arguments(config["model"]["learner"])
    cli = _cli().again(config, build=True)
    check(cli.config.inferences)
    if cli.model.learner.at_once:
        _require_no_steps(type(cli.model.learner).__name__, cli.config)
    settings = {key: value for key, value in cli.trainer_settings.items() if key not in _OWNED}
    settings["num_sanity_val_steps"] = 0
    return cli.model, cli.datamodule, settings


def _require_arguments(learner: Any) -> None:
    """Refuse None for an argument of a learner that takes none, which parsing lets pass."""
    if not isinstance(learner, dict):
        return  # its name alone
    module, _, name = learner["class_path"].rpartition(".")
    hints = typing.get_type_hints(getattr(importlib.import_module(module), name).__init__)
    for key, value in learner.get("init_args", {}).items():
        if value is None and type(None) not in typing.get_args(hints.get(key)):
            raise UsageError(f"model.learner.init_args.{key} holds nothing.", "Give a value, or leave the key out.")


def _require_no_steps(learner: str, config: Any) -> None:
    """Refuse what only a network with norms, or one that takes steps, has."""
    for name in config.inferences:
        if parse(name).statistics != RUNNING:  # a device that is changed at use asks nothing of norms
            raise UsageError(
                f"inference {name} is one of norms, and {learner}, which is fitted at once, has none.",
                f"Leave it out; {RUNNING} stays, and what changes the device (turned-30, without-gyroscope).",
            )
    if config.probes:
        raise UsageError(
            f"probes are measured while a network is trained in steps, and {learner} is fitted at once.",
            "Leave probes out.",
        )


@functools.cache
def _cli() -> HarCLI:
    """Return the parser that this process makes once."""
    return HarCLI([])


def full_help() -> str:
    """Return Lightning's help for every setting of module, data and trainer."""
    text: str = _cli().parser.format_help()
    return text


def check_yaml(path: Path) -> dict[str, Any]:
    """Read a configuration file, which must hold a mapping.

    Raises:
        UsageError: When it is missing, no YAML (with line and column), has a key twice, or holds no mapping.
    """
    if not path.exists():
        there = sorted(str(file) for file in path.parent.glob("*.yaml")) if path.parent.is_dir() else []
        raise UsageError(f"there is no configuration file {path}.", candidates(path, there))
    value = read_yaml(path)
    if not isinstance(value, dict):
        raise UsageError(f"{path} holds no settings, but {type(value).__name__}.", "See configs/experiments/.")
    return value


def _usage_error(message: str, known: list[str]) -> UsageError:
    """Make one readable error of the parser's text: the unknown key with its neighbours, or place and cause."""
    argument = re.search(r"[Uu]nrecognized arguments?: -*([\w.]+)", message)
    if argument:
        return _unknown_key(argument.group(1), known, "")
    place = ".".join(re.findall(r'[Kk]ey "([\w.]+)"', message))
    option = re.search(r"Option '(\w+)' is not accepted", message)
    if option:
        inside = f"{place}.init_args"  # of a class that is named; a mapping has none
        section = inside if any(name.startswith(inside) for name in known) else place
        return _unknown_key(f"{section}.{option.group(1)}", known, "")
    learner = re.search(r"(?:import path string: |has no attribute ')(\w+)", message)
    if place == "model.learner" and learner:
        return unknown(
            "learner", learner.group(1), [one.__name__ for one in (*LEARNERS, *FITTED_LEARNERS)], "model.learner"
        )
    causes = [line.strip(" -") for line in message.splitlines() if line.strip(" -")]
    return UsageError(f"{place or 'the configuration'}: {causes[-1]}.", "All settings: har fit --help=all")


def _unknown_key(key: str, known: list[str], where: str) -> UsageError:
    """Return the error of a key that does not exist, with the candidates of its own section."""
    top = key.split(".")[0]
    if top not in {name.split(".")[0] for name in known}:
        return unknown("section", top, {name.split(".")[0] for name in known}, where)
    section = key.rpartition(".")[0]
    beside = [name for name in known if name.rpartition(".")[0] == section]
    return unknown("setting", key, beside or known, where)


def _require_sections(settings: dict[str, Any], defaults: dict[str, Any], above: str = "") -> None:
    """Refuse a value in the place of a whole section, such as ``norm: 3``, which parsing lets pass."""
    for name, default in defaults.items():
        if isinstance(default, dict) and "class_path" not in default:
            value = settings.get(name)
            if not isinstance(value, dict):
                raise _no_section(f"{above}{name}", value)
            _require_sections(value, default, f"{above}{name}.")


def _no_section(key: str, value: Any) -> UsageError:
    """Return the error of a value that stands where a section is needed."""
    return UsageError(f"{key} is {value!r}, and has settings of its own.", "All settings: har fit --help=all")


def _check_keys(settings: dict[str, Any], known: list[str], path: Path, section: str = "") -> None:
    """Refuse keys of a file that do not exist; the parser would pass over an unknown one that holds nothing."""
    for name, value in settings.items():
        key = f"{section}{name}"
        inside = [other for other in known if other.startswith(f"{key}.")]
        if key not in known and not inside:
            raise _unknown_key(key, known, str(path))
        if isinstance(value, dict) and "class_path" not in value and inside:
            _check_keys(value, known, path, f"{key}.")
        elif key in ("data", "model", "trainer") and not isinstance(value, dict):  # parsing would take the defaults
            raise _no_section(key, value)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep Lightning's advertising and advice off the screen, and nothing else."""
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    with warnings.catch_warnings():
        for message in _KNOWN_WARNINGS:
            warnings.filterwarnings("ignore", message=message)
        yield
