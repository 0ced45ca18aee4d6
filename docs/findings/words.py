"""The sentences and tables of the findings. What they claim is chosen by the verdicts, never by who wrote the text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from docs.findings import tables
from docs.findings.found import Found, Results
from har.datasets.registry import get_card
from har.errors import UsageError
from har.evaluation.contrast import plural
from har.evaluation.numbers import Column, Table, number, with_minus
from har.evaluation.why import activity_sentences, sentences

TOPICS = (  # study, a, b, and what that asks
    ("bn-placement", "every", "input", "Batch normalisation after every convolution against one on the input"),
    ("bn-placement", "every", "first", "The same against one after the first convolution"),
    ("bn-placement", "every", "none", "The same against none at all"),
    ("bn-placement", "input", "none", "One on the input against none at all"),
    (
        "bn-statistics",
        "every@population",
        "every",
        "Exact statistics against running ones, a norm after every convolution",
    ),
    ("bn-statistics", "input@population", "input", "The same with one norm on the input"),
    (
        "bn-statistics",
        "every@target",
        "every",
        "Statistics of the new person's unlabelled windows against running ones",
    ),
    (
        "bn-statistics",
        "every@target-shuffled",
        "every@target-stream",
        "Such statistics batch by batch, from windows in random order against windows as they came",
    ),
    (
        "bn-statistics",
        "every@population",
        "input@population",
        "A norm after every convolution against one on the input, both with exact statistics",
    ),
    ("bn-statistics", "every@target", "input@target", "The same, both with statistics of the new person's windows"),
    ("norm-kind", "layer", "batch", "Layer normalisation against batch normalisation, each after every convolution"),
    ("norm-kind", "instance", "batch", "Instance normalisation against the same"),
    ("norm-kind", "group", "batch", "Group normalisation against the same"),
    ("small-batch", "bn-2", "bn-32", "Batch normalisation over pairs of windows against larger groups of them"),
    (
        "small-batch",
        "mabn-2",
        "bn-32",
        "Moving averages (MABN) over pairs against batch normalisation over larger groups",
    ),
    ("small-batch", "gn", "bn-32", "Group normalisation, which knows no batch, against such larger groups"),
    (
        "convergence",
        "every-own",
        "none-own",
        "A norm after every convolution against none, each at its own learning rate",
    ),
    (
        "recommended",
        "recommended",
        "one-norm",
        "In the residual network that does best here, a norm after every convolution against one after the first",
    ),
)
PROBED = "runs/probed"  # a finished run cannot be given probes, so these runs are made once more


def signed(value: float | None) -> str:
    """Return a difference of F1 in points, with its sign."""
    return with_minus(number(value, "points")) if value is not None else "n/a"


def interval(ends: Sequence[float] | None, kind: str = "points") -> str:
    """Return the ends of an interval; "no interval" where there is none."""
    if ends is None:
        return "no interval"
    return " to ".join(with_minus(number(end, kind)) for end in ends)


def listed(names: Iterable[str]) -> str:
    """Return names as words: a, b and c."""
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


def answer(results: Results) -> str:
    """Return whether too much batch normalisation hurts, by the verdicts on every data set against an early one."""
    found = results.of("bn-placement")
    words, verdicts = [], []
    for b, early in (("input", "one norm on the input"), ("first", "one behind the first convolution")):
        judged = [(one.data_set, one.contrast("every", b)["verdict"]) for one in found if one.has("every", b)]
        verdicts += [verdict for _, verdict in judged]
        of_verdict = {verdict: listed(name for name, own in judged if own == verdict) for _, verdict in judged}
        if judged:
            words.append(f"against {early}, {listed(f'{verdict} on {names}' for verdict, names in of_verdict.items())}")
    if "worse" in verdicts:
        lead = "Yes, it may."
    elif "better" in verdicts:
        lead = "We could not show that it does; where these studies can tell, it helps."
    elif set(verdicts) == {"equivalent"}:
        lead = "No: it makes no difference of a point."
    else:
        lead = "We could not show that it does, nor that it helps."
    return f"**{lead}** Batch normalisation after every convolution is, {'; and '.join(words)}."


def conclusions(results: Results) -> list[str]:
    """Return one sentence for each topic that some study has: what is judged how, on which data set."""
    said = []
    for study, a, b, asked in TOPICS:
        found = [one for one in results.of(study) if one.has(a, b)]
        if found:
            said.append(f"{asked} (`{a}` − `{b}`): {_by_verdict(found, a, b)}{_together(results, study, a, b)}.")
    return said + [sentence for one in results.of("convergence") for sentence in _soonest(one)]


def _soonest(found: Found) -> list[str]:
    """Return how soon a network with norms everywhere is as good as one without, where that was followed."""
    reference = {f"{100 * row['share']:g} %" for row in found.rows[tables.TARGETS]}
    return [
        f"Steps to {listed(reference)} of the best validation score of a network without norms, on {found.data_set}, "
        f"{row['sentence']}"
        for row in found.rows[tables.TARGET_CONTRASTS]
        if (row["a"], row["b"]) in {("every", "none"), ("every-own", "none-own")}
    ]


def _by_verdict(found: Sequence[Found], a: str, b: str) -> str:
    """Return the verdict of a contrast on each data set, those of one verdict together, with their numbers."""
    of_verdict: dict[str, list[str]] = {}
    for one in found:
        row = one.contrast(a, b)
        numbers = f"{one.data_set} ({signed(row['mean'])} points, {interval(row['interval'])})"
        of_verdict.setdefault(row["verdict"], []).append(numbers)
    return "; ".join(f"{verdict} on {listed(names)}" for verdict, names in of_verdict.items())


def _together(results: Results, study: str, a: str, b: str) -> str:
    """Return the verdict of a contrast over the data sets of a study, where there are enough of them."""
    for row in results.across(study):
        if (row["a"], row["b"]) == (a, b) and row["mean"] is not None:
            numbers = f"{signed(row['mean'])} points, {interval(row['interval'])}"
            return f"; over {len(row['data_sets'])} data sets together {row['verdict']} ({numbers})"
    return ""


def of_pair(found: Sequence[Found], a: str, b: str) -> list[str]:
    """Return the sentence of one contrast on each data set where it was judged."""
    return [f"{one.data_set}: {one.contrast(a, b)['sentence']}" for one in found if one.has(a, b)]


def contrast_sentences(found: Found) -> list[str]:
    """Return the sentence of every declared contrast, as `har.evaluation` made it."""
    return [row["sentence"] for row in found.contrasts]


def contrasts_table(found: Sequence[Found]) -> str:
    """Return the declared contrasts of one study on its data sets."""
    columns = [Column("data set"), Column("a"), Column("b"), Column("a − b, points"), Column("95 % interval")]
    columns += [Column("Holm p", "p"), Column("detectable, points", "size"), Column("S", "count"), Column("K", "count")]
    columns += [Column("verdict")]
    rows = []
    for one in found:
        for row in one.contrasts:
            size = [signed(row["mean"]), interval(row["interval"]), row["p_holm"], row["detectable"]]
            rows.append([one.data_set, row["a"], row["b"], *size, row["subjects"], row["repeats"], row["verdict"]])
    return _printed(columns, rows)


def variants_table(found: Sequence[Found]) -> str:
    """Return the scores of every variant with running statistics."""
    columns = [Column("data set"), Column("variant"), Column("macro F1 (present)", "score")]
    columns += [Column("SD over subjects", "score"), Column("pooled", "score"), Column("accuracy", "score")]
    columns += [Column("weights and biases", "count")]
    keys = ("macro_f1", "macro_f1_sd", "macro_f1_pooled", "accuracy", "parameters")
    rows = [[one.data_set, name, *(one.arm(name)[key] for key in keys)] for one in found for name in one.variants]
    return _printed(columns, rows)


def inferences_table(found: Found) -> str:
    """Return the macro F1 of every arm of a study that compares inferences: a row each, a column for each variant."""
    inferences = list(dict.fromkeys(row["inference"] for row in found.rows[tables.VARIANTS]))
    columns = [Column("statistics"), *(Column(name, "score") for name in found.variants)]
    score = {(row["variant"], row["inference"]): row["macro_f1"] for row in found.rows[tables.VARIANTS]}
    rows = [[name, *(score.get((variant, name)) for variant in found.variants)] for name in inferences]
    return _printed(columns, rows)


def studies_table(results: Results) -> str:
    """Return how every study was made."""
    columns = [
        Column("study"),
        Column("data set"),
        Column("subjects", "count"),
        Column("folds"),
        Column("repeats", "count"),
    ]
    columns += [Column("runs", "count"), Column("window, s", "value"), Column("steps", "count")]
    columns.append(Column("batch", "count"))
    rows = []
    for one in results.asked:
        info = one.info
        folds = f"{info['fold_count']} ({info['division']})"
        numbers = [info[key] for key in ("repeats", "runs", "window_s", "max_steps", "batch_size")]
        rows.append([one.name, one.data_set, info["subjects"], folds, *numbers])
    return _printed(columns, rows)


def data_sets(results: Results) -> list[str]:
    """Return what every data set is, by its card, and what of it was used."""
    said = {}
    for one in results.asked:
        info = one.info
        activities = len(info["activities"].split("; "))
        counts = f"{activities} activities, {info['subjects']} people, {number(info['rate_hz'], 'value')} Hz"
        said.setdefault(info["data_set"], f"{_title(info['data_set'])}: {counts}.")
    return list(said.values())


def _title(data_set: str) -> str:
    """Return the title of a data set's card, or its name where it has none."""
    try:
        return get_card(data_set).title
    except UsageError:
        return data_set.upper()


