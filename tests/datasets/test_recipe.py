"""Recipes: the default does nothing but convert, and what is impossible is named by its key."""

import math

import pytest

from har.datasets.recipe import Gravity, Recipe, problems_of


def test_the_default_recipe_is_possible_at_any_rate():
    assert problems_of(Recipe(), 50) == []
    assert problems_of(Recipe(max_gap_s=None, gravity=Gravity()), 50) == []


@pytest.mark.parametrize(
    ("recipe", "problem"),
    [
        (Recipe(rate_hz=0.0), "rate_hz: 0.0 is not a rate"),
        (Recipe(rate_hz=math.nan), "rate_hz: nan is not a rate"),
        (Recipe(rate_hz=math.inf), "rate_hz: inf is not a rate"),
        (Recipe(rate_hz=10_001.0), "rate_hz: 10001 Hz is more than 10000 Hz, the highest rate of a store"),
        (
            Recipe(rate_hz=401.0),
            "rate_hz: 401 Hz is more than 8 times the card's 50 Hz: nothing is gained, the store only grows",
        ),
        (Recipe(max_gap_s=0.0), "max_gap_s: 0.0 is not a duration; null is no limit"),
        (Recipe(max_gap_s=math.inf), "max_gap_s: inf is not a duration; null is no limit"),
        (Recipe(max_gap_s=math.nan), "max_gap_s: nan is not a duration; null is no limit"),
        (Recipe(max_gap_s=0.01), "max_gap_s: 0.01 is shorter than one step at 50 Hz"),
        (Recipe(empty="drop"), "empty: 'drop' is not known; known: refuse, leave-out"),
        (Recipe(sites=("wrist", "hip", "wrist")), "sites: wrist stands more than once"),
        (Recipe(gravity=Gravity(cutoff_hz=25.0)), "gravity.cutoff_hz: 25.0 is not between 0 and 25, half the rate"),
        (
            Recipe(rate_hz=0.5, gravity=Gravity()),
            "gravity.cutoff_hz: 0.3 is not between 0 and 0.25, half the rate",
        ),
        (Recipe(gravity=Gravity(order=0)), "gravity.order: 0 is not from 1 to 8"),
    ],
)
def test_an_impossible_recipe_is_named_by_its_key(recipe, problem):
    assert problems_of(recipe, 50) == [problem]


def test_eight_times_the_rate_is_possible():
    assert problems_of(Recipe(rate_hz=400.0), 50) == []


def test_all_that_is_impossible_is_named_at_once():
    assert len(problems_of(Recipe(rate_hz=-1.0, max_gap_s=-1.0, empty=""), 50)) == 3
