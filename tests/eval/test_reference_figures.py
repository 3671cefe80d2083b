"""The figures another project's scorer gives on its own published answers."""

import pytest

from geochat.dialects import GEOCHAT
from geochat_eval.score import score_file
from geochat_eval.scorers import ScorerSettings

FIGURES = {
    ("referring_geochat_bench", "referring"): {
        "earthdial@0.5/small": 11.43,
        "earthdial@0.5/medium": 31.73,
        "earthdial@0.5/large": 39.07,
        "earthdial@0.5/single": 34.27,
        "earthdial@0.5/multiple": 13.41,
        "earthdial_clockwise@0.5/single": 34.49,
        "earthdial_with_negatives@0.5/large": 42.60,
    },
    ("referring_nwpu_vhr10", "referring"): {
        "earthdial@0.5/small": 11.67,
        "earthdial@0.5/medium": 14.22,
        "earthdial@0.5/large": 23.12,
        "earthdial@0.5/single": 25.38,
        "earthdial@0.5/multiple": 8.92,
    },
    ("vqa_rsvqa_lr", "vqa"): {
        "earthdial/type/presence": 92.59,
        "earthdial/type/comp": 92.75,
        "earthdial/type/rural_urban": 94.00,
        "earthdial/type/count": 27.69,
        "earthdial/without_count": 92.70,
        "earthdial/without_count_macro": 93.11,
    },
    ("scene_ucm", "scene"): {"earthdial": 92.57},
    ("scene_whu19", "scene"): {"earthdial": 96.42},
    ("region_captioning_geochat_bench", "region-caption"): {"rouge_1": 73.35, "rouge_l": 73.31},
}


LONG = {"referring_geochat_bench"}


@pytest.mark.parametrize(
    ("name", "task"),
    [pytest.param(*each, marks=[pytest.mark.slow] * (each[0] in LONG)) for each in FIGURES],
)
def test_every_figure_is_reproduced(shared, name, task):
    path = shared / f"reference/scorer/{name}.jsonl"
    found = score_file(path, task, "earthdial", ScorerSettings(replicates=0, meteor=False), dialect=GEOCHAT).to_dict()
    expected = FIGURES[name, task]
    assert {rule: found[rule] for rule in expected} == pytest.approx(expected, abs=0.05)
    assert found["lines"]["skipped"] == 0


@pytest.mark.slow
def test_a_model_beats_what_does_not_look(shared):
    path = shared / "reference/scorer/referring_nwpu_vhr10.jsonl"
    found = score_file(path, "referring", "earthdial", dialect=GEOCHAT).to_dict()
    assert 0 < found["baselines"]["constant_box/matched_boxes@0.5"] < found["intervals"]["matched_boxes@0.5"][0]


def test_boxes_and_words_are_found_inside_prose(shared):
    path = shared / "reference/scorer/grounded_description_hit_uav.jsonl"
    settings = ScorerSettings(replicates=0, meteor=False)
    found = score_file(path, "grounded-description", "earthdial", settings, dialect=GEOCHAT).to_dict()
    assert found["lines"]["used"] == 25
    assert found["n"]["matched_boxes@0.5"] == 235
    assert found["n"]["predicted_hit@0.5"] == 45
