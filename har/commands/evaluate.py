"""`har evaluate`: scores of a run, a study, a study on several data sets, or a predictions file."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

from har.commands.parser import CommandParser
from har.errors import DataError, UsageError
from har.files import write_json, write_text

_EXAMPLES = """
har evaluate runs/bn-placement/spar
har evaluate runs/bn-placement/spar/every/subject-1/repeat-0
har evaluate runs/bn-placement/spar/every/subject-1/repeat-0 --policy union --json
har evaluate runs/bn-placement/spar/every/subject-1/repeat-0 --html
har evaluate runs/bn-placement/spar/every/subject-1/repeat-0 --smooth hmm majority5
har evaluate predictions.parquet --out scores
har evaluate runs/bn-placement
har evaluate runs/bn-placement/spar runs/bn-placement/hapt runs/bn-placement/pamap2 --out across
"""


def main(args: list[str]) -> int:
    """Score what is named, print a table or JSON, write the files.

    Args:
        args: The command line after ``har evaluate``.

    Returns:
        0.

    Raises:
        DataError: When there is nothing to score or a file is damaged.
        UsageError: When an option is wrong.
    """
    options = _parser().parse_args(args)
    path, several = options.paths[0], len(options.paths) > 1
    studies = several or (path / "study.json").is_file() or len(list(path.glob("*/study.json"))) > 1
    if options.html and studies:
        raise UsageError(
            "--html is for one run or predictions file.", "The page of a study is written by: har report STUDY"
        )
    if options.smooth and (studies or path.is_file()):
        raise UsageError(
            "--smooth is for one run.",
            "A study gets smoothed decisions, without training anew, where its inferences list them (running+hmm).",
        )
    if (path / "study.json").is_file() and not several:
        if options.out is not None:
            raise UsageError("--out is not for a study: its scores stand in its folder.", "Leave --out away.")
        return _study(path, options.policy, as_json=options.json)
    if options.out is not None:
        _expect_folder(options.out)
    if studies:
        return _across(options.paths, options.policy, options.out, as_json=options.json)
    return _run(path, options.policy, options.out, options.smooth, as_json=options.json, as_html=options.html)


def _parser() -> CommandParser:
    """Return the parser of the command line."""
    parser = CommandParser("evaluate", "F1 per activity of a run, a study or a predictions file.", _EXAMPLES)
    parser.add_argument(
        "paths",
        type=Path,
        nargs="+",
        metavar="PATH",
        help="a run's folder, a study's folder, or a predictions file; or the studies of several data sets, each by its"
        " folder or all by the one they lie in",
    )
    parser.add_argument(
        "--policy",
        default="present",
        help="how absent activities count: present (default), union or all; pooled for a run or a file alone, as"
        " studies refuse it (it gives no score per subject to contrast)",
    )
    parser.add_argument(
        "--out", type=Path, metavar="FOLDER", help="where scores.json and scores.csv go, or across.json"
    )
    parser.add_argument(
        "--smooth",
        nargs="+",
        default=[],
        metavar="HOW",
        help="score smoothed decisions too, beside the raw ones: hmm, hmm-causal or a majority such as majority5; for a"
        " run (a study lists them with its inferences, such as running+hmm)",
    )
    parser.add_argument(
        "--html", action="store_true", help="write scores.html too, the page of a run or of a predictions file"
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    return parser


def _run(path: Path, policy: str, out: Path | None, smooth: list[str], *, as_json: bool, as_html: bool) -> int:
    """Score one run, or one predictions file that stands alone."""
    from har.evaluation.scorecard import inferences_table, scorecard, scores_csv
    from har.evaluation.scores import inferences_of, score_file, score_run, scores_file

    others: dict[str, Any] = {}
    record: dict[str, Any] = {}
    if path.is_dir() or not path.exists():
        _expect_run(path)
        scores, folder = score_run(path, policy, write=False), out or path
        record = _record(path)
        names = [name for base in inferences_of(path) for name in _with_smoothed(base, smooth)][1:]
        others = {name: score_run(path, policy, inference=name, write=False) for name in names}
    else:
        scores, folder = score_file(path, policy), out or path.parent
    write_json(folder / "scores.json", scores)
    for name, found in others.items():
        write_json(folder / scores_file(name), found)
    write_text(folder / "scores.csv", scores_csv(scores))
    if as_html:
        _write_page(path, folder, scores, others, record)
    if as_json:
        _print_json({**scores, "inferences": others} if others else scores)
        return 0
    print(scorecard(scores, record.get("classes_missing")))
    if others:
        print(f"\n{inferences_table(scores, others).markdown()}\n\n{inferences_table(scores, others).note}")
    more = f", {folder / 'scores-<inference>.json'}" if others else ""
    more += f", {folder / 'scores.html'}" if as_html else ""
    print(f"\nwritten: {folder / 'scores.json'}, {folder / 'scores.csv'}{more}")
    return 0


def _with_smoothed(inference: str, smooth: list[str]) -> list[str]:
    """Return an inference, and the names of its smoothed decisions behind it."""
    from har.evaluation.smoothing import check_smoothing

    return [inference, *(f"{inference}+{check_smoothing(how)}" for how in dict.fromkeys(smooth))]


def _write_page(
    path: Path, folder: Path, scores: dict[str, Any], others: dict[str, dict[str, Any]], record: dict[str, Any]
) -> None:
    """Write the page of one run, or of one predictions file that stands alone."""
    from har.evaluation.gathering import read_curve
    from har.evaluation.measures import DEFAULT_POLICY
    from har.evaluation.run_page import RunMaterial, write_run_page

    option = "" if scores["policy"] == DEFAULT_POLICY else f" --policy {scores['policy']}"
    command = f"har evaluate {shlex.quote(path.as_posix())}{option} --html"
    curve = read_curve(path / "metrics.jsonl") if record else []
    name = str(record.get("variant") or path.resolve().name)
    write_run_page(folder, RunMaterial(name, scores, command, others, record, curve))


def _study(folder: Path, policy: str, *, as_json: bool) -> int:
    """Score all runs of a study and state its contrasts."""
    from har.evaluation.comparison import evaluate_study
    from har.evaluation.steps_to_target import target_sentences
    from har.evaluation.tables import apart_tables, variants_table
    from har.evaluation.target_tables import target_tables

    result = evaluate_study(folder, policy)
    if as_json:
        _print_json(result)
        return 0
    for problem in result["problems"]:
        print(f"problem: {problem}")
    for table in (variants_table(result), *apart_tables(result)):
        print(f"{table.title}\n\n{table.markdown()}\n\n{table.note}\n")
    for found in result["contrasts"]:
        print(found["sentence"])
    if "target" in result:
        table = target_tables(result["target"])[0]
        sentences = "\n".join(target_sentences(result["target"]))
        print(f"\n{table.title}\n\n{table.markdown()}\n\n{table.note}\n\n{sentences}")
    print(f"\nwritten: {folder / 'contrasts.json'}, and scores.json in every run that counts")
    return 0


def _across(paths: list[Path], policy: str, out: Path | None, *, as_json: bool) -> int:
    """Judge the studies of several data sets, each by itself and all together."""
    from har.evaluation.across import ACROSS, FOREST, evaluate_across, forest_table, studies_in
    from har.evaluation.forest_page import write_forest_page

    folders = [folder for path in paths for folder in studies_in(path)]
    parents = {folder.parent for folder in folders}
    if out is None and len(parents) > 1:
        raise UsageError(
            "the studies lie in several folders, so it is open where across.json goes.", "Say it: --out FOLDER."
        )
    place = out or parents.pop()
    result = evaluate_across(folders, place, policy)
    page = write_forest_page(place, result)
    if as_json:
        _print_json(result)
        return 0
    for problem in result["problems"]:
        print(f"problem: {problem}")
    table = forest_table(result)
    print(f"{table.title}\n\n{table.markdown()}\n\n{table.note}\n")
    for found in result["contrasts"]:
        print(found["sentence"])
    print(f"\nwritten: {page}, {place / ACROSS}, {place / FOREST}, and contrasts.json in every study's folder")
    return 0


def _expect_folder(out: Path) -> None:
    """Raise where --out cannot be a folder because it is a file, or would lie in one."""
    file = next((place for place in (out, *out.parents) if place.exists() and not place.is_dir()), None)
    if file is not None:
        what = "is a file" if file == out else f"would lie in {file}, which is a file"
        raise UsageError(f"--out {out} {what}, not a folder.", "Name a folder; it is made if it is missing.")


def _record(run: Path) -> dict[str, Any]:
    """Return a run's record; empty where it has none, as when predictions of another program lie in a run's folder."""
    from har.training.stored import read_run

    return read_run(run) if (run / "run.json").is_file() else {}


def _expect_run(folder: Path) -> None:
    """Raise where a folder is no run, or a run that has not got as far as its predictions."""
    from har.evaluation.gathering import studies_near
    from har.evaluation.scores import PREDICTIONS
    from har.training.stored import read_run

    if (folder / PREDICTIONS).is_file():
        return
    if (folder / "run.json").is_file():
        record = read_run(folder)
        reason = f": {record.get('error')}" if record.get("error") else ""
        raise DataError(
            f"{folder} has no predictions; its status is {record.get('status')}{reason}.",
            "Finish the run (`har fit … --resume RUN`), or the study it belongs to (`har study FILE.yaml`).",
        )
    near = studies_near(folder)
    wrong = "is neither a run (no run.json) nor a study (no study.json)" if folder.is_dir() else "does not exist"
    raise DataError(
        f"{folder} {wrong}.",
        f"Studies near it: {', '.join(near[:8])}." if near else "Runs are made by: har fit, har study",
    )


def _print_json(value: Any) -> None:
    """Print a JSON value."""
    print(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False))
