"""Which statistics a trained run predicts with, by name. The names are those of the predictions files.

| name | statistics of every batch norm |
|---|---|
| `running` | the running averages that training left behind |
| `population` | exact ones of all training windows, in one pass |
| `population-layerwise` | the same, norm by norm: those in front are in the state of inference already |
| `population-balanced` | norm by norm too, each training subject counting the same whatever its number of windows |
| `last_batch` | of the last training batch that the weights have seen, as a momentum of 1 would keep |
| `cumulative` | plain averages over the batches of a pass, as ``momentum=None`` keeps |
| `target` | of all windows of the test subject, scored or not, without labels (AdaBN) |
| `target-shuffled` | of each batch of a stream of the test subject's windows in random order |
| `target-stream` | of each batch of the same stream in the order of time |

A name that begins with `target` may end with the weight of the target's statistics, such as `target-0.5` (1 when not
said); with `prior` and how many windows the training's statistics count as, N of Schneider et al. 2020 (arXiv
2006.16971, section 3), such as `target-stream-prior16`: a batch of n windows then weighs n/(N + n); or with `oftta`,
the weights by depth of arXiv 2310.18562: `target-stream-oftta`. They use data of the test subject and are therefore
transductive: no competitors of the others.

A device can be another one at use than in training. Such a name stands alone, for the running statistics, or behind a
target and a plus, such as `target+turned-30`:

| name | what the test windows are |
|---|---|
| `turned-30` | all sensors of a body site turned by 30 degrees, about an axis drawn for each subject and site |
| `turned-z180` | about the axis z of the device |
| `without-gyro_x`, `without-gyroscope` | a channel, or all channels of a sensor, at their mean over training |

`personal-20s` has running statistics, and a head fitted to what the test subject labelled: the first 20 s of each
activity (`har.training.personal`).
"""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass

from har.errors import UsageError, unknown

RUNNING = "running"
NAMES = (
    RUNNING,
    "population",
    "population-layerwise",
    "population-balanced",
    "last_batch",
    "cumulative",
    "target",
    "target-shuffled",
    "target-stream",
)
_EXAMPLES = ("turned-30", "turned-z180", "without-gyroscope", "personal-20s")  # of names with a value in them
_CHANGE = re.compile(r"(?:(target.*)\+)?(turned-[xyz]?(?:[1-9]|[1-9]\d|1[0-7]\d|180)|without-[\w.-]+)")
_PERSONAL = re.compile(r"personal-([1-9]\d*)s")
_ENDING = re.compile(r"-(oftta|0\.\d*[1-9]|prior[1-9]\d*)$")  # one spelling of each, since names are files


@dataclass(frozen=True)
class Inference:
    """One way to predict with trained weights.

    Attributes:
        name: Its full name, which is that of its predictions file.
        statistics: The entry of `NAMES` that it is.
        weight: Share of the target's statistics where it is fixed: 1 for all but targets; None for OFTTA's weights by
            depth.
        prior: Windows N that the training's statistics count as; the target's share is then n/(N + n). 0 leaves it to
            `weight`.
        change: What the device does to the windows, such as ``turned-30``; "" where they are as they were recorded.
        labelled_s: Labelled seconds of each of the test subject's activities that the head is fitted to; 0 for none.
    """

    name: str
    statistics: str
    weight: float | None = 1.0
    prior: int = 0
    change: str = ""
    labelled_s: int = 0


def parse(name: str) -> Inference:
    """Return the inference of a name.

    Raises:
        UsageError: When it is not known; names the nearest ones.
    """
    changed = _CHANGE.fullmatch(name)
    if changed:
        return dataclasses.replace(parse(changed[1] or RUNNING), name=name, change=changed[2])
    personal = _PERSONAL.fullmatch(name)
    if personal:
        return Inference(name, RUNNING, labelled_s=int(personal[1]))
    base: str = name
    weight: float | None = 1.0
    prior = 0
    ending = _ENDING.search(name)
    if ending and name.startswith("target"):
        base = name[: ending.start()]
        if ending[1].startswith("prior"):
            prior = int(ending[1].removeprefix("prior"))
        else:
            weight = None if ending[1] == "oftta" else float(ending[1])
    if base not in NAMES:
        endings = "a target's name may end with a weight between 0 and 1 such as -0.5, with -prior16, or with -oftta"
        raise unknown("inference", name, [*NAMES, *_EXAMPLES], endings)
    return Inference(name, base, weight, prior)


def check(names: list[str]) -> list[Inference]:
    """Return the inferences of a run.

    Raises:
        UsageError: When a name is not known or stands there twice, or `running` is missing.
    """
    found = [parse(name) for name in names]
    if len(set(names)) < len(names):
        raise UsageError(f"inferences {names} name one of them twice.", "Name each once.")
    if RUNNING not in names:
        raise UsageError(
            f"inferences {names} lack 'running', which every run has and scores.json is made of.", "Add it to the list."
        )
    return found
