"""The server for phones: the protocol with a real client, what it refuses, and that nobody waits for somebody else."""

import asyncio
import contextlib
import dataclasses
import http.client
import json
import socket
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from har.datasets.card import Channel
from har.datasets.recipe import Gravity
from har.deploy import serve
from har.deploy.serve import MOST_CONNECTIONS, PhoneServer, page
from har.deploy.serve_session import LONGEST, MOST_MESSAGES, MOST_SAMPLES, Pace, Session, Wish, phone_columns
from har.errors import HarError, UsageError
from tests.deploy.serving import asked, page_of, rows_of, serving


@pytest.fixture(scope="module")
def recording(spar):
    row = spar.recordings.iloc[(spar.recordings["stop"] - spar.recordings["start"]).argmax()]
    return np.array(spar.signal_TC[row["start"] : row["start"] + 400])


@pytest.fixture(scope="module")
def served(model):
    with serving(model) as (server, host):
        yield SimpleNamespace(server=server, host=host)


def decisions_of(client, rows, rate_hz, together):
    asked(client, {"rate_hz": rate_hz})
    parts = [rows[i : i + together] for i in range(0, len(rows), together)]
    return [step for part in parts for step in asked(client, {"samples": part})["decisions"]]


def closed(client):
    """Return the sentence that the server closed with, if any, and the code."""
    sentence = None
    try:
        while True:
            sentence = json.loads(client.recv(timeout=60)).get("error", sentence)
    except ConnectionClosed as error:
        return sentence, error.rcvd.code


def test_two_phones_at_once_get_the_decisions_of_their_own_samples(model, recording, served):
    expected = [model.predict(part, 50, streaming=True) for part in (recording, recording[::-1])]
    with page_of(served.host) as first, page_of(served.host) as second:
        for client in (first, second):
            asked(client, {"rate_hz": 50})
        found = [[], []]
        parts = [rows_of(part, 50) for part in (recording, recording[::-1])]
        for begin in range(0, len(recording), 20):
            for number, client in enumerate((first, second)):
                answer = asked(client, {"samples": parts[number][begin : begin + 20]})
                found[number] += answer["decisions"]
    for steps, table in zip(found, expected, strict=True):
        assert [step["activity"] for step in steps] == table["activity"].tolist()
        probability_NK = [step["probabilities"] for step in steps]
        np.testing.assert_allclose(probability_NK, table.filter(like="probability:"), atol=1e-5)
        assert all(step["latency_ms"] > 0 for step in steps)


def test_another_rate_is_that_of_a_stream_and_its_delay_is_told(model, recording, served):
    with page_of(served.host) as client:
        steps = decisions_of(client, rows_of(recording, 60), 60, 50)
        assert asked(client, {"rate_hz": 60})["delay_s"] > 0.1
    expected = model.predict(recording, 60, streaming=True)
    assert [step["activity"] for step in steps] == expected["activity"].tolist()


@pytest.mark.parametrize(
    ("messages", "code", "sentence"),
    [
        (["{"], 1007, "no JSON"),
        (["[" * 30_000], 1007, "no JSON"),
        (["[]"], 1007, "no JSON object"),
        ([b"\xff\xfe"], 1007, "no JSON"),
        ([{"rate": 1}], 1007, "neither rate_hz nor samples"),
        ([{"samples": []}], 1007, "before rate_hz"),
        ([{"rate_hz": 1e9}], 1008, "no rate of a phone"),
        ([{"rate_hz": True}], 1008, "no rate of a phone"),
        ([{"rate_hz": 50}, {"samples": [[0] * 7] * (MOST_SAMPLES + 1)}], 1007, f"at most {MOST_SAMPLES}"),
        ([{"rate_hz": 50}, {"samples": [[0] * 6]}], 1007, "7 values"),
        ([{"rate_hz": 50}, {"samples": [[None, 0, 0, 0, 0, 0, 0]]}], 1007, "no time"),
        ([{"rate_hz": 50}, '{"samples": [[0, 1e999, 0, 0, 0, 0, 0]]}'], 1007, "neither a number"),
        ([{"rate_hz": 50}, {"samples": [[20 * i, 0, 0, 1, 0, 0, 0] for i in range(200)]}], 1008, "looks like g"),
        ([{"rate_hz": 50}, {"samples": [[5 * i, 0, 0, 9, 0, 0, 0] for i in range(200)]}], 1007, "show 200 Hz"),
    ],
)
def test_a_message_that_cannot_be_used_ends_its_connection_with_a_sentence(served, messages, code, sentence):
    with page_of(served.host) as client:
        for message in messages:
            client.send(message if isinstance(message, (str, bytes)) else json.dumps(message))
        found = closed(client)
    assert found[1] == code
    assert sentence in found[0]


