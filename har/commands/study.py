"""`har study`: all runs of a comparison, what is done skipped; then its contrasts and its report."""

from __future__ import annotations

import argparse
import dataclasses
import os
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from har.commands.interrupt import termination_as_interrupt
from har.commands.parser import CommandParser
from har.errors import UsageError

if TYPE_CHECKING:
    from har.study.conduct import Survey
    from har.study.executors import Executor
    from har.study.plan import Plan
    from har.study.runs import PlannedRun

_EXAMPLES = """
har study configs/studies/bn-placement.yaml --short         its short form: one repeat, one worker per core
har study configs/studies/bn-placement.yaml                 the whole study; finished runs are kept
har study configs/studies/bn-placement.yaml --repeats 3     three seeds per fold
har study configs/studies/bn-placement.yaml --dry-run       the runs, their state and the estimated time
har study configs/studies/bn-placement.yaml --data hapt     on another data set
har study configs/studies/bn-placement.yaml --data hapt --folds kfold --fold-count 10   in ten folds of three subjects
har study configs/studies/bn-placement.yaml --set trainer.accelerator=cuda    on a GPU, many runs at a time
har study configs/studies/bn-placement.yaml --short --set trainer.max_steps=100 --runs /tmp/quick
"""

_WORKERS_OF_A_GPU = 4


def main(args: list[str]) -> int:
    """Run a study, judge it and report it.

    Args:
        args: The command line after ``har study``.

    Returns:
        0 when every run is done and counts, 1 when some do not (they are named), 130 when it was interrupted.

    Raises:
        HarError: Nothing was run: the study file, the data set or the study folder is not as it must be, or no run of
            a variant could begin.
    """
    options = _parser().parse_args(args)
    for option in ("jobs", "replicas"):
        if getattr(options, option) is not None:
            _at_least_one(f"--{option}", getattr(options, option))
    from har.study.declared import short_form
    from har.study.definition import load_study
    from har.study.plan import Options, make_plan

    study = load_study(options.file)
    if options.short:
        study = short_form(study)
    if options.repeats is not None:
        study = dataclasses.replace(study, repeats=_at_least_one("--repeats", options.repeats))
    overrides = ({"probes": True} if options.probes else {}) | _overrides(options.set)
    asked = Options(options.data, options.runs, options.root, overrides, options.folds, options.fold_count)
    plan = make_plan(study, asked)
    executor = _executor(options, plan)
    return _show(plan, executor) if options.dry_run else _run(plan, executor)


