"""`har stream`: samples in as lines, an activity out as soon as a window is complete."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from har.commands.interrupt import termination_as_interrupt
from har.commands.parser import CommandParser
from har.errors import UsageError

if TYPE_CHECKING:
    from har.deploy.lines import SampleLines
    from har.deploy.stream import ActivityStream, Step

_EXAMPLES = """
sensor-program | har stream wrist-model/model.onnx --rate-hz 50
har stream wrist-model/model.onnx --rate-hz 50 --from samples.csv --json
har stream wrist-model/model.onnx --rate-hz 100 --listen 9000 --smooth majority --last 5
har stream runs/spar-cnn/spar/every/subject-1/seed-0 --rate-hz 50 --units accelerometer=g

lines: CSV with a header, or JSON objects, with the model's channels and time_s or time_ms (none: evenly spaced).
A line that cannot be read is skipped and counted; 100 in a row are an error."""


def main(args: list[str]) -> int:
    """Decide until the samples end; say at the end what was left out."""
    options = _parser().parse_args(args)
    if options.rate_hz is None:
        raise UsageError("the rate of the samples is not given.", "Give it in samples per second: --rate-hz 50.")
    if options.listen is not None and options.file is not None:
        raise UsageError("--from and --listen are two sources.", "Give one of them, or none for standard input.")
    from har.deploy.latency import one_torch_thread
    from har.deploy.lines import SampleLines
    from har.deploy.model import load
    from har.deploy.smoothing import Smoothing
    from har.deploy.stream import ActivityStream

    model = load(options.model)
    stream = ActivityStream(
        model,
        options.rate_hz,
        step_s=options.step_s,
        smoothing=Smoothing(options.smooth, options.last),
        units=_units(options.units),
    )
    lines = SampleLines(model.facts.inputs)
    with one_torch_thread(), termination_as_interrupt():
        return _decide(stream, lines, _chunks(options), as_json=options.json)


def _parser() -> CommandParser:
    """Return the parser of the command line."""
    parser = CommandParser("stream", "Sensor samples in, activities out, as they come.", _EXAMPLES)
    parser.add_argument("model", type=Path, metavar="MODEL", help="an .onnx or .pt2 file, or the folder of a run")
    parser.add_argument("--rate-hz", type=float, metavar="HZ", help="nominal rate of the samples (needed)")
    parser.add_argument("--from", dest="file", type=Path, metavar="FILE", help="a file or pipe (default: stdin)")
    parser.add_argument("--listen", metavar="[HOST:]PORT", help="one TCP connection; without HOST from here alone")
    parser.add_argument("--step-s", type=float, metavar="S", help="seconds between windows (default: the training's)")
    parser.add_argument("--smooth", default="none", metavar="HOW", help="none, mean or majority of the last decisions")
    parser.add_argument("--last", type=int, default=5, metavar="N", help="how many decisions are smoothed (default 5)")
    parser.add_argument(
        "--units", action="append", default=[], metavar="SENSOR=UNIT", help="where not SI, such as accelerometer=g"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object a decision, with all probabilities")
    return parser


def _units(pairs: list[str]) -> dict[str, str]:
    """Return unit by sensor."""
    for pair in pairs:
        if "=" not in pair:
            raise UsageError(f"--units {pair} names no unit.", "Write it as accelerometer=g.")
    return dict(pair.split("=", 1) for pair in pairs)


def _chunks(options: Any) -> Iterator[bytes]:
    """Return the bytes of the source that the options name."""
    from har.deploy import sources

    if options.listen is not None:
        return sources.connection(sources.address_of(options.listen), _tell)
    return sources.standard_input() if options.file is None else sources.file(options.file)


def _decide(stream: ActivityStream, lines: SampleLines, chunks: Iterator[bytes], *, as_json: bool) -> int:
    """Push what comes into the stream, print its decisions, and in the end what was left out."""
    facts = stream.model.facts
    _tell(
        f"{len(facts.activities)} activities, windows of {facts.window_s:g} s; {stream.rate_hz:g} Hz to "
        f"{facts.rate_hz:g} Hz, which delays a decision by {stream.delay_s:.3g} s"
    )
    samples = decisions = 0
    timed: bool | None = None
    try:
        for data in chunks:
            arrived = time.perf_counter()
            signal_TC, time_s = lines.push(data)
            if timed is None and (timed := lines.is_timed) is False:
                _tell(f"no time_s or time_ms: the samples are taken as evenly spaced, {stream.rate_hz:g} a second")
            samples += len(signal_TC)
            decisions += _print(stream.push(signal_TC, time_s, arrived), facts.activities, as_json=as_json)
        signal_TC, time_s = lines.end()
        samples += len(signal_TC)
        decided = [*stream.push(signal_TC, time_s), *stream.end()]
        decisions += _print(decided, facts.activities, as_json=as_json)
    finally:
        left_out = [f"{count} {reason.replace('_', ' ')}" for reason, count in stream.counts.items() if count]
        bad = f"; {lines.bad} line(s) skipped ({lines.first_bad})" if lines.bad else ""
        said = f" ({', '.join(left_out)})" if left_out else ""
        _tell(f"{samples} samples{said}, {decisions} decisions{bad}")
    if not decisions:
        _tell(
            f"no window was complete: {samples} samples came, and one of {facts.window_s:g} s needs {stream.needed} of "
            f"them at {stream.rate_hz:g} Hz, without a gap"
        )
    return 0


def _print(steps: list[Step], activities: list[str], *, as_json: bool) -> int:
    """Print decisions; return how many there were."""
    for step in steps:
        if as_json:
            probabilities = dict(zip(activities, step.probability_K.tolist(), strict=True))
            value = {
                "start_s": round(step.start_s, 6),
                "end_s": round(step.end_s, 6),
                "activity": step.activity,
                "probability": step.probability,
                "probabilities": probabilities,
                "latency_ms": round(step.latency_ms, 3),
            }
            print(json.dumps(value, ensure_ascii=False))
        else:
            width = max(map(len, activities))
            print(f"{step.end_s:12.2f} s  {step.activity:{width}}  {step.probability:.3f}  {step.latency_ms:.1f} ms")
    if steps:
        sys.stdout.flush()
    return len(steps)


def _tell(sentence: str) -> None:
    """Say something about the stream, beside its decisions."""
    print(f"har stream: {sentence}", file=sys.stderr, flush=True)