def test_a_message_that_is_too_long_is_not_taken(served):
    with page_of(served.host) as client:
        assert client.protocol.extensions == []  # compressed, it could be longer than it looks
        client.send(" " * LONGEST)
        assert closed(client)[1] == 1007  # still read
    with page_of(served.host) as client:
        client.send(" " * (LONGEST + 1))
        assert closed(client) == (None, 1009)


def test_too_many_messages_end_the_connection(served):
    with page_of(served.host) as client:
        for _ in range(2 * MOST_MESSAGES + 1):
            client.send('{"rate_hz": 50}')
        sentence, code = closed(client)
    assert (sentence, code) == (f"More than {MOST_MESSAGES} messages a second.", 1008)


def test_the_pace_of_the_page_is_never_too_much_and_a_little_more_than_the_limit_is():
    for gap_s, most in ((0.1, None), (1 / MOST_MESSAGES, None), (0.9 / MOST_MESSAGES, 2 * MOST_MESSAGES)):
        pace, taken = Pace(), 0
        try:
            for i in range(1000):
                pace.take(i * gap_s + 1e-9 * i)
                taken += 1
        except UsageError:
            assert taken == most
        else:
            assert most is None


def test_one_page_too_many_is_told_so_and_the_others_go_on(served):
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(page_of(served.host)) for _ in range(MOST_CONNECTIONS)]
        for client in clients:
            asked(client, {"rate_hz": 50})
        with page_of(served.host) as late:
            sentence, code = closed(late)
        assert (code, sentence.split()[0]) == (1013, str(MOST_CONNECTIONS))
        assert "delay_s" in asked(clients[0], {"rate_hz": 50})
    with page_of(served.host) as client:
        assert "delay_s" in asked(client, {"rate_hz": 50})


@pytest.mark.parametrize("origin", ["http://evil.example", "https://{host}", "http://127.0.0.1:1", "null", None])
def test_only_the_own_page_may_connect(served, origin):
    own = None if origin is None else origin.format(host=served.host)
    with pytest.raises(InvalidStatus) as refused, connect(f"ws://{served.host}/live", origin=own):
        pass
    assert refused.value.response.status_code == 403


@pytest.mark.parametrize(
    ("path", "host", "status"),
    [
        ("/", None, 200),
        ("/", "localhost:1", 200),
        ("/", "[::1]:1", 200),
        ("/", "evil.example", 421),
        ("/", "evil@127.0.0.1", 421),
        ("/", "localhost; script-src *", 421),
        ("/favicon.ico", None, 404),
        ("/live", None, 403),
    ],
)
def test_a_request_is_answered_at_the_own_names_alone(served, path, host, status):
    connection = http.client.HTTPConnection(served.host, timeout=60)
    connection.request("GET", path, headers={} if host is None else {"Host": host})
    response = connection.getresponse()
    text = response.read().decode()
    connection.close()
    assert response.status == status
    if status == 200:
        policy = response.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert text.startswith("<!doctype html>")


def test_a_phone_that_breaks_off_is_counted_and_leaves_nothing_behind(recording, served):
    before = served.server.counts["samples"]
    with page_of(served.host) as client:
        decisions_of(client, rows_of(recording, 50)[:120], 50, 60)
        client.socket.shutdown(socket.SHUT_RDWR)  # without a word
    with page_of(served.host) as other:
        asked(other, {"rate_hz": 50})
        for _ in range(100):
            if served.server.counts["samples"] > before:
                break
            other.ping().wait(0.05)
    assert served.server.counts["samples"] == before + 120


