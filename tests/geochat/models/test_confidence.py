"""The probability that a box is right."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geochat.errors import CheckpointError
from geochat.models import BoxConfidence, Settings

FITTED = BoxConfidence(2.0, 3.0, 1.5, 0.4, {"ship": 1.0, "car": -1.0}, 0.2)
SHARE = st.floats(1e-6, 1.0)


@given(SHARE, SHARE, st.sampled_from(["ship", "car", "harbor", None]))
def test_it_is_a_probability_that_grows_with_score_and_size(score, size, category):
    found = FITTED.probability(score, size, category)
    assert 0 <= found <= 1
    assert FITTED.probability(score / 2, size, category) < found
    assert FITTED.probability(score, size / 2, category) <= found
    assert FITTED.probability(score, 0.4, category) == FITTED.probability(score, 0.9, category)


def test_the_logistic_function_by_hand():
    odds = 2 + 1 + 3 * math.log(0.5) + 1.5 * math.log(0.2)
    assert FITTED.probability(0.5, 0.2, "ship") == pytest.approx(1 / (1 + math.exp(-odds)))


def test_an_unknown_category_has_the_mean_of_the_others():
    assert FITTED.probability(0.5, 0.2, None) == FITTED.probability(0.5, 0.2, "harbor")
    assert (
        FITTED.probability(0.5, 0.2, "car") < FITTED.probability(0.5, 0.2, None) < FITTED.probability(0.5, 0.2, "ship")
    )


def test_nothing_is_as_improbable_as_a_box_without_probability_or_extent():
    assert FITTED.probability(0, 0.3, "ship") == FITTED.probability(0.5, 0, "ship") == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"largest": 0}, "largest > 0"),
        ({"minimum": 1.5}, "minimum from 0 to 1"),
        ({"bias": math.nan}, "not finite"),
        ({"slope": 1}, "slope"),
        ({"categories": ["ship"]}, "impossible value"),
        ({"score": "high"}, "high"),
    ],
)
def test_an_impossible_calibration_is_named(change, message):
    values = {"bias": 0, "score": 1, "size": 1, "largest": 0.5, **change}
    with pytest.raises(CheckpointError, match=message):
        Settings.from_dict({"box_confidence": values})
