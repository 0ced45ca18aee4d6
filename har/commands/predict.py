"""`har predict`: the activity of every window of a prepared data set, labelled or not."""

from __future__ import annotations

from pathlib import Path

from har.commands.settings import MACHINE, WINDOWS, open_trained, split, trained_parser
from har.errors import UsageError

_EXAMPLES = """\
har predict runs/spar-cnn/spar/every/subject-1/seed-0 --out activities.csv
har predict runs/spar-cnn/spar/every/subject-1/seed-0 --data.name my-people --out activities.parquet"""
_SETTINGS = (*WINDOWS, *MACHINE)


def main(args: list[str]) -> int:
    """Write one row per window: subject, trial, start_s, end_s, activity, probability."""
    parser = trained_parser(
        "predict", "The activity of every window of a prepared data set, labelled or not.", _EXAMPLES, _SETTINGS
    )
    parser.add_argument("--out", required=True, help="a .csv or .parquet file")
    options, settings = split(parser, args)
    path = Path(options.out)
    if path.suffix not in (".csv", ".parquet"):
        raise UsageError(f"--out {path} is neither .csv nor .parquet.", "Its ending chooses the format.")
    from har.files import replacing
    from har.training.inference import activities_frame
    from har.windows.prepare import open_store
    from har.windows.segment import every_window

    trained = open_trained(options, settings)
    data = trained.data
    store = open_store(data.data_set, data.root)
    index = every_window(store, data.spec.window_s, data.spec.step_s)
    frame = activities_frame(store, index, trained.probabilities(store, index), trained.recipe["activities"])
    with replacing(path) as temporary:
        if path.suffix == ".csv":
            frame.to_csv(temporary, index=False, float_format="%.6g")
        else:
            frame.to_parquet(temporary, index=False)
    print(f"{len(frame)} windows of {store.recordings['subject'].nunique()} subjects: {path}")
    return 0