def subjects_sentence(found: Found, a: str, b: str) -> str:
    """Return for how many subjects one arm scores higher, the extremes, and how far repeats of one subject differ."""
    difference_SR, subjects = found.differences(a, b)
    difference_S = np.nanmean(difference_SR, axis=1)
    low, high = int(difference_S.argmin()), int(difference_S.argmax())
    text = (
        f"{found.data_set}: `{a}` scores higher than `{b}` for {int((difference_S > 0).sum())} of {len(subjects)}"
        f" subjects; the differences go from {signed(difference_S[low])} (subject {subjects[low]}) to"
        f" {signed(difference_S[high])} points (subject {subjects[high]})"
    )
    if difference_SR.shape[1] < 2:
        return text + "; one repeat, so how much of that is chance is not known."
    noise = float(np.sqrt(np.nanmean(np.nanvar(difference_SR, axis=1, ddof=1))))
    return text + f". Another seed alone moves the difference of one subject by {number(noise, 'size')} points (SD)."


def activity_words(found: Found) -> list[str]:
    """Return for which activities each contrast shows a difference."""
    return activity_sentences(found.why)


def has_associations(found: Found) -> bool:
    """Tell whether probes and differences could be held together: both are of the same runs."""
    return bool(found.rows[tables.ASSOCIATIONS])


