"""`har.load(RUN).predict(signal, rate_hz)`: the windows of preparation, and one clear word about what is wrong."""

import shutil
import subprocess
import sys
import zipfile

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.signal import resample_poly

import har
from har.deploy.networks import classifier_of
from har.deploy.signals import check_units
from har.errors import DataError, HarError, UsageError
from har.windows.segment import every_window, gather


@pytest.fixture(scope="module")
def recording(spar):
    """The longest recording of SPAR, m/s² and rad/s."""
    row = spar.recordings.iloc[(spar.recordings["stop"] - spar.recordings["start"]).argmax()]
    return np.array(spar.signal_TC[row["start"] : row["stop"]])


def probabilities(frame):
    return frame.filter(like="probability:").to_numpy()


def test_a_run_predicts_what_its_network_says_of_the_stores_windows(model, run, spar, recording):
    found = model.predict(recording, 50)
    index = every_window(spar, 2.0, 0.5)
    number = (spar.recordings["stop"] - spar.recordings["start"]).argmax()
    start_N = index.start[index.recording == number]
    with torch.inference_mode():
        x_NTC = torch.from_numpy(gather(spar.signal_TC, start_N, 100))
        expected_NK = torch.softmax(classifier_of(run)(x_NTC), 1).numpy()
    np.testing.assert_allclose(probabilities(found), expected_NK, atol=1e-6)
    assert found["activity"].tolist() == [spar.activities[k] for k in expected_NK.argmax(1)]
    np.testing.assert_allclose(found["start_s"], np.arange(len(start_N)) * 0.5)
    np.testing.assert_allclose(found["end_s"] - found["start_s"], 2.0)
    assert list(found.columns) == ["start_s", "end_s", "activity", *(f"probability:{name}" for name in spar.activities)]


def test_a_signal_at_another_rate_is_resampled_without_folding(model, recording):
    fine_TC = resample_poly(recording.astype(float), 2, 1, axis=0)
    fine_TC += 20 * np.sin(2 * np.pi * 40 * np.arange(len(fine_TC)) / 100)[:, None]  # would fold back to 10 Hz
    same, finer = (probabilities(model.predict(x_TC, rate)) for x_TC, rate in ((recording, 50), (fine_TC, 100)))
    inner = slice(2, min(len(same), len(finer)) - 2)  # the filter looks beyond the ends
    np.testing.assert_allclose(finer[inner], same[inner], atol=0.03)
    assert model.predict(fine_TC, 100, step_s=1.0)["start_s"].tolist()[:3] == [0.0, 1.0, 2.0]


def test_a_frame_is_taken_by_names_and_units_are_converted(model, recording):
    names = [channel.name for channel in model.facts.inputs]
    frame = pd.DataFrame(recording.astype(float), columns=names)[names[::-1]].assign(note="x")
    expected = model.predict(recording, 50)
    pd.testing.assert_frame_equal(model.predict(frame, 50), expected)
    frame[["acc_x", "acc_y", "acc_z"]] /= 9.80665
    frame[["gyro_x", "gyro_y", "gyro_z"]] *= 180 / np.pi
    found = model.predict(frame, 50, units={"accelerometer": "g", "gyroscope": "°/s"})
    np.testing.assert_allclose(probabilities(found), probabilities(expected), atol=1e-5)


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        (lambda x: x.T, {}, "its axes are exchanged"),
        (lambda x: x[:, :5], {}, r"the model is fed \(samples, 6\)"),
        (lambda x: x[0], {}, r"shape \(6,\)"),
        (lambda x: x[:60], {}, "the signal has 1.2 s, and a window of the model 2 s"),
        (lambda x: x[:0], {}, "the signal has 0 s"),
        (lambda x: x / 9.80665, {}, "looks like g and not m/s²"),
        (lambda x: x / 9.80665, {"streaming": True}, "looks like g and not m/s²"),
        (lambda x: np.where(np.arange(len(x))[:, None] == 7, np.nan, x), {}, "the first in row 7 of acc_x"),
        (lambda x: np.full(x.shape, "a"), {}, "no numbers"),
        (lambda x: x, {"rate_hz": 0}, "0 Hz is no rate"),
        (lambda x: x, {"rate_hz": "50"}, "'50' is no rate: it is no number"),
        (lambda x: x, {"rate_hz": None, "streaming": True}, "None is no rate: it is no number"),
        (lambda x: x, {"step_s": "1"}, "'1' is no step: it is no number"),
        (lambda x: x, {"rate_hz": 0.02}, "0.02 Hz are too few for a model of 50 Hz"),
        (lambda x: x, {"rate_hz": 6.24, "streaming": True}, "6.24 Hz are too few"),
        (lambda x: x, {"step_s": 0.501}, "whole number"),
        (lambda x: x, {"units": {"accelerometer": "rad/s"}}, "unit of accelerometer 'rad/s' is not known"),
        (lambda x: x, {"units": {"acelerometer": "g"}}, "Did you mean 'accelerometer'"),
        (lambda x: pd.DataFrame(x, columns=list("abcdef")), {}, "channel 'acc_x' is not known"),
    ],
)
def test_what_cannot_be_predicted_on_is_one_clear_error(model, recording, change, options, message):
    with pytest.raises(HarError, match=message) as error:
        model.predict(change(recording), **{"rate_hz": 50, **options})
    assert error.value.hint