def cores() -> int:
    """Return the number of cores that this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def _parser() -> argparse.ArgumentParser:
    parser = CommandParser("study", "All runs of a comparison, then its contrasts and its report.", _EXAMPLES)
    parser.add_argument("file", metavar="FILE.yaml", help="the study, such as configs/studies/bn-placement.yaml")
    parser.add_argument("--short", action="store_true", help="the study's short form: fewer variants, the same runs")
    parser.add_argument("--data", metavar="NAME", help="another data set than the base experiment's (har datasets)")
    parser.add_argument("--folds", metavar="RULE", help="another division of subjects: loso, kfold, a split, a file")
    parser.add_argument("--fold-count", metavar="N", type=int, help="how many folds, with --folds kfold")
    parser.add_argument("--repeats", metavar="N", type=int, help="runs per variant and fold, each with its own seed")
    parser.add_argument("--jobs", metavar="N", type=int, help="worker processes, one thread each (default: the cores)")
    parser.add_argument(
        "--executor",
        choices=["local", "fused", "ray"],
        help="workers here, one run each; many runs trained together (default on a GPU); a Ray cluster (docs/scale.md)",
    )
    parser.add_argument("--replicas", metavar="N", type=int, help="most runs trained together (default 64, or memory)")
    parser.add_argument("--runs", metavar="FOLDER", help="root of the run folders (default $HAR_RUNS or ./runs)")
    parser.add_root()
    parser.add_argument(
        "--set", metavar="KEY=VALUE", action="append", default=[], help="override the base for all variants; repeatable"
    )
    parser.add_argument("--probes", action="store_true", help="measure every run's layers too, into its probes.parquet")
    parser.add_argument("--dry-run", action="store_true", help="list the runs and the estimated time, run nothing")
    return parser


def _executor(options: argparse.Namespace, plan: Plan) -> Executor:
    """Return what makes the runs: what was asked for, else stacks on a GPU and single runs on processors."""
    from har.study.executors import LocalExecutor, uses_gpu
    from har.study.fused import LARGEST, FusedExecutor

    on_gpu = uses_gpu(plan)
    kind = options.executor or ("fused" if on_gpu else "local")
    if options.replicas is not None and kind != "fused":
        raise UsageError(f"--replicas {options.replicas} means nothing to the {kind} executor.", "Add --executor fused")
    if kind == "fused":
        # Some workers begin and end their runs while others train.
        jobs = options.jobs or (min(cores(), _WORKERS_OF_A_GPU) if on_gpu else cores())
        return FusedExecutor(jobs, options.replicas or LARGEST, spread=not on_gpu)
    if kind == "ray":
        from har.study.on_ray import RayExecutor

        return RayExecutor.connected(options.jobs, gpu=on_gpu)
    return LocalExecutor(options.jobs or cores())


def _at_least_one(option: str, number: int) -> int:
    if number < 1:
        raise UsageError(f"{option} {number} is not possible.", "Give a whole number from 1 upwards.")
    return number


def _overrides(settings: list[str]) -> dict[str, Any]:
    """Parse ``KEY=VALUE`` words; the values are YAML."""
    from har.strict_yaml import parse_yaml

    overrides: dict[str, Any] = {}
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals or not key:
            raise UsageError(f"--set {setting!r} is not KEY=VALUE.", "For example --set trainer.max_steps=100")
        if key in overrides:
            raise UsageError(f"--set {key} is given twice.", "Give each key once.")
        overrides[key] = parse_yaml(text, f"--set {setting}")
    return overrides


def _show(plan: Plan, executor: Executor) -> int:
    """Say what would be run, and what of it could not."""
    from har.study.conduct import survey
    from har.study.listing import listing
    from har.study.rehearsal import rehearse

    found = survey(plan)
    rehearsed = rehearse(found)
    print("\n".join([listing(found, executor.jobs), *rehearsed.failing, *executor.notes(found.to_do())]))
    for sentence in rehearsed.doubts:
        _say(f"har: {sentence}")
    return 0


def _run(plan: Plan, executor: Executor) -> int:
    """Make the runs that are missing and judge what there is."""
    from har.study.conduct import conduct, finished, survey
    from har.study.lock import study_lock
    from har.study.rehearsal import rehearse

    uncounted: list[Path] = []
    try:
        with termination_as_interrupt(), study_lock(plan.folder) as lock:
            found = survey(plan)
            rehearsed = rehearse(found)
            making = tuple(executor.notes(found.to_do()))
            plan = dataclasses.replace(found.plan, doubts=rehearsed.doubts, making=making)
            found = dataclasses.replace(found, plan=plan)
            _announce(found, executor.jobs, [*rehearsed.failing, *rehearsed.doubts, *making])
            plan, failures = conduct(found, executor=executor, stream=sys.stderr, locked=lock)
            try:
                uncounted = _judge(plan)
            finally:
                _name(failures, plan)
    except KeyboardInterrupt:
        done, total = finished(plan)
        what = "runs and trials" if plan.tuning else "runs"
        _say(f"har: interrupted; {done} of {total} {what} are done and kept, the same command goes on from there.")
        return 130
    _name_uncounted([folder for folder in uncounted if folder not in {run.folder for run, _ in failures}])
    return 1 if failures or uncounted or plan.awaiting else 0


def _name(failures: list[tuple[PlannedRun, str]], plan: Plan) -> None:
    """Say which runs failed and why; runs that failed for one reason are listed together."""
    if not failures:
        return
    from har.study.states import has_diverged

    reasons: dict[str, list[str]] = {}
    for run, error in failures:
        reasons.setdefault(error, []).append("/".join(run.label.split()))
    total = len(plan.work) + len(plan.awaiting)
    diverged = sum(has_diverged(run) for run, _ in failures)
    again = "the same command tries them again" if diverged < len(failures) else "they are not tried again"
    if diverged:
        again += f" ({diverged} diverged, as they would again: to make such a run again, delete its folder)"
    _say(f"har: {len(failures)} of {total} runs failed; {again}.")
    for error, labels in reasons.items():
        _say(f"  {', '.join(labels)}:\n    " + error.replace("\n", "\n    "))
    _say(f"  What their workers printed: {plan.folder / 'logs'}")


def _name_uncounted(folders: list[Path]) -> None:
    """Name finished runs whose results cannot be read; why they do not count is printed with the contrasts."""
    if folders:
        _say("har: these finished runs do not count; delete their folders and the same command makes them again:")
        for folder in folders:
            _say(f"  {folder}")


def _announce(found: Survey, jobs: int, warnings: list[str]) -> None:
    """Say what will be run on what, and what will not go well."""
    from har.study.conduct import additions, damages
    from har.study.progress import duration
    from har.study.record import form_change, of_data_set

    plan, left = found.plan, found.left
    repeats = f" x {plan.study.repeats} repeats" if plan.study.repeats > 1 else ""
    _say(
        f"{plan.study.name} on {plan.data_set}: {len(plan.study.variants)} variants x {len(plan.folds)} folds{repeats} "
        f"= {len(plan.study.variants) * len(plan.folds) * plan.study.repeats} runs in {plan.folder}"
    )
    if plan.tuning:
        tune = plan.tuning.tune
        _say(
            f"{tune.key} is tuned: {len(tune.grid)} values x {tune.inner_folds} inner folds for each variant and fold "
            f"= {len(plan.tuning.trials)} trials, then up to {len(plan.tuning.own)} runs at the values chosen."
        )
    if left:
        time = duration(found.left_s(jobs))
        _say(f"{found.total - left} done, {left} to run, {min(jobs, left)} at a time, about {time}.")
    else:
        _say("All of them have ended; there is nothing to run.")
    for sentence in [*of_data_set(plan), *form_change(plan), *damages(found), *additions(found), *warnings]:
        _say(f"har: {sentence}")


def _judge(plan: Plan) -> list[Path]:
    """Contrast and report the runs that are done; print variants, verdicts, caveats and the report's path.

    Returns:
        The folders of the runs that do not count, under one inference or all.
    """
    from har.evaluation.report import judged, write_pages
    from har.evaluation.steps_to_target import target_sentences
    from har.study.record import caveats

    material = judged(plan.folder)
    gathered, result = material.gathered, material.result
    report = write_pages(material)
    print(_variants(result))
    print()
    for contrast in result["contrasts"]:
        print(f"{'Primary: ' if contrast['primary'] else ''}{contrast['sentence']}")
    print()
    if "target" in result:
        print("\n".join([*target_sentences(result["target"]), ""]))
    for note in [*result["problems"], *caveats(plan)]:
        print(note)
    print(f"Report: {report}")
    counted = Counter(plan.folder / run.folder for run in gathered.runs)
    wanted = Counter(run.folder for run in plan.runs)  # two variants may share a run
    return [folder for folder, times in wanted.items() if counted[folder] < times * len(plan.study.inferences)]


def _variants(result: dict[str, Any]) -> str:
    """Return the table of variants, and one more of each kind that is reported apart."""
    from har.evaluation.arms import CHANGED, INDUCTIVE, KINDS, PERSONAL, TRANSDUCTIVE, kind_of
    from har.evaluation.numbers import Column, Table

    heads = ["SD over subjects", "pooled", "accuracy"]
    columns = [Column("variant"), Column(f"macro F1 ({result['policy']})", "score")]
    columns += [*(Column(head, "score") for head in heads), Column("runs", "count"), Column("s per run", "seconds")]
    keys = ("macro_f1", "macro_f1_sd", "macro_f1_pooled", "accuracy", "runs", "seconds")
    rows: dict[str, list[list[Any]]] = {kind: [] for kind in KINDS}
    for name, scores in result["variants"].items():
        rows[kind_of(name)].append([name, *(scores[key] for key in keys)])
    text = Table("variants", "Variants", columns, rows[INDUCTIVE]).markdown()
    heads_apart = {
        TRANSDUCTIVE: "Adapted to the test subject by its unlabelled windows (transductive)",
        PERSONAL: "Personalised with labels of the test subject",
        CHANGED: "With another device at use",
    }
    for kind, head in heads_apart.items():
        if rows[kind]:
            text += f"\n\n{head}:\n\n{Table(kind, head, columns, rows[kind]).markdown()}"
    return text


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
