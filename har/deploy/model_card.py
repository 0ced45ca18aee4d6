"""The model card: what an exported model is, what it can do, for whom that was measured, and what it cannot do."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from har.deploy.facts import CHECKPOINT, Facts
from har.deploy.windows import Windows
from har.errors import HarError
from har.evaluation.gathering import read_json
from har.evaluation.measures import f1
from har.evaluation.numbers import Column, Table, number, with_minus
from har.evaluation.origin import takes_last_step
from har.evaluation.resampling import activity_intervals
from har.evaluation.scorecard import activities_table
from har.training.stored import read_config

_FORMS = {"best.ckpt": "checkpoint, torch eager", "model.pt2": "torch.export", "model.onnx": "ONNX"}


def model_card(
    run: Path,
    facts: Facts,
    record: dict[str, Any],
    config: dict[str, Any],
    scores: dict[str, Any],
    content: dict[str, Any],
    test: Windows,
) -> str:
    """Return the card as Markdown.

    Args:
        run: The run's folder.
        facts: Of the model.
        record: The run's ``run.json``.
        config: Its configuration.
        scores: Its ``scores.json``.
        content: The content of ``deploy.json``.
        test: The test subjects' windows.
    """
    sections = {
        f"Activities from sensors: {facts.data_set}": _summary(facts, content),
        "What it is fed": _fed(facts),
        "Data and subjects": _data(facts, test),
        "Protocol": _protocol(facts, config, record, test.store.activities),
        "Scores": _scores(run, facts, config, scores),
        "Cost of use": _cost(content),
        "Intended use": _use(facts),
        "Limits": _limits(facts, test.store.cautions),
        "Where it comes from": _origin(facts, content),
    }
    first, *others = sections.items()
    parts = [f"# {first[0]}\n\n{first[1]}", *(f"## {title}\n\n{text}" for title, text in others)]
    return "\n\n".join(parts) + "\n"


def _summary(facts: Facts, content: dict[str, Any]) -> str:
    parity, learner = content["parity"], facts.model["learner"]["class"]
    norm, largest = facts.model["norm"], parity["largest_difference"]
    left = f", where that can be done. {' '.join(content['folding'])}" if content["folding"] else "."
    return (
        f"A {learner} with norm `{norm['kind']}`, placement `{norm['placement']}`, that tells {len(facts.activities)} "
        f"activities apart: {', '.join(facts.activities)}. Input scaling ({facts.model['scaling']}) and softmax are "
        f"part of its graph, norms are folded into their neighbours{left}\n\n"
        f"On the {parity['test_windows']} windows of the test subjects, probabilities differ from the checkpoint's by "
        f"at most {largest['model.onnx']:.1e} (`model.onnx`) and {largest['model.pt2']:.1e} (`model.pt2`); "
        f"{parity['limit']:g} would have been refused."
    )


def _fed(facts: Facts) -> str:
    columns = [Column(name) for name in ("channel", "unit", "sensor", "body site", "axis")]
    rows = [[c.name, c.unit, c.sensor, c.site, c.axis] for c in facts.channels.made]
    filters = [
        ", ".join(f"{key} {value}" for key, value in each.items()) for each in facts.preparation.get("filters", [])
    ]
    made = [c.name for c in facts.channels.made if c not in facts.inputs]
    lines = [
        f"Windows of {facts.window_s:g} s: {facts.samples} samples at {facts.rate_hz:g} Hz, float32, (windows, "
        "samples, channels), channels in this order:",
        Table("channels", "", columns, rows).markdown(),
        f"Computed from the others by the recipe: {', '.join(made)}." if made else "No channel is computed.",
        f"Filters in preparation: {'; '.join(filters)}." if filters else "No filter in preparation.",
        "`har.load(…).predict(signal, rate_hz)` and `har stream` resample, filter and compute by themselves.",
    ]
    return "\n\n".join(lines)


def _data(facts: Facts, test: Windows) -> str:
    manifest = test.store.manifest
    licence, citation, homepage = _card_texts(str(manifest.get("card", facts.data_set)))
    fold = facts.fold
    groups = (("Trained on", "train"), ("step chosen on", "validation"), ("tested on", "test"))
    subjects = "; ".join(f"{said} {len(fold[key])} ({', '.join(fold[key])})" for said, key in groups)
    return (
        f"Data set {facts.data_set}: {manifest['counts']['recordings']} recordings of {len(test.store.subjects)} "
        f"subjects. {subjects}. No subject is in two groups.\n\nLicence of the data: {licence}\n\n{citation}{homepage}"
    )


def _card_texts(name: str) -> tuple[str, str, str]:
    """Return licence, citation and homepage of a built-in card, or that they are not known."""
    from har.datasets.registry import card_names, get_card

    if name not in card_names():
        return f"not known here: {name} is no built-in data set. Ask whoever recorded it.", "", ""
    card = get_card(name)
    return (
        card.licence or "not stated by its card.",
        card.citation or "",
        f"\n\n{card.homepage}" if card.homepage else "",
    )


def _protocol(facts: Facts, config: dict[str, Any], record: dict[str, Any], of_store: Sequence[str]) -> str:
    settings = config["data"]
    chosen = ""
    if "best_validation_macro_f1" in record:
        chosen = f" {_chosen(config['trainer'], record)} ({record['best_validation_macro_f1']:.3f})."
    others = [activity for activity in of_store if activity not in facts.activities]
    left_out = f" Windows of {', '.join(others)} are in neither training nor scores." if others else ""
    return (
        f"Fold {facts.fold['name']}; windows of {settings['window_s']:g} s every {settings['step_s']:g} s, label rule "
        f"{settings['label_rule']}, least purity {settings['min_purity']:g}, null activity: {settings['null']}."
        f"{left_out}{chosen} The test subjects were predicted once, afterwards."
    )


def _chosen(trainer: dict[str, Any], record: dict[str, Any]) -> str:
    """Return what the validation subjects decided, up to their score."""
    if record.get("at_once"):
        return "The head's setting is the one with the best macro F1 on the validation subjects"
    of_step = f"The weights are those of step {record['best_step']}"
    if takes_last_step(trainer):
        return f"{of_step}, the last: nothing was chosen by the macro F1 on the validation subjects"
    return f"{of_step}, with the best macro F1 on the validation subjects"


def _scores(run: Path, facts: Facts, config: dict[str, Any], scores: dict[str, Any]) -> str:
    parts = [
        f"Of this model on its test subjects, macro F1 ({scores['policy']}) {_or_none(scores['macro_f1'])}:",
        activities_table(scores["per_activity"]).markdown(),
    ]
    confusions = _all_folds(run, facts, config)
    if len(scores["subjects"]) < 2:
        parts.append("One test subject: there is no interval over subjects.")
    if len(confusions) > max(len(scores["subjects"]), 1):
        parts += [
            "Of runs with the same settings on the folds beside this one, each tested on subjects that it has not seen:"
            f" {len(confusions)} subjects together, with 95 % intervals over subjects (too short with ten and fewer):",
            _folds_table(facts, confusions).markdown(),
        ]
    return "\n\n".join(parts)


def _all_folds(run: Path, facts: Facts, config: dict[str, Any]) -> list[np.ndarray]:
    """Return one confusion a subject of the runs with the same settings and repeat on all folds, this one included."""
    found: dict[str, np.ndarray] = {}
    run = run.resolve()
    if run.parent.name != facts.fold["name"]:
        return []
    for path in sorted(run.parents[1].glob(f"*/{run.name}/scores.json")):
        try:
            scores, own = read_json(path), read_config(path.parent)
        except HarError:
            continue
        if scores["activities"] == facts.activities and _without_fold(own) == _without_fold(config):
            found |= {subject: np.array(each["confusion"]) for subject, each in scores["subjects"].items()}
    return list(found.values())


def _without_fold(config: dict[str, Any]) -> dict[str, Any]:
    """Return the settings that the runs of a variant share: without the fold, its seed and where the data lie."""
    data = {key: value for key, value in config["data"].items() if key not in ("fold", "root")}
    return {**config, "data": data, "seed_everything": None}


def _folds_table(facts: Facts, confusions: list[np.ndarray]) -> Table:
    """Return F1 of each activity over subjects of several folds."""
    pooled_KK = np.sum(confusions, axis=0)
    intervals, value_K = activity_intervals(confusions)["f1"], f1(pooled_KK)
    columns = [Column("activity"), Column("F1", "score"), Column("95 % from", "score"), Column("to", "score")]
    columns.append(Column("support, windows", "count"))
    rows: list[list[Any]] = []
    for k, name in enumerate(facts.activities):
        value = None if np.isnan(value_K[k]) else float(value_K[k])
        rows.append([name, value, *(intervals[k] or (None, None)), int(pooled_KK[k].sum())])
    return Table("folds", "F1 over folds", columns, rows)


def _cost(content: dict[str, Any]) -> str:
    columns = [Column("form"), Column("kB", "seconds"), Column("one window, ms"), Column("90th percentile, ms")]
    columns += [Column("in a batch of 64, ms per window"), Column("macro F1", "score")]
    rows: list[list[Any]] = []
    for name, cost in content["cost"].items():
        times = [f"{cost[key]:.3f}" for key in ("single_ms", "single_ms_p90", "batch_ms_per_window")]
        form = _FORMS.get(name, f"ONNX, 8 bits ({content['int8'].get('method')})")
        rows.append([form, cost["bytes"] / 1000, *times, content["macro_f1"][name]])
    int8 = content["int8"]
    if "why" in int8:
        said = f"There is no file in 8 bits: {int8['why']}."
    else:
        change = with_minus(number(-int8["macro_f1_loss"], "points"))
        said = f"8 bits change macro F1 on the test windows by {change} points."
    return (
        f"{content['multiply_adds']:,} multiply-adds a window, {content['parameters']:,} parameters; a feature sees "
        f"{content['receptive_field_s']:g} s. Wall time of one thread on {content['machine']}, measured in turn.\n\n"
        f"{Table('cost', '', columns, rows).markdown()}\n\n{said} {CHECKPOINT.name} also holds the optimiser."
    )


def _use(facts: Facts) -> str:
    sites = ", ".join(dict.fromkeys(channel.site for channel in facts.inputs))
    return (
        "Telling these activities apart in recordings or live streams of the same sensors at the same body site "
        f"({sites}), worn as in the data set, for research and prototypes. Not for decisions about a person's health, "
        "safety, work or insurance: it was not made or tested for them."
    )


def _limits(facts: Facts, cautions: list[str]) -> str:
    return "\n".join(
        [
            *(f"- {caution}" for caution in cautions),
            "- It always names one of its activities, also for movements that none of them is.",
            "- Its probabilities are those of a softmax: see the calibration error in the run's `scores.json`.",
            f"- It has seen {len(facts.fold['train'])} people; the scores above are what to expect of others, in the "
            "data set's own setting.",
            "- Another placement or orientation of the sensor, or another device, is outside of what was measured.",
        ]
    )


def _origin(facts: Facts, content: dict[str, Any]) -> str:
    hashes = "\n".join(f"- {name}: `{digest}`" for name, digest in facts.hashes.items())
    versions = ", ".join(f"{name} {version}" for name, version in content["versions"].items())
    return f"Commit: {facts.commit or 'not known'}. Exported with {versions}.\n\nSHA-256:\n\n{hashes}"


def _or_none(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.3f}"