@pytest.mark.parametrize("streaming", [False, True])
def test_a_rate_and_a_step_of_numpy_are_numbers(model, recording, streaming):
    found = model.predict(recording, np.float64(50), step_s=np.float32(0.5), streaming=streaming)
    pd.testing.assert_frame_equal(found, model.predict(recording, 50, step_s=0.5, streaming=streaming))


def test_degrees_per_second_are_noticed_and_a_stated_unit_is_not_doubted(model, recording):
    with pytest.raises(UsageError, match="gyroscope at wrist looks like °/s"):
        model.predict(np.hstack([recording[:, :3], np.full_like(recording[:, 3:], 60.0)]), 50)
    check_units(recording / 9.8, model.facts.inputs, {"accelerometer": "m/s²"})


def test_a_place_without_a_model_is_one_clear_error(tmp_path, run, caplog, capfd):
    with zipfile.ZipFile(tmp_path / "other.pt2", "w") as archive:
        archive.writestr("version", "0")
    (tmp_path / "broken.onnx").write_bytes(b"no model")
    (tmp_path / "broken.pt2").write_bytes(b"no model")
    (tmp_path / "empty").mkdir()
    kinds = {
        "broken.onnx": DataError,
        "broken.pt2": DataError,
        "other.pt2": DataError,
        "empty": UsageError,
        "x": UsageError,
        "x.onnx": UsageError,
    }
    for name, kind in kinds.items():
        with pytest.raises(kind) as error:
            har.load(tmp_path / name)
        assert error.value.hint
    assert (caplog.text, capfd.readouterr().err) == ("", "")  # torch logs a traceback of its own


def test_five_lines_of_python_load_no_trainer(run):
    code = (
        f"import sys, numpy, har\nmodel = har.load({str(run)!r})\n"
        "model.predict(numpy.full((200, 6), 9.0), rate_hz=50)\nprint(model)\n"
        "print(*[name for name in ('pytorch_lightning', 'jsonargparse', 'sklearn') if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    said, loaded = result.stdout.splitlines()
    assert loaded == ""
    assert "windows of 2 s at 50 Hz of acc_x (m/s²), acc_y (m/s²)" in said


@pytest.mark.parametrize(
    ("file", "content"), [("run.json", '{"status": "done"}'), ("config.yaml", "data: 0"), ("config.yaml", "{}")]
)
def test_a_run_whose_record_lacks_something_is_refused(run, tmp_path, file, content):
    shutil.copytree(run, tmp_path / "run")
    (tmp_path / "run" / file).write_text(content)
    with pytest.raises(DataError, match="lacks what a finished run's has"):
        har.load(tmp_path / "run")
