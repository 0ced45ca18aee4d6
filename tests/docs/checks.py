"""Whether a command line could be run as it stands, as far as that can be said without running it."""

from __future__ import annotations

import functools
import importlib.util
import re
from pathlib import Path
from typing import Any

from docs.reference.commands import parser_of
from har.commands.settings import split
from har.datasets.registry import card_names, find_card
from har.errors import unknown
from har.strict_yaml import parse_yaml
from har.study.declared import short_form
from har.study.definition import load_study
from har.training.cli import HarCLI, complete, known_keys, resolve
from har.windows.joined import is_joining, read_joining
from tests.docs.pages import ROOT, Command

MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
SETTINGS = ("fit", "validate", "test", "predict")  # commands that take every setting of a configuration


def check(command: Command) -> None:
    """Fail where a command line could not be run: parsed for real, with the files that it names.

    Raises:
        AssertionError: It names a file, a target, a module or an option that is not there.
        HarError: Its own parser refuses it.
    """
    words = command.words
    for word in words:
        if word.startswith(("configs/", "docs/", "benchmarks/")):
            assert (ROOT / word).exists(), f"{word} is not there"
    if words[0] == "make":
        check_make(words[1:])
    elif words[0] == "python":
        check_module(words[2], words[3:])
    else:
        check_har(words[1], words[2:])


def check_make(words: list[str]) -> None:
    """Check targets and variables; what STUDY is given must be the arguments of a study."""
    for word in words:
        name, is_variable, value = word.partition("=")
        assert re.search(rf"^{name} [?:]?=" if is_variable else rf"^{name}:", MAKEFILE, re.M), f"make has no {name}"
        if name == "STUDY":
            check_har("study", value.split())


def check_module(module: str, words: list[str]) -> None:
    """Check that a module is there, and that its source names the options."""
    found = importlib.util.find_spec(module)
    assert found is not None, f"there is no module {module}"
    path = ROOT / Path(*module.split("."))
    path = path / "__main__.py" if path.is_dir() else path.with_suffix(".py")
    for option in (word for word in words if word.startswith("--")):
        assert f'"{option}"' in path.read_text(encoding="utf-8"), f"{module} has no option {option}"


def check_har(name: str, words: list[str]) -> Any:
    """Parse the arguments of a command as it does itself; return its options."""
    parser = parser_of(name)
    if words in (["--help"], ["--help=all"]):
        return None
    if name in SETTINGS:
        options, settings = split(parser, words)
        shipped = [file for file in options.config or [] if (ROOT / file).is_file()]
        complete([*(word for file in shipped for word in ("--config", str(ROOT / file))), *settings])
        return options
    options = parser.parse_args(words)
    if name == "study" and (ROOT / options.file).is_file():
        study = load_study(ROOT / options.file)
        short_form(study) if options.short else None
        settings = dict(setting.split("=", 1) for setting in options.set)
        resolve([study.base], {key: parse_yaml(value, key) for key, value in settings.items()})
    if name in ("prepare", "datasets") and options.data_set is not None:
        _check_data_set(options.data_set)
    return options


def _check_data_set(name: str) -> None:
    """Check the name of a built-in card, or a card that is there; a person's own are not."""
    path = ROOT / name
    if not name.endswith(".yaml"):
        assert name in card_names(), f"there is no data set {name}"
    elif path.is_file():
        read_joining(path) if is_joining(path) else find_card(str(path))


def check_span(command: Command) -> None:
    """Check what a text says of commands in passing: whole where it names a shipped file, else name and options."""
    if "…" not in command.text and "configs/" in command.text and not re.search(r"\b[A-Z]{3,}\b", command.text):
        check(command)
        return
    words = command.text.split()
    if words[0] == "make":
        check_make([word for word in words[1:] if re.fullmatch(r"[a-z]+", word)])
    elif words[0] == "python":
        check_module(words[2], words[3:])
    elif not words[1].startswith("-") and words[1] not in ("COMMAND", "NAME"):
        options = {option for action in parser_of(words[1])._actions for option in action.option_strings}
        for word in words[2:]:
            option = re.match(r"--[a-z][\w.-]*", word)
            if option and "." in option[0] and words[1] in SETTINGS:
                check_key(option[0].removeprefix("--"))
            elif option:
                assert option[0] in {*options, "--help"}, f"har {words[1]} has no option {option[0]}"


def check_key(key: str) -> None:
    """Check that a dotted key is one of a configuration, or the beginning of one; options are free."""
    known = _keys()
    is_option = key.startswith(("model.learner.", "model.norm.options.", "model.head.options."))
    if not is_option and not any(one == key or one.startswith(f"{key}.") for one in known):
        raise unknown("setting", key, known)


@functools.cache
def _keys() -> list[str]:
    """Return every dotted key of a configuration."""
    return known_keys(HarCLI([]).parser)
