"""Cards: what is read, and that every error is named at once."""

import dataclasses
from pathlib import Path

import pytest
import yaml

import har.datasets
from har.datasets.registry import find_card, get_card, load_card
from har.errors import DataError, UsageError

_SPAR = Path(har.datasets.__file__).parent / "cards" / "spar.yaml"


@pytest.fixture
def altered(tmp_path):
    """Return what writes SPAR's card with changes and gives its path."""

    def write(change):
        value = yaml.safe_load(_SPAR.read_text())
        change(value)
        path = tmp_path / "card.yaml"
        path.write_text(yaml.safe_dump(value))
        return path

    return write


def test_a_card_is_read_as_it_stands():
    card = get_card("spar")
    assert card.rate_hz == 50.0
    assert isinstance(card.rate_hz, float)
    assert [channel.unit for channel in card.channels] == ["g"] * 3 + ["rad/s"] * 3
    assert card.activities[1].name == "abduction"
    assert card.activities[1].code == 1
    assert card.null_activity is None


def test_a_card_in_a_file_is_found_by_its_path(altered):
    path = altered(lambda value: value.update(name="mine"))
    assert find_card(str(path)).name == "mine"


def test_a_card_needs_no_prose_subjects_or_counts(altered):
    optional = ("title", "licence", "citation", "homepage", "facts", "subjects", "extras")
    card = load_card(altered(lambda value: [value.pop(key) for key in optional]))
    assert card.facts is None
    assert card.subjects == ()


def test_an_unknown_data_set_names_the_nearest():
    with pytest.raises(UsageError, match=r"'spra' is not known.*\n.*Did you mean 'spar'\?"):
        get_card("spra")


def test_all_errors_are_named_at_once(altered):
    def spoil(value):
        value["rate_hertz"] = value.pop("rate_hz")
        value["channels"][0]["unit"] = 9
        value["activities"] = "walking"
        value["subjects"] = [1]
        value["source"]["sha265"] = value["source"].pop("sha256")
        value["facts"]["rows"] = True

    with pytest.raises(UsageError) as caught:
        load_card(altered(spoil))
    text = str(caught.value)
    assert "has 7 errors" in text
    assert "key 'rate_hertz' is not known. Did you mean 'rate_hz'" in text
    assert "key 'rate_hz' is missing" in text
    assert "channels[0].unit: text (in quotes where it looks like a number) is expected, not 9" in text
    assert "activities: a list is expected, not 'walking'" in text
    assert "subjects[0]: text" in text
    assert "source: key 'sha265' is not known. Did you mean 'sha256'?" in text
    assert "facts.rows: a whole number is expected, not True" in text


CONTRADICTIONS = {
    "names a folder": lambda value: value.update(name="../x"),
    "rate_hz: 0.0 is not a rate": lambda value: value.update(rate_hz=0),
    "reader: 'spa' is not known": lambda value: value.update(reader="spa"),
    "source.kind: 'wheel' is not known": lambda value: value["source"].update(kind="wheel"),
    "source.sha256: 64 hexadecimal": lambda value: value["source"].update(sha256="eb12"),
    "channels[3].unit: 'rad/min' is not known": lambda value: value["channels"][3].update(unit="rad/min"),
    "null_activity: 'nul' is not an activity": lambda value: value.update(null_activity="nul"),
    "rows_per_activity: 'abductio' is not an activity": lambda value: value["facts"].update(
        rows_per_activity={"abductio": 3}
    ),
    "channels: the list is empty": lambda value: value.update(channels=[]),
    "activities: the list is empty": lambda value: value.update(activities=[], facts=None),
    "activities (codes): 1 stands more than once": lambda value: value["activities"][0].update(code=1),
    "activities (names): pendulum stands more": lambda value: value["activities"][1].update(name="pendulum"),
    "channels (names): acc_x stands more than once": lambda value: value["channels"][1].update(name="acc_x"),
    "subjects: 1 stands more than once": lambda value: value.update(subjects=["1", "1"]),
    "extras: side stands more than once": lambda value: value.update(extras=["side", "side"]),
}


@pytest.mark.parametrize("message", CONTRADICTIONS)
def test_a_contradiction_is_an_error(altered, message):
    with pytest.raises(UsageError) as caught:
        load_card(altered(CONTRADICTIONS[message]))
    assert message in str(caught.value)


@pytest.mark.parametrize("content", [b"name: [", b"\xff\xfe\x00", b"", b"- a\n- b\n"])
def test_a_file_that_is_no_card_is_refused(tmp_path, content):
    path = tmp_path / "card.yaml"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=r"card\.yaml"):
        load_card(path)


def test_a_card_that_does_not_exist_is_refused(tmp_path):
    with pytest.raises(UsageError, match="there is no file"):
        find_card(str(tmp_path / "none.yml"))


def test_prose_is_no_part_of_what_a_store_depends_on():
    card = get_card("spar")
    prose = dataclasses.replace(card, title="other", licence="other", citation="other", homepage="other")
    assert prose.sha256 == card.sha256
    assert dataclasses.replace(card, rate_hz=51.0).sha256 != card.sha256


def test_a_code_becomes_the_index_of_its_activity():
    card = get_card("spar")
    reordered = dataclasses.replace(card, activities=card.activities[::-1])
    assert reordered.label_of(6, "here") == 0
    with pytest.raises(DataError, match="here: activity code 7"):
        card.label_of(7, "here")