class Silent:
    """A client that never takes an answer."""

    def __init__(self):
        self.reason = None

    async def __aiter__(self):
        yield '{"rate_hz": 50}'

    async def send(self, _):
        await asyncio.Event().wait()

    async def close(self, _, reason):
        self.reason = reason


def test_who_takes_no_answers_keeps_nobody_waiting(model, monkeypatch):
    monkeypatch.setattr(serve, "_ANSWER_S", 0.3)
    server, silent, answers = PhoneServer(model, Wish()), Silent(), []

    class Quick(Silent):
        async def send(self, text):
            answers.append((text, silent.reason))

    async def both():
        await asyncio.gather(server._converse(silent), server._converse(Quick()))

    asyncio.run(both())
    assert [reason for _, reason in answers] == [None]  # answered while the other one still waited
    assert silent.reason == "slow"
    assert server._open == 0


def test_channels_are_found_by_sensor_and_axis_whatever_their_names(model):
    inputs = model.facts.inputs
    assert phone_columns(inputs) == [0, 1, 2, 3, 4, 5]
    named = [dataclasses.replace(channel, name=f"channel {i}") for i, channel in enumerate(inputs)]
    assert phone_columns((*named[3:], named[2])) == [3, 4, 5, 2]


@pytest.mark.parametrize(
    "change",
    [
        lambda inputs: (*inputs, Channel("mag_x", "magnetometer", "wrist", "x", "µT")),
        lambda inputs: (*inputs, Channel("other", "accelerometer", "wrist", "x", "m/s²")),
        lambda inputs: (*inputs[:5], dataclasses.replace(inputs[5], site="ankle")),
        lambda inputs: (dataclasses.replace(inputs[0], axis=None), *inputs[1:]),
        lambda inputs: (dataclasses.replace(inputs[0], sensor="body-acceleration"), *inputs[1:]),
    ],
)
def test_channels_that_are_not_a_phones_are_refused_by_name(model, change):
    inputs = change(model.facts.inputs)
    with pytest.raises(UsageError) as refused:
        phone_columns(inputs)
    assert all(f"{channel.name} ({channel.unit})" in refused.value.what for channel in inputs)


def test_a_recipe_that_needs_the_whole_recording_is_refused_before_anybody_connects(model):
    preparation = json.loads(json.dumps(model.facts.preparation))
    preparation["recipe"]["gravity"] = dataclasses.asdict(Gravity(causal=False))
    changed = SimpleNamespace(facts=dataclasses.replace(model.facts, preparation=preparation))
    with pytest.raises(UsageError, match="gravity filter runs backwards"):
        PhoneServer(changed, Wish())


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=8) | st.dictionaries(st.sampled_from(["samples", "rate_hz"]), inner),
    max_leaves=20,
)


@settings(max_examples=30)
@given(
    messages=st.lists(
        _VALUES | st.builds(lambda v: {"samples": v}, st.lists(st.lists(_VALUES, min_size=7, max_size=7)))
    )
)
def test_no_message_is_more_than_a_har_error(model, messages):
    session = Session(model, Wish())
    session.receive('{"rate_hz": 50}', 0.0)
    for message in messages:
        try:
            session.receive(json.dumps(message), 0.0)
        except HarError:
            session = Session(model, Wish())
            session.receive('{"rate_hz": 50}', 0.0)


def test_names_in_a_model_are_text_on_the_page(model):
    names = ["</script><script>alert(1)</script>", '" onload="alert(1)', *model.facts.activities[2:]]
    changed = SimpleNamespace(facts=dataclasses.replace(model.facts, activities=names))
    body = page(changed)[0].decode()
    assert body.count("<script>") == 1
    assert "onload=" not in body.replace("&quot; onload=", "")
