"""The same contrasts over several data sets: a mixed model and what a forest plot shows.

Each data set's study is judged by itself first, as `comparison` does. A contrast that at least three of them have is
then stated over all, by the rule of the verdict with the mean, the interval and the p of the mixed model. With fewer it
is listed and not judged. Nothing is filled in: whatever a study lacks is among the problems, under its data set's name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from har.errors import UsageError
from har.evaluation import contrast
from har.evaluation.comparison import check_policy, judge
from har.evaluation.gathering import Gathered, gather, load_study
from har.evaluation.measures import DEFAULT_POLICY
from har.evaluation.mixed_model import FEWEST, MixedFit, fit
from har.evaluation.numbers import Column, Table, number, with_minus
from har.evaluation.paired import pair_up
from har.files import write_json, write_text

ACROSS = Path("across.json")
FOREST = Path("tables") / "forest.csv"


def studies_in(path: Path) -> list[Path]:
    """Return the study folders that a path means: itself, or those right below it.

    Raises:
        DataError: When it is neither a study nor a folder of studies.
    """
    below = sorted(place.parent for place in path.glob("*/study.json"))
    if not below:
        load_study(path)
    return below or [path]


def evaluate_across(folders: Sequence[Path], out: Path, policy: str = DEFAULT_POLICY) -> dict[str, Any]:
    """Judge the studies of several data sets, each by itself and all together.

    Writes `contrasts.json` into each study's folder, and `across.json` and `tables/forest.csv` into `out`.

    Args:
        folders: Their folders, one a data set.
        out: Where the files about all of them go.
        policy: The policy of absent activities for scores per subject.

    Returns:
        The content of `across.json`.

    Raises:
        DataError: When a folder is no study.
        UsageError: When there is but one data set or one is there twice, or the policy is not one per subject.
    """
    check_policy(policy)
    _check_data_sets(folders)
    gathered = {found.study["data_set"]: found for found in (gather(folder, policy) for folder in folders)}
    judged = {name: judge(folder, gathered[name], policy) for name, folder in zip(gathered, folders, strict=True)}
    names = {result["study"] for result in judged.values()}
    problems = [f"{name}: {problem}" for name, result in judged.items() for problem in result["problems"]]
    if len(names) > 1:
        problems.insert(0, f"The studies have different names: {', '.join(sorted(names))}.")
    contrasts = over_data_sets(judged, lambda name, a, b: pair_up(gathered[name], a, b, policy).difference_SR)
    for found in contrasts:
        problems.extend(_problems(found, gathered))
    result = {
        "study": ", ".join(sorted(names)),
        "policy": policy,
        "data_sets": {name: {"folder": str(folder)} for name, folder in zip(judged, folders, strict=True)},
        "problems": list(dict.fromkeys(problems)),
        "contrasts": contrasts,
    }
    write_json(out / ACROSS, result)
    write_text(out / FOREST, forest_table(result).csv())
    return result


def over_data_sets(
    judged: Mapping[str, Mapping[str, Any]], difference_SR: Callable[[str, str, str], np.ndarray]
) -> list[dict[str, Any]]:
    """State each contrast over all data sets that have it, adjusted over the contrasts.

    Args:
        judged: Data set to its study's result, of which ``contrasts`` is read.
        difference_SR: Data set, a and b to the differences of its subjects and repeats, as `pair_up` returns them.

    Returns:
        The entry ``contrasts`` of `across.json`.
    """
    contrasts = [_contrast(a, b, judged, difference_SR) for a, b in _declared(judged)]
    adjusted = contrast.holm([1.0 if found["p"] is None else found["p"] for found in contrasts])
    for found, p_holm in zip(contrasts, adjusted, strict=True):
        _conclude(found, p_holm)
    return contrasts


def forest_table(result: dict[str, Any]) -> Table:
    """Return what a forest plot shows: each data set's difference with its interval and weight, and that over all.

    Args:
        result: What `evaluate_across` returns.
    """
    columns = [Column("a"), Column("b"), Column("data set"), Column("a - b, F1 points", "points")]
    columns += [Column("95 % from", "points"), Column("to", "points"), Column("p", "p"), Column("weight", "score")]
    columns += [Column("S", "count"), Column("K", "count"), Column("verdict")]
    rows: list[list[Any]] = []
    for found in result["contrasts"]:
        pair = [found["a"], found["b"]]
        for row in found["data_sets"]:
            ends = row["interval"] or (None, None)
            counts = [row["subjects"], row["repeats"], row["verdict"]]
            rows.append([*pair, row["data_set"], row["mean"], *ends, row["p"], row["weight"], *counts])
        ends = found["interval"] or (None, None)
        rows.append(
            [*pair, "(all)", found["mean"], *ends, found["p_holm"], None, found["subjects"], None, found["verdict"]]
        )
    note = (
        "Each data set by itself (p: sign-flip, verdict Holm-adjusted within its study), and all by the mixed model (p:"
        " Holm-adjusted over the contrasts; t with one degree of freedom fewer than data sets). Weight: share in the"
        " mean over all."
    )
    return Table("forest", f"Contrasts over data sets, macro F1 ({result['policy']})", columns, rows, note)


def _check_data_sets(folders: Sequence[Path]) -> None:
    """Raise where the studies are not those of several data sets, each once."""
    names = [str(load_study(folder)["data_set"]) for folder in folders]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        places = ", ".join(str(folder) for folder, name in zip(folders, names, strict=True) if name == twice)
        raise UsageError(
            f"data set {twice!r} is there twice ({places}); its subjects would count twice.",
            "Name one of these studies.",
        )
    if len(names) < 2:
        raise UsageError(
            f"there is one data set, {', '.join(names) or 'none'}; a mean over data sets needs {FEWEST}.",
            "Name the folders of several studies, or the folder that they lie in.",
        )


def _declared(judged: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Return the pairs of all studies, in the order in which they are first declared."""
    pairs = ((found["a"], found["b"]) for result in judged.values() for found in result["contrasts"])
    return list(dict.fromkeys(pairs))


