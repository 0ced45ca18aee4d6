"""A small synthetic study folder in the layout that `har study` leaves behind, with planted effects.

Imports nothing from the project, so that the layout is written down twice and a drift of either side is seen.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

WINDOW_S, STEP_S = 4.0, 2.0


@dataclass
class FakeStudy:
    """What to plant.

    Attributes:
        hit: Variant to the probability that a window is predicted rightly.
        contrasts: Pairs (a, b); the first is primary.
        subjects: Number of subjects S.
        repeats: Number of repeats.
        activities: Activity names.
        windows: Windows per activity and subject.
        wobble: SD over subjects of the hit probability (per variant and subject).
        absent: Subject to activities that it does not perform.
        inferences: Other inferences than running, to what they add to the hit probability.
        shared_seeds: Whether a repeat has the same seed in every fold.
        data_set: Name of the data set.
        train_subjects: Numbers of training subjects that every fold is had with; the fewer, the worse the predictions.
    """

    hit: dict[str, float] = field(default_factory=lambda: {"none": 0.6, "input": 0.6, "every": 0.9})
    contrasts: list[tuple[str, str]] = field(default_factory=lambda: [("every", "input"), ("input", "none")])
    subjects: int = 8
    repeats: int = 1
    activities: list[str] = field(default_factory=lambda: ["walk", "sit", "stairs"])
    windows: int = 12
    wobble: float = 0.02
    absent: dict[str, list[str]] = field(default_factory=dict)
    inferences: dict[str, float] = field(default_factory=dict)
    shared_seeds: bool = False
    name: str = "placement"
    question: str = "Does batch normalisation after every convolution beat one at the input?"
    notes: list[str] = field(default_factory=lambda: ["One repeat and a matched learning rate were used."])
    seed: int = 0
    data_set: str = "fake"
    train_subjects: list[int] = field(default_factory=list)


def write_study(folder: Path, plan: FakeStudy | None = None) -> Path:
    """Write the study and return its folder."""
    plan = plan or FakeStudy()
    names = [str(number + 1) for number in range(plan.subjects)]
    folds = [_fold(name, names) for name in names]
    if plan.train_subjects:
        folds = [_fewer(fold, number) for number in plan.train_subjects for fold in folds]
    runs = [
        {
            "variant": variant,
            "fold": fold["name"],
            "repeat": repeat,
            "folder": f"v{number}/{fold['name']}/repeat-{repeat}",
        }
        for number, variant in enumerate(plan.hit)
        for fold in folds
        for repeat in range(plan.repeats)
    ]
    study = {
        "name": plan.name,
        "question": plan.question,
        "data_set": plan.data_set,
        "base": "configs/experiments/fake-cnn.yaml",
        "file": "configs/studies/fake.yaml",
        "variants": {variant: {"model.norm.placement": variant} for variant in plan.hit},
        "contrasts": [{"a": a, "b": b, "primary": number == 0} for number, (a, b) in enumerate(plan.contrasts)],
        **({"inferences": ["running", *plan.inferences]} if plan.inferences else {}),
        "repeats": plan.repeats,
        "seed": plan.seed,
        "folds": folds,
        "protocol": {
            "folds": "loso",
            "validation_subjects": 1,
            **({"train_subjects": plan.train_subjects} if plan.train_subjects else {}),
            "window_s": WINDOW_S,
            "step_s": STEP_S,
            "label_rule": "majority",
            "min_purity": 0.0,
            "null": "drop",
            "activities": None,
            "learner": {"class_path": "har.learners.cnn.CNN", "init_args": {"filters": [64, 32], "kernel": 5}},
            "batch_size": 64,
            "max_steps": 400,
            "learning_rate": 0.001,
        },
        "runs": runs,
        "notes": plan.notes,
        "command": "har study configs/studies/fake.yaml",
    }
    _json(folder / "study.json", study)
    _json(folder / "folds.json", folds)
    for run in runs:
        fold = next(fold for fold in folds if fold["name"] == run["fold"])
        write_run(folder / run["folder"], plan, run["variant"], fold, run["repeat"])
    return folder


def write_run(folder: Path, plan: FakeStudy, variant: str, fold: dict, repeat: int) -> None:
    """Write one finished run."""
    subject = fold["test"][0]
    hit, seed = _hit(plan, variant, subject, repeat)
    if plan.train_subjects:
        hit, seed = hit - 0.05 * (max(plan.train_subjects) - len(fold["train"])), [*seed, len(fold["train"])]
    (folder / "predictions").mkdir(parents=True, exist_ok=True)
    for name, more in plan.inferences.items():
        _, frame = subject_files(plan, subject, min(hit + more, 1.0), seed)
        frame.to_parquet(folder / "predictions" / f"{name}.parquet", index=False)
    truth, frame = subject_files(plan, subject, hit, seed)
    frame.to_parquet(folder / "predictions" / "running.parquet", index=False)
    truth.to_parquet(folder / "truth.parquet", index=False)
    generator = np.random.default_rng([plan.seed, repeat, int(subject), len(variant)])
    curve = [
        {
            "step": step,
            "epoch": step // 100,
            "train_loss": 2.0 / (1 + step / 50) + float(generator.normal(0, 0.02)),
            "validation_loss": 2.2 / (1 + step / 60),
            "validation_macro_f1": plan.hit[variant] * (1 - 0.5 ** (step / 50)) + float(generator.normal(0, 0.01)),
            "learning_rate": 0.001,
            "seconds": step * 0.02,
        }
        for step in range(50, 401, 50)
    ]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in curve))
    (folder / "config.yaml").write_text("name: fake\n")
    _json(folder / "fold.json", fold)
    _json(
        folder / "run.json",
        {
            "status": "done",
            "error": None,
            "command": "har fit --config config.yaml",
            "data_set": plan.data_set,
            "variant": variant,
            "fold": fold,
            "seed": repeat if plan.shared_seeds else 1000 * int(subject) + repeat,
            "hashes": {"config": f"c{len(variant)}" * 8, "data": "d0" * 32, "split": "5" * 64},
            "activities": plan.activities,
            "window_s": WINDOW_S,
            "step_s": STEP_S,
            "label_rule": "majority",
            "null": None,
            "rate_hz": 50.0,
            "parameters": 40000 + 10 * len(variant),
            "best_step": 300,
            "best_validation_macro_f1": 0.8,
            "train_windows": 700,
            "validation_windows": 80,
            "test_windows": len(frame),
            "classes_missing": {"validation": [], "test": plan.absent.get(subject, [])},
            "versions": {"python": "3.11.7", "torch": "2.9.0", "numpy": "2.4.0"},
            "commit": "0123456789abcdef",
            "threads": 1,
            "machine": "x86_64, 2 cores",
            "started": "2026-01-01T00:00:00+00:00",
            "finished": "2026-01-01T00:00:09+00:00",
            "seconds": 9.0,
            "peak_memory_mib": 500.0,
        },
    )


def subject_files(plan: FakeStudy, subject: str, hit: float, seed: list[int]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the truth and the predictions of one subject: a recording per activity, windows back to back."""
    generator = np.random.default_rng(seed)
    activities = [name for name in plan.activities if name not in plan.absent.get(subject, [])]
    truth, rows = [], []
    for number, activity in enumerate(activities):
        recording = 100 * int(subject) + number
        end_s = WINDOW_S + STEP_S * (plan.windows - 1)
        truth.append((recording, subject, 0.0, end_s, activity))
        truth.append((recording, subject, end_s, end_s + 1.5, None))
        for index in range(plan.windows):
            right = generator.random() < hit
            others = [name for name in plan.activities if name != activity] or [activity]
            prediction = activity if right else str(generator.choice(others))
            rows.append((recording, index * STEP_S, index * STEP_S + WINDOW_S, subject, activity, prediction))
    frame = pd.DataFrame(rows, columns=["recording", "start_s", "end_s", "subject", "truth", "prediction"])
    frame["recording"] = frame["recording"].astype(np.int32)
    rest = 0.4 / max(len(plan.activities) - 1, 1)
    for name in plan.activities:
        likely = 0.6 if len(plan.activities) > 1 else 1.0
        frame[f"probability:{name}"] = np.where(frame["prediction"] == name, likely, rest).astype(np.float32)
    table = pd.DataFrame(truth, columns=["recording", "subject", "start_s", "end_s", "activity"])
    table["recording"] = table["recording"].astype(np.int32)
    return table, frame


def _hit(plan: FakeStudy, variant: str, subject: str, repeat: int) -> tuple[float, list[int]]:
    """Return the hit probability and the seed of one run's predictions."""
    position = list(plan.hit).index(variant)
    wobble = np.random.default_rng([plan.seed, position, int(subject)]).normal(0, plan.wobble)
    return float(np.clip(plan.hit[variant] + wobble, 0, 1)), [plan.seed, position, int(subject), repeat]


def _fold(name: str, names: list[str]) -> dict:
    position = names.index(name)
    validation = names[(position + 1) % len(names)]
    train = [other for other in names if other not in (name, validation)]
    return {"name": f"subject-{name}", "train": train, "validation": [validation], "test": [name]}


def _fewer(fold: dict, number: int) -> dict:
    return {**fold, "name": f"{fold['name']}_train-{number}", "train": fold["train"][:number]}


def _json(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=1))