def association_words(found: Found) -> list[str]:
    """Return what the differences of subjects go along with, by the rule of docs/statistics.md."""
    return sentences(found.why)


def target_words(found: Found) -> list[str]:
    """Return how the steps to the target compare, as `har.evaluation` says it."""
    return [row["sentence"] for row in found.rows[tables.TARGET_CONTRASTS]]


def target_table(found: Found) -> str:
    """Return how soon variants reach a study's target."""
    columns = [Column("variant"), Column("share reached", "score"), Column("steps, median", "count")]
    columns += [Column("steps, restricted mean", "mean"), Column("runs", "count")]
    keys = ("reached", "median_steps", "restricted_mean_steps", "runs")
    return _printed(columns, [[row["variant"], *(row[key] for key in keys)] for row in found.rows[tables.TARGETS]])


def commands(results: Results) -> list[str]:
    """Return the command of every study, and that of its probes where these were measured apart, in fewer repeats."""
    said = []
    for one in results.asked:
        info = one.info
        words = ["har study", info["file"], "--data", info["data_set"]]
        words += ["--short"] * (info["form"] == "short")
        words += ["--folds", "kfold", "--fold-count", str(info["fold_count"])] * (info["division"] == "kfold")
        measured = [*words, "--repeats", str(info["probed"]), "--probes"]
        if info["probed"] == info["repeats"]:
            said.append(" ".join(measured))
            continue
        said.append(" ".join([*words, "--repeats", str(info["repeats"])]))
        if info["probed"]:
            said.append(" ".join([*measured, "--runs", PROBED]))
    return said


def detectable_words(found: Sequence[Found]) -> list[str]:
    """Return what the design of each primary contrast could have shown."""
    said = []
    for one in found:
        row = next((row for row in one.contrasts if row["primary"]), None)
        if row is None or row["mean"] is None:
            continue
        pair = f"{one.data_set}, `{row['a']}` − `{row['b']}`, {row['subjects']} subject{plural(row['subjects'])}"
        if row["detectable"] is None:
            said.append(f"{pair}: this design cannot show any difference.")
        else:
            said.append(f"{pair}: {number(row['detectable'], 'size')} points.")
    return said


def _printed(columns: list[Column], rows: list[list[Any]]) -> str:
    """Return a table as Markdown."""
    return Table("", "", columns, rows).markdown()
