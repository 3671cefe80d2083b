"""Existence, identify, words beyond the class, and the rules for one box and for clipping."""

import itertools

import pytest

from geochat.dialects import GEOCHAT
from geochat_eval.scorers import SCORERS

BOX = "<p>the ship</p> {<10><10><20><20>|<90>}"


IDS = itertools.count()


def exists(truth, answer):
    return {"question_id": next(IDS), "ground_truth": truth, "answer": answer}


def test_whoever_always_answers_has_half_of_the_balanced_accuracy(score):
    rows = [exists("yes", BOX) for _ in range(3)] + [exists("no", BOX) for _ in range(9)]
    found = score("existence", *rows)
    assert (found["accuracy"], found["balanced_accuracy"]) == (25, 50)
    assert (found["accuracy/present"], found["accuracy/absent"]) == (100, 0)
    assert found["baselines"]["majority/accuracy"] == 75


def test_words_and_boxes_both_say_yes(score):
    rows = [
        exists("yes", "Yes, there is."),
        exists("no", "There is no ship."),
        exists("yes", "No."),
        exists("no", "no"),
    ]
    assert score("existence", *rows)["accuracy"] == 75
    with pytest.raises(Exception, match="neither yes nor no"):
        score("existence", exists("maybe", "yes"))


def identified(pair, truth, answer):
    return {"pair": pair, "ground_truth": truth, "answer": answer}


def test_pairs_tell_whether_the_region_was_looked_at(score):
    rows = [
        *(identified(1, "ship", "Ship."), identified(1, "storage tank", "storagetank")),
        *(identified(2, "ship", "ship"), identified(2, "storage tank", "ship")),
        *(identified(3, "ship", "storage tank"), identified(3, "storage tank", "ship")),
        identified(None, "ship", "ship"),
    ]
    found = score("identify", *rows)
    assert found["accuracy"] == pytest.approx(100 * 4 / 7, abs=0.01)
    assert found["pairs_right"] == pytest.approx(100 / 3, abs=0.01)
    assert found["pairs_unmoved"] == pytest.approx(100 / 3, abs=0.01)
    assert found["n"]["pairs_right"] == 3


def test_vqa_is_balanced_over_yes_and_no(score):
    rows = [{"type": "presence", "ground_truth": "yes", "answer": "yes"}] * 9
    rows += [
        {"type": "presence", "ground_truth": "no", "answer": "yes"},
        {"type": "count", "ground_truth": "3", "answer": "3"},
    ]
    found = score("vqa", *rows)
    assert found["accuracy/balanced/presence"] == 50
    assert "accuracy/balanced/count" not in found


def boxes(truth, answer, **fields):
    return {"ground_truth": truth, "answer": answer, **fields}


def test_the_first_box_counts_where_one_is_asked_for(score):
    wrong, right = "{<60><60><90><90>|<0>}", "{<10><10><20><20>|<0>}"
    rows = [
        boxes([[10, 10, 20, 20, 0]], right + wrong),
        boxes([[10, 10, 20, 20, 0]], wrong + right),
        boxes([[10, 10, 20, 20, 0], [60, 60, 90, 90, 0]], wrong),
    ]
    found = score("referring", *rows)
    assert (found["first_box@0.5"], found["n"]["first_box@0.5"]) == (50, 2)
    assert "first_box@0.5/multiple" not in found
    assert found["f1@0.5"] == pytest.approx(100 * 6 / 9, abs=0.01)  # three pairs of five predicted and four true boxes
    assert found["baselines"]["constant_box/first_box@0.5"] == 100


def test_clip_compares_what_lies_in_the_image(score):
    truth, answer = [[-20, 10, 10, 40, 0]], "{<0><10><10><40>|<0>}"
    assert score("referring", boxes(truth, answer))["matched_boxes@0.5"] == 0
    clipped = score("referring", boxes(truth, answer, clip=[0, 0, 100, 100]))
    assert clipped["matched_boxes@0.75"] == clipped["matched_boxes_aligned@0.75"] == 100
    assert clipped["baselines"]["constant_box/first_box@0.5"] == 0  # the true box itself reaches far outside
    with pytest.raises(Exception, match="clip"):
        score("referring", boxes(truth, answer, clip="all"))


def test_words_beyond_the_class(score):
    def caption(answer, *references):
        return {"scene": "airport", "answer": answer, "captions": list(references)}

    majority = "A plane is at the airport ."
    rows = [
        caption(majority, "Two white planes at the airport .", "Two planes at an airport ."),
        caption("A red plane at the airport .", "A red plane at the airport .", "A red plane ."),
        caption(majority, "A plane at the airport beside a lake .", "A plane beside a lake at the airport ."),
    ]
    found = score("image-caption", *rows)
    assert found["beyond_class_recall"] == 25  # red, of: two, red, beside, lake
    assert found["beyond_class_precision"] == 100
    assert found["n"]["beyond_class_recall"] == 4


def test_every_scorer_says_how_good_an_answer_is():
    from geochat_eval.formats import FORMATS
    from geochat_eval.scorers import ScorerSettings

    def quality(task, row):
        return SCORERS[task](ScorerSettings(0, meteor=False)).add(FORMATS["geochat"].read(row, GEOCHAT))

    description = f"A ship {BOX[16:]} at sea."
    for task, truth, good, bad in (
        ("scene", "port", "Port.", "beach"),
        ("vqa", "yes", "yes", "no"),
        ("existence", "yes", BOX, "There is none."),
        ("identify", "ship", "ship", "plane"),
        ("referring", BOX, BOX, "nothing"),
        ("image-caption", ["a ship", "a boat"], "a boat", "sand"),
        ("grounded-description", description, description, "nothing"),
    ):
        row = {"ground_truth": truth, "type": "x"}
        assert quality(task, {**row, "answer": good}) == 1
        assert quality(task, {**row, "answer": bad}) == 0
