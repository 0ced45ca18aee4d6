"""The page of the configuration: every key of an experiment and of a study file."""

from __future__ import annotations

import dataclasses
import inspect
import tempfile
import typing
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from docs.reference.markdown import MADE, code, either, first_sentence, kind, meanings, plain, table, value
from har.learners.heads import DEFAULTS
from har.learners.registry import FITTED_LEARNERS, LEARNERS
from har.norms import inferences
from har.norms.layers import KINDS
from har.study.declared import Contrast, Protocol, Study, Target, Tune
from har.study.definition import CONTRAST, OPTIONAL, PROTOCOL, REQUIRED, load_study
from har.training.cli import HarCLI, complete
from har.training.probes import ProbeSettings

_OF_A_RUN = {  # what keys of Lightning's own mean here
    "seed_everything": "The seed: initial weights, batch order, dropout and augmentation are functions of it.",
    "trainer.max_steps": "The budget in optimiser steps.",
    "trainer.val_check_interval": "Optimiser steps from one evaluation on the validation subjects to the next.",
}
_HEAD = ("key", "type", "default", "meaning")
_LIGHTNING = "lightning"  # in the name of a type that is an object, which no file can hold
_INTRODUCTION = """\
One language for everything that is trained: an experiment file (`--config FILE`, YAML), the settings of a command line
(`--data.window_s 4.0`) and the overrides of a study (`data.window_s: 4.0`) have the same dotted keys. The command line
beats the file, the file beats the default, a checkpoint beats nothing. Unknown keys and impossible values are errors.

```sh
har fit --config configs/experiments/spar-cnn.yaml --data.fold subject-3 --model.norm.placement first
har study configs/studies/bn-placement.yaml --short --set trainer.max_steps=300 --runs runs-of-half-length
```
"""
_LEARNERS = """\
`model.learner` names a class, its settings follow: `--model.learner MLP --model.learner.dense '[500, 100]'`, or in a
file `class_path: har.learners.mlp.MLP` and `init_args`. More about them: [../learners.md](../learners.md).
"""
_OPTIONS = """\
Keys below `model.norm.options`, by `model.norm.kind`. More about them: [../norms.md](../norms.md).

Without options: {without}.
"""
_HEADS = """\
Keys below `model.head.options`, by `model.head.kind`; lists are what is tried on validation subjects. What they mean
stands at `model.head.options` above, more in [../learners.md](../learners.md#heads).
"""
_TRAINER = """\
Of the settings of Lightning's trainer, those that a run does not decide by itself. Most stay as they are; the budget is
`trainer.max_steps`.
"""
_STUDY = """\
A study file is YAML, such as [bn-placement.yaml](../../configs/studies/bn-placement.yaml). Overrides are the dotted
keys above, but for those that a study fills in (subjects, folds, seeds, inferences).
"""


def page() -> str:
    """Return the page."""
    parts = ["# Configuration\n", MADE, _INTRODUCTION]
    keys = _experiment()
    top = {key: row for key, row in keys.items() if "." not in key}
    parts += ["## A run\n", table(_HEAD, [*top.values(), *_probes()])]
    for section in ("data", "model", "model.norm", "model.optimisation", "model.augmentation", "model.head"):
        parts += [f"## `{section}`\n", table(_HEAD, _below(keys, section))]
    parts += ["### Learners\n", _LEARNERS]
    for learner in (*LEARNERS, *FITTED_LEARNERS):
        parts.append(_learner(learner))
    parts += ["### Options of norms\n", _norm_options(), "### Options of heads\n", _HEADS, _head_options()]
    parts += ["## `trainer`\n", _TRAINER, table(_HEAD, _below(keys, "trainer"))]
    parts += ["## Inferences\n", _inferences(), "## A study file\n", _STUDY, *_study()]
    return "\n".join(part.rstrip("\n") + "\n" for part in parts)


def _experiment() -> dict[str, tuple[str, ...]]:
    """Return a row for every key that an experiment accepts, in the order of the parser."""
    defaults = _flat(complete([]))
    rows = {}
    for action in HarCLI([]).parser._actions:
        key = action.dest
        if key not in defaults:
            continue
        hint = getattr(action, "_typehint", None) or action.type
        said = plain(action.help or "")
        said = first_sentence(said) if key.startswith("trainer.") else said
        rows[key] = (code(key), _short_kind(key, hint), _default(defaults[key]), _OF_A_RUN.get(key, said))
    return rows


def _flat(config: dict[str, Any], before: str = "") -> dict[str, Any]:
    """Return the values of a configuration by dotted key; a learner and options are one value."""
    flat: dict[str, Any] = {}
    for name, given in config.items():
        key = f"{before}{name}"
        nested = isinstance(given, dict) and given and "class_path" not in given
        flat.update(_flat(given, f"{key}.") if nested else {key: given})
    return flat


