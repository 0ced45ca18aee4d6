"""The page of `har serve` in a real browser, with real recordings played as a phone's motion events."""

import numpy as np
import pytest

from tests.browser import opener
from tests.deploy.serving import rows_of, serving

# What a phone's browser does fifty times a second, done forty times as fast, with the times of the recording.
PLAY = """
    async (rows) => {
        for (const [i, [ms, x, y, z, alpha, beta, gamma]] of rows.entries()) {
            const event = new DeviceMotionEvent("devicemotion", {
                accelerationIncludingGravity: { x, y, z }, rotationRate: { alpha, beta, gamma }, interval: 20,
            });
            Object.defineProperty(event, "timeStamp", { value: 1000 + ms });
            window.dispatchEvent(event);
            if (i % 40 === 39) await new Promise((resolve) => setTimeout(resolve, 20));
        }
    }
"""
IPHONE = """
    Object.defineProperty(navigator, "vendor", { value: "Apple Computer, Inc." });
    DeviceMotionEvent.requestPermission = async () => { window.asked = true; return "%s"; };
"""
# A connection that is slow to open: until the test calls `connect`.
SLOW = """
    const open = Object.getOwnPropertyDescriptor(WebSocket.prototype, "onopen").set;
    Object.defineProperty(WebSocket.prototype, "onopen", {
        set(told) { open.call(this, () => { window.connect = told; }); },
    });
"""
INSECURE = "Object.defineProperty(window, 'isSecureContext', { value: false });"


@pytest.fixture(scope="module")
def recording(spar):
    """Half a minute in which three recordings of different subjects follow one another."""
    starts = spar.recordings.groupby("subject")["start"].first().tolist()
    return np.concatenate([np.array(spar.signal_TC[start : start + 450]) for start in starts[:3]])


@pytest.fixture
def show(chrome, model):
    """Open the page; nothing may be said on its console or asked of another place."""
    with serving(model) as (_, host), opener(chrome) as opened:
        yield lambda script="", scheme="light": opened(
            f"http://{host}/", script, viewport={"width": 390, "height": 800}, color_scheme=scheme
        )


def shown(page, windows):
    """The decisions on the strip, once there are so many."""
    page.wait_for_function("(n) => document.querySelectorAll('#strip li').length >= n", arg=windows)
    return page.evaluate(
        "[...document.querySelectorAll('#strip li')].map((c) => [c.dataset.activity, +c.dataset.probability])"
    )


@pytest.mark.parametrize(("is_iphone", "scheme"), [(False, "light"), (True, "dark")])
def test_played_recordings_show_the_activities_of_the_stream(show, model, recording, is_iphone, scheme):
    expected = model.predict(recording, 50, streaming=True)
    rows = rows_of(recording, 50)
    if is_iphone:  # it gives accelerations the other way round, and asks first
        rows = [[ms, -x, -y, -z, *rotation] for ms, x, y, z, *rotation in rows]
    page = show(IPHONE % "granted" if is_iphone else "", scheme)
    page.click("#start")
    page.wait_for_function("() => document.getElementById('start').textContent === 'Stop'")  # motion is listened to
    assert page.evaluate("window.asked === true") == is_iphone
    page.evaluate(PLAY, rows)
    found = shown(page, len(expected))
    assert [activity for activity, _ in found] == expected["activity"].tolist()
    probability_N = expected.filter(like="probability:").max(axis=1)
    np.testing.assert_allclose([probability for _, probability in found], probability_N, atol=1e-5)
    assert page.inner_text("#activity") == expected["activity"].iloc[-1]
    assert page.inner_text("#probability") == f"probability {found[-1][1]:.2f}"
    assert page.inner_text("#rate") == "50.0"
    assert page.inner_text("#latency").endswith(" ms")
    assert page.inner_text("#left-out") == "none"
    assert "50 samples a second" in page.inner_text("#status")
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    page.click("#start")
    assert page.inner_text("#status") == "Stopped."


def test_without_motion_the_page_says_why(show):
    page = show(SLOW)
    page.clock.install()
    page.click("#start")
    page.wait_for_function("() => window.connect")
    page.clock.fast_forward(3000)
    assert page.inner_text("#status") == "Connecting …"
    told = page.evaluate("() => { window.connect(); return document.getElementById('status').textContent; }")
    assert told.startswith("Connected")
    page.clock.fast_forward(3000)
    page.wait_for_function("() => document.getElementById('status').textContent.includes('gives no acceleration')")
    refused = show(IPHONE % "denied")
    refused.click("#start")
    refused.wait_for_function("() => document.getElementById('status').textContent.includes('did not allow motion')")
    insecure = show(INSECURE)
    assert "not secure" in insecure.inner_text("#status")
    assert "--tls-cert" in insecure.inner_text("#secure")


def test_what_the_server_refuses_is_told_on_the_page(show, recording):
    in_g = rows_of(recording[:200] / [9.80665, 9.80665, 9.80665, 1, 1, 1], 50)
    page = show()
    page.click("#start")
    page.evaluate(PLAY, in_g)
    page.wait_for_function("() => document.getElementById('status').textContent.includes('looks like g')")
    assert page.inner_text("#start") == "Start"