def _contrast(
    a: str,
    b: str,
    judged: Mapping[str, Mapping[str, Any]],
    difference_SR: Callable[[str, str, str], np.ndarray],
) -> dict[str, Any]:
    """Return one contrast over the data sets that have it, before adjustment."""
    rows = []
    for name, result in judged.items():
        for found in result["contrasts"]:
            if (found["a"], found["b"]) == (a, b) and found["mean"] is not None:
                keys = ("mean", "interval", "interval_method", "p", "subjects", "repeats", "verdict")
                rows.append({"data_set": name, **{key: found[key] for key in keys}, "weight": None})
    result = {"a": a, "b": b, "data_sets": rows, "subjects": sum(row["subjects"] for row in rows)}
    if len(rows) < FEWEST:
        nothing = ("mean", "error", "interval", "p", "sd_data_sets", "sd_subjects", "sd_repeats")
        return result | dict.fromkeys(nothing)
    fitted = fit([difference_SR(row["data_set"], a, b) for row in rows])
    for row, weight in zip(rows, fitted.weight_J, strict=True):
        row["weight"] = weight
    return result | _fitted(fitted)


def _fitted(fitted: MixedFit) -> dict[str, Any]:
    """Return a fit as a JSON value."""
    values = {key: getattr(fitted, key) for key in ("mean", "error", "p", "sd_data_sets", "sd_subjects", "sd_repeats")}
    return values | {"interval": list(fitted.interval)}


def _conclude(found: dict[str, Any], p_holm: float) -> None:
    """Add the adjusted p, the verdict and its sentence to a contrast."""
    a, b, rows = found["a"], found["b"], found["data_sets"]
    if found["mean"] is None:
        found |= {"p_holm": None, "verdict": "not judged"}
        count = f"{len(rows)} data set{contrast.plural(len(rows))}"
        found["sentence"] = f"{a} against {b} is not judged over data sets: {count}, and {FEWEST} are needed."
        return
    low, high = found["interval"]
    word = contrast.verdict(found["mean"], (low, high), p_holm, 0.0)
    found |= {"p_holm": p_holm, "verdict": word}
    mean, *ends = (with_minus(number(value, "points")) for value in (found["mean"], low, high))
    found["sentence"] = (
        f"{contrast.claim(a, b, word)}: {mean} F1 points over {len(rows)} data sets (95 % interval {' to '.join(ends)},"
        f" Holm p = {number(p_holm, 'p')}, {found['subjects']} subjects, standard deviation between data sets"
        f" estimated at {number(found['sd_data_sets'], 'size')})."
    )


def _problems(found: Mapping[str, Any], gathered: Mapping[str, Gathered]) -> list[str]:
    """Return what is wrong with the ground that a contrast stands on."""
    a, b, rows = found["a"], found["b"], found["data_sets"]
    problems = _unlike(a, b, {row["data_set"]: gathered[row["data_set"]] for row in rows})
    missing = [name for name in gathered if name not in {row["data_set"] for row in rows}]
    if missing:
        problems.append(f"{a} against {b} is not there in {', '.join(missing)}; nothing was filled in.")
    return problems


def _unlike(a: str, b: str, gathered: dict[str, Gathered]) -> list[str]:
    """Return a sentence for each variant of a contrast that is not made alike in all studies."""
    problems = []
    for name in dict.fromkeys(arm.partition("@")[0] for arm in (a, b)):
        settings = [found.study["variants"].get(name) for found in gathered.values()]
        other = next((data_set for data_set, own in zip(gathered, settings, strict=True) if own != settings[0]), None)
        if other is not None:
            first = next(iter(gathered))
            problems.append(f"Variant {name} has other settings on {other} than on {first}.")
    return problems