def _short_kind(key: str, hint: Any) -> str:
    """Return a type in words; of what Lightning takes as objects too, what can be written."""
    if key == "model.learner":
        return "class with settings"
    if not key.startswith("trainer."):
        return kind(hint)
    members = typing.get_args(hint) if typing.get_origin(hint) is typing.Union else (hint,)
    words = [kind(one) for one in members if _LIGHTNING not in str(one) and "datetime" not in str(one)]
    return either(words if set(words) - {"null"} else ["class with settings", *words])


def _default(given: Any) -> str:
    """Return a default; of a learner, its class."""
    return code(given["class_path"].rpartition(".")[2]) if isinstance(given, dict) and given else value(given)


def _below(keys: dict[str, tuple[str, ...]], section: str) -> Iterable[tuple[str, ...]]:
    """Return the rows of one section, without those of sections in it."""
    return [row for key, row in keys.items() if key.rpartition(".")[0] == section]


def _probes() -> list[tuple[str, ...]]:
    """Return the rows of the settings of probes."""
    said, hints = meanings(ProbeSettings), typing.get_type_hints(ProbeSettings)
    fields = dataclasses.fields(ProbeSettings)
    return [(code(f"probes.{f.name}"), kind(hints[f.name]), value(f.default), said[f.name]) for f in fields]


def _learner(learner: type) -> str:
    """Return the name of a learner, what it is, and its settings."""
    first = first_sentence((learner.__doc__ or "").partition("\n\n")[0])
    head = f"**`{learner.__name__}`** (`{learner.__module__}.{learner.__name__}`). {first}\n"
    rows = _parameters(learner, "model.learner.")
    return f"{head}\n{table(_HEAD, rows)}" if rows else f"{head}\nIt has no settings.\n"


def _parameters(described: Callable[..., Any], before: str, without: Iterable[str] = ()) -> list[tuple[str, ...]]:
    """Return a row for every parameter of a class."""
    make = described.__init__ if inspect.isclass(described) else described
    hints, said = typing.get_type_hints(make), meanings(described)
    return [
        (code(f"{before}{name}"), kind(hints[name]), value(found.default), said[name])
        for name, found in inspect.signature(described).parameters.items()
        if name not in without
    ]


def _norm_options() -> str:
    """Return the options of all kinds of norms."""
    rows, without = [], []
    for name, norm in KINDS.items():
        options = norm.options()
        if not options:
            without.append(code(name))
            continue
        every = _parameters(typing.cast("Callable[..., Any]", norm.layer), "")
        rows += [(code(name), *row) for row in every if row[0].strip("`") in options]
    return _OPTIONS.format(without=", ".join(without)) + "\n" + table(("kind", *_HEAD), rows)


def _head_options() -> str:
    """Return the options of all heads."""
    rows = [(code(head), code(name), value(given)) for head, own in DEFAULTS.items() for name, given in own.items()]
    return table(("head", "option", "default"), rows)


def _inferences() -> str:
    """Return what the module of inferences says of their names."""
    return plain_lines(inspect.getdoc(inferences) or "")


def plain_lines(text: str) -> str:
    """Return a docstring that is Markdown, line by line."""
    return text.replace("``", "`").strip() + "\n"


def _study() -> list[str]:
    """Return the tables of the keys of a study file."""
    read = _defaults_of_a_study()
    parts = [_study_keys("", Study, (*REQUIRED, *OPTIONAL), {name: _default(getattr(read, name)) for name in OPTIONAL})]
    sections = (
        ("protocol", Protocol, PROTOCOL, dict.fromkeys(PROTOCOL[1:], "")),
        ("contrasts[]", Contrast, CONTRAST, {"primary": value(False)}),
        ("tune", Tune, _names(Tune), {}),
        ("target", Target, _names(Target), {}),
    )
    for where, described, names, optional in sections:
        parts += [f"### `{where}`\n", _study_keys(where, described, names, optional)]
    return parts


def _names(described: type) -> tuple[str, ...]:
    """Return the names of a dataclass's fields."""
    return tuple(field.name for field in dataclasses.fields(described))


def _study_keys(where: str, described: type, names: Iterable[str], optional: dict[str, str]) -> str:
    """Return the table of one mapping of a study file."""
    said, hints = meanings(described), typing.get_type_hints(described)
    rows = [(code(name), _written_kind(hints[name]), optional.get(name, "needed"), said[name]) for name in names]
    return table(_HEAD, rows)


def _written_kind(hint: Any) -> str:
    """Return the type that a key of a study file has."""
    return "text" if hint is Path else kind(hint)


def _defaults_of_a_study() -> Study:
    """Return the smallest study that can be read; what it does not say has its default."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "smallest.yaml"
        Path(folder, "base.yaml").write_text("{}", encoding="utf-8")
        path.write_text(
            "{name: smallest, question: 'Which?', base: base.yaml, variants: {a: {x.y: 1}, b: {x.y: 2}},\n"
            " protocol: {folds: loso, validation_subjects: 1}, contrasts: [{a: a, b: b, primary: true}]}\n",
            encoding="utf-8",
        )
        return load_study(path)
