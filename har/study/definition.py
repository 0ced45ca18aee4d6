"""What a study file says: a base experiment, named variants of it, a protocol, repeats and the declared contrasts.

    name: bn-placement
    question: Does batch normalisation after every convolution beat a single early one?
    base: ../experiments/spar-cnn.yaml       # relative to this file
    variants:
      input: {model.norm.placement: input}   # dotted overrides of the base, as after `har fit --`
      every: {model.norm.placement: every}   # with seed_offset: 1 too, it would have seeds of its own
    protocol: {folds: loso, validation_subjects: 2}   # with train_subjects: [2, 4] every fold is had with 2 and with 4
    repeats: 1
    seed: 0
    contrasts:
      - {a: every, b: input, primary: true}
    inferences: [running, population]        # optional; then a contrast may also name every@population
                                             # with running+hmm in it, smoothed decisions are scored too
    short: [input, every]                    # optional: variants of the short form, and the contrasts among them
    data_sets: {hapt: {data.window_s: 2.56}} # optional: overrides of the base on that data set, or a file of them
    tune: {key: model.learning_rate, grid: [0.0003, 0.001, 0.003], inner_folds: 2}
                                             # optional: then there is also every-own, at the value tuned for it
    target: {reference: input, share: 0.98}  # optional: how long training takes to reach the best score of that variant

Every mistake of a file is found before it is refused, so that one reading is enough to mend it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from har.errors import UsageError, candidates
from har.evaluation.arms import RUNNING, arms, smoothing_of
from har.evaluation.smoothing import check_smoothing
from har.norms.inferences import check
from har.strict_yaml import read_yaml
from har.study.declared import (
    FOLD_RULES,
    SPLIT_NAME,
    Contrast,
    Protocol,
    Study,
    Target,
    Tune,
    among,
    is_safe_name,
    names_of,
    numbers_of,
    override_problem,
    set_by_variant,
)
from har.study.offsets import KEY as OFFSET
from har.study.offsets import read_offsets
from har.study.tune_keys import read_target, read_tune

REQUIRED = ("name", "question", "base", "variants", "protocol", "contrasts")
OPTIONAL = ("repeats", "seed", "notes", "inferences", "short", "data_sets", "tune", "target")
PROTOCOL = ("folds", "fold_count", "validation_subjects", "train_subjects")
CONTRAST = ("a", "b", "primary")


def load_study(path: str | Path) -> Study:
    """Read and check a study file.

    Args:
        path: The YAML file.

    Returns:
        The study.

    Raises:
        UsageError: The file is missing, not YAML (with its line), or has mistakes; all of them are listed, unknown
            keys with the nearest known ones.
    """
    file = Path(path)
    value = read_yaml(file)
    if not isinstance(value, dict):
        raise UsageError(f"{file} is not a study: it holds no mapping.", f"It needs the keys {', '.join(REQUIRED)}.")
    reading = _Reading(file, value)
    study = reading.study()
    if reading.problems:
        count = len(reading.problems)
        what = f"{file} has {count} mistake{'s' if count > 1 else ''}; nothing was run."
        raise UsageError(what, "\n  ".join(reading.problems))
    return study


class _Reading:
    """One pass over a study file that collects every problem.

    Where a value is wrong, a stand-in of the right type is used, so that the rest can still be checked; a study with
    problems is never handed out.
    """

    def __init__(self, file: Path, value: dict[Any, Any]) -> None:
        self.file = file
        self.value = value
        self.problems: list[str] = []

    def study(self) -> Study:
        self._keys(self.value, (*REQUIRED, *OPTIONAL), "")
        self.problems.extend(f"'{key}' is missing." for key in REQUIRED if key not in self.value)
        variants, offsets, wrong = read_offsets(self._variants())
        self.problems.extend(wrong)
        inferences = self._inferences()
        tune = self._tune(variants)
        contrasts = self._contrasts(arms(names_of(variants, tune), inferences))
        short = self._short(variants, contrasts, tune)
        return Study(
            name=self._name(),
            question=self._text("question"),
            file=self.file,
            base=self._base(),
            variants=variants,
            protocol=self._protocol(),
            repeats=self._integer(self.value, "repeats", 1, at_least=1),
            seed=self._integer(self.value, "seed", 0, at_least=0),
            contrasts=contrasts,
            notes=self._notes(),
            inferences=inferences,
            short=short,
            data_sets=self._data_sets(variants),
            tune=tune,
            target=self._target(names_of(variants, tune), names_of(short, tune)),
            seed_offsets=offsets,
        )

    def _keys(self, mapping: Mapping[Any, Any], known: Iterable[str], where: str) -> None:
        for key in mapping:
            if key not in set(known):
                self.problems.append(f"{where}key {key!r} is not known. {candidates(key, known)}")

    def _name(self) -> str:
        name = self.value.get("name", "stand-in")
        if not is_safe_name(name):
            self.problems.append(f"name {name!r} cannot be a folder's name; use letters, digits, '.', '_' and '-'.")
        return str(name)

    def _text(self, key: str) -> str:
        text = self.value.get(key, "stand-in")
        if not isinstance(text, str) or not text.strip():
            self.problems.append(f"{key} is {text!r}; it must be a sentence.")
        return str(text).strip()

    def _integer(self, mapping: Mapping[Any, Any], key: str, default: int, *, at_least: int) -> int:
        number = mapping.get(key, default)
        if not isinstance(number, int) or isinstance(number, bool) or number < at_least:
            self.problems.append(f"{key} is {number!r}; it must be a whole number of at least {at_least}.")
            return at_least
        return number

    def _base(self) -> Path:
        given = self.value.get("base")
        if given is None:
            return self.file
        base = self.file.parent / str(given)
        if not base.is_file():
            self.problems.append(f"base {str(given)!r} is not there: no file {base} (taken from the study file).")
        return base

    def _variants(self) -> dict[str, dict[str, Any]]:
        given = self.value.get("variants", {"stand-in": {}})
        if not isinstance(given, dict) or not given:
            self.problems.append("variants is empty; give at least two, each a name with its dotted overrides.")
            return {}
        variants: dict[str, dict[str, Any]] = {}
        for name, overrides in given.items():
            if not is_safe_name(name):
                self.problems.append(
                    f"variant name {name!r} cannot be a folder's name; use letters, digits, '.', '_' and '-' "
                    "(in quotes, where YAML would read a number or a truth value)."
                )
            self._overrides(str(name), overrides)
            same = next((other for other, known in variants.items() if known == overrides), None)
            if same is not None:
                self.problems.append(f"variants {same!r} and {name!r} are the same; take one out.")
            variants[str(name)] = dict(overrides) if isinstance(overrides, dict) else {}
        return variants

    def _overrides(self, variant: str, overrides: Any) -> None:
        if not isinstance(overrides, dict) or not overrides:
            self.problems.append(f"variant {variant!r} overrides nothing; give it dotted keys with values.")
            return
        for key, value in overrides.items():
            problem = None if key == OFFSET else override_problem(key, value)
            if problem:
                self.problems.append(f"variant {variant!r}: {problem}")

    def _protocol(self) -> Protocol:
        given = self.value.get("protocol", {"folds": "loso", "validation_subjects": 1})
        if not isinstance(given, dict):
            self.problems.append("protocol must be a mapping with the key folds: loso, kfold, or a folds file.")
            return Protocol("loso", None, 1)
        self._keys(given, PROTOCOL, "protocol: ")
        folds = given.get("folds")
        if not isinstance(folds, str) or not folds:
            self.problems.append(f"protocol: folds is {folds!r}; it must be loso, kfold, or the path of a folds file.")
            folds = "loso"
        needed, allowed = numbers_of(folds)
        for key in ("fold_count", "validation_subjects"):
            if key in needed and key not in given:
                self.problems.append(f"protocol: {key} is missing; folds: {folds} needs it.")
            if key not in allowed and key in given:
                self.problems.append(f"protocol: {key} has no meaning with folds: {folds}; take it out.")
        numbers = {"fold_count": 2, "validation_subjects": 1}
        read = {key: self._integer(given, key, least, at_least=least) for key, least in numbers.items() if key in given}
        fewer = self._train_subjects(given.get("train_subjects"))
        return Protocol(self._folds(folds), read.get("fold_count"), read.get("validation_subjects"), fewer)

    def _train_subjects(self, given: Any) -> tuple[int, ...] | None:
        if given is None:
            return None
        counts = isinstance(given, list) and all(
            isinstance(n, int) and not isinstance(n, bool) and n > 0 for n in given
        )
        if not counts or not given or len(set(given)) < len(given):
            self.problems.append(
                f"protocol: train_subjects is {given!r}; it must be different numbers such as [2, 4, 8]."
            )
            return None
        return tuple(given)

    def _folds(self, folds: str) -> str:
        if folds in FOLD_RULES:
            return folds
        path = self.file.parent / folds
        if not path.is_file():
            if SPLIT_NAME.fullmatch(folds):
                return folds  # of the data set's card, which is known when the study is planned
            near = candidates(folds, FOLD_RULES)
            self.problems.append(f"protocol: folds {folds!r} is neither a rule nor a file (no {path}). {near}")
        return str(path)

    def _inferences(self) -> tuple[str, ...]:
        given = self.value.get("inferences", [RUNNING])
        if not isinstance(given, list) or not all(isinstance(name, str) for name in given):
            self.problems.append(f"inferences is {given!r}; it must be a list of names such as [running, population].")
            return (RUNNING,)
        try:
            check([name for name in given if not smoothing_of(name)[1]])
            self._smoothings(given)
        except UsageError as error:
            self.problems.append(f"{error.what} {error.hint}")
        return tuple(given)

    def _smoothings(self, given: list[str]) -> None:
        for name in given:
            base, smoothing = smoothing_of(name)
            if smoothing:
                check_smoothing(smoothing)
            if smoothing and base not in given:
                self.problems.append(f"inferences: {name!r} smooths {base!r}, which must be in the list beside it.")
            if smoothing and given.count(name) > 1:
                self.problems.append(f"inferences: {name!r} stands there twice.")

    def _contrasts(self, arms: list[str]) -> tuple[Contrast, ...]:
        given = self.value.get("contrasts", [])
        if not isinstance(given, list) or not given:
            if "contrasts" in self.value:
                self.problems.append("contrasts is empty; declare at least one, before anything runs.")
            return ()
        contrasts = [self._contrast(number, item, arms) for number, item in enumerate(given, start=1)]
        pairs = [frozenset((contrast.a, contrast.b)) for contrast in contrasts]
        self.problems.extend(
            f"contrast {number} compares {contrast.a!r} and {contrast.b!r} a second time; take it out."
            for number, contrast in enumerate(contrasts, start=1)
            if pairs[number - 1] in pairs[: number - 1]
        )
        primary = sum(contrast.primary for contrast in contrasts)
        if primary != 1:
            self.problems.append(f"{primary} contrasts are primary; exactly one answers the question.")
        return tuple(contrasts)

    def _contrast(self, number: int, item: Any, arms: list[str]) -> Contrast:
        if not isinstance(item, dict):
            self.problems.append(f"contrast {number} is {item!r}; write {{a: VARIANT, b: VARIANT, primary: true}}.")
            return Contrast(f"stand-in {number} a", f"stand-in {number} b", False)
        self._keys(item, CONTRAST, f"contrast {number}: ")
        for side in ("a", "b"):
            if item.get(side) not in arms:
                which = "no variant, nor VARIANT@INFERENCE with another inference of this study than running"
                hint = candidates(item.get(side), arms)
                self.problems.append(f"contrast {number}: {side} is {item.get(side)!r}, which is {which}. {hint}")
        if item.get("a") == item.get("b"):
            self.problems.append(f"contrast {number} compares {item.get('a')!r} with itself.")
        primary = item.get("primary", False)
        if not isinstance(primary, bool):
            self.problems.append(f"contrast {number}: primary is {primary!r}; it must be true or false.")
        return Contrast(str(item.get("a")), str(item.get("b")), primary is True)

    def _short(
        self, variants: Mapping[str, Any], contrasts: tuple[Contrast, ...], tune: Tune | None
    ) -> tuple[str, ...]:
        given = self.value.get("short", [])
        if not isinstance(given, list) or ("short" in self.value and not given):
            self.problems.append(f"short is {given!r}; it must be a list of variants such as [input, every].")
            return ()
        strangers = [name for name in given if not isinstance(name, str) or name not in variants]
        self.problems.extend(f"short: no variant is named {name!r}. {candidates(name, variants)}" for name in strangers)
        if len(set(map(str, given))) < len(given):
            self.problems.append(f"short {given!r} names a variant twice.")
        if given and not strangers and not any(found.primary for found in among(contrasts, names_of(given, tune))):
            self.problems.append("short: both variants of the primary contrast must be in it.")
        return tuple(map(str, given))

    def _tune(self, variants: Mapping[str, dict[str, Any]]) -> Tune | None:
        if "tune" not in self.value:
            return None
        tune, problems = read_tune(self.value["tune"], variants)
        self.problems.extend(problems)
        return tune

    def _target(self, names: list[str], short: list[str]) -> Target | None:
        if "target" not in self.value:
            return None
        target, problems = read_target(self.value["target"], names, short)
        self.problems.extend(problems)
        return target

    def _data_sets(self, variants: Mapping[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        given, where = self.value.get("data_sets", {}), "data_sets"
        if isinstance(given, str):
            where = f"data_sets {given!r}"
            path = self.file.parent / given
            if not path.is_file():
                self.problems.append(f"{where} is not there: no file {path} (taken from the study file).")
                return {}
            given = read_yaml(path)
        sets: dict[str, Any] = given if isinstance(given, dict) else {"": None}
        if not all(is_safe_name(name) and isinstance(own, dict) for name, own in sets.items()):
            self.problems.append(f"{where} must hold data sets, each a name with its dotted overrides.")
            return {}
        for name, own in sets.items():
            for key, value in own.items():
                problem = override_problem(key, value) or set_by_variant(key, variants)
                if problem:
                    self.problems.append(f"{where}: {name}: {problem}")
        return sets

    def _notes(self) -> tuple[str, ...]:
        given = self.value.get("notes", [])
        if not isinstance(given, list) or not all(isinstance(note, str) and note.strip() for note in given):
            self.problems.append("notes must be a list of sentences.")
            return ()
        return tuple(given)
