"""Silently wrong figures of files of answers: truths of another shape, numbers, repeated ids, questions of an image."""

import json

import numpy as np
import pytest

from geochat.cli import main
from geochat.dialects import GEOCHAT
from geochat.errors import DataError
from geochat_eval.bootstrap import Shares, unit_key, unit_weights
from geochat_eval.reports import compare
from geochat_eval.runs import FilePredictor, Query
from geochat_eval.score import score_file
from geochat_eval.scorers import ScorerSettings
from geochat_eval.scorers.labels import answer_key, same_answer

BOX = "{<10><10><30><30>|<90>}"


@pytest.mark.parametrize(
    ("said", "true"),
    [
        *[("3.0", "3"), ("3", "3.0"), ("+3", "3"), ("1,000", "1000"), ("1e3", "1000"), ("0.50", ".5"), ("-0", "0")],
        *[("Yes.", "yes"), ("yes!", "Yes"), ("**Yes**", "yes"), ('"No"', "no"), ("(yes)", "yes"), ("Yes…", "yes")],
        *[("3.", "3"), ("Dense Residential.", "dense residential"), ("0 m2", "0m2"), ("U.S.A.", "usa")],
    ],
)
def test_answers_that_say_the_same(said, true):
    assert same_answer(said, true)


@pytest.mark.parametrize(
    ("said", "true"),
    [
        *[("1.5", "15"), ("1.5 m2", "15 m2"), ("10", "1"), ("-2", "2"), ("1,00", "100"), ("3 cars", "3")],
        *[("", "yes"), (".", "yes"), ("yes, two", "yes"), ("no", "yes"), ("three", "3"), ("٣", "3")],
    ],
)
def test_answers_that_do_not(said, true):
    assert not same_answer(said, true)


def test_a_key_is_bounded():
    assert len(answer_key("1e999")) < 1100
    assert answer_key("9" * 50) == "9" * 50  # too long for a number, so it is a word


def test_numbers_are_compared_as_numbers_and_the_older_rule_keeps_its_name(score):
    rows = [("3.0", 3), ("1.5", 15), ("1.5", "15"), ("Yes.", "yes"), ("yes!", "yes")]
    found = score("vqa", *({"question_id": n, "answer": a, "ground_truth": t} for n, (a, t) in enumerate(rows)))
    assert found["accuracy"] == 60
    assert found["plain"] == 60  # another sixty: it has 1.5 equal 15, 3.0 not 3, and yes! not yes


@pytest.mark.parametrize("truth", [json.dumps([[10, 10, 30, 30, 0]]), json.dumps([10, 10, 30, 30]), "[[10,10,30,30]]"])
def test_boxes_as_a_json_string_are_boxes(score, truth):
    silent = {"question_id": 0, "answer": "There is nothing.", "ground_truth": truth}
    found = score("referring", silent, {**silent, "question_id": 1, "answer": BOX})
    assert found["all_matched@0.5"] == 50
    assert found["n"]["matched_boxes@0.5"] == 2


def test_polygons_as_a_json_string_are_polygons(score):
    truth = json.dumps([[[10, 10], [30, 10], [30, 30], [10, 30]]])
    row = {"answer": BOX, "ground_truth": truth, "width": 100, "height": 100}
    assert score("referring", row)["matched_boxes@0.5"] == 100


@pytest.mark.parametrize("truth", ["10 10 30 30", "[[10, 10, 30", "{<10><10><30>|<0>}", '{"bbox": [1, 2, 3, 4]}'])
def test_a_truth_that_cannot_be_read_is_not_no_box(score, truth):
    with pytest.raises(DataError, match="ground truth"):
        score("referring", {"answer": "", "ground_truth": truth})


@pytest.mark.parametrize("truth", ["", "There is no airplane.", "[]"])
def test_no_box_is_a_truth(score, truth):
    assert score("referring", {"answer": "No.", "ground_truth": truth})["all_matched@0.5"] == 100


@pytest.mark.parametrize(
    ("task", "truth", "message"),
    [
        ("vqa", '["yes"]', "its ground truth is a list written as text"),
        ("vqa", '{"answer": "yes"}', "its ground truth is a dict written as text"),
        ("vqa", ["yes"], "the ground truth is a list, not text"),
        ("vqa", True, "the ground truth is true, not text"),
        ("vqa", float("nan"), "the ground truth is NaN, not text"),
        ("vqa", "", "its ground truth is an empty text"),
        ("scene", "  ", "its ground truth is an empty text"),
        ("identify", '["car"]', "a list written as text"),
        ("existence", "[]", "a list written as text"),
    ],
)
def test_a_truth_of_another_shape_is_named(score, task, truth, message):
    with pytest.raises(DataError, match=message):
        score(task, {"question_id": 1, "answer": "", "ground_truth": truth})


def test_references_as_a_json_string_are_several(score):
    row = {"answer": "one ship", "ground_truth": json.dumps(["a car", "one ship"])}
    assert score("image-caption", row)["rouge_1"] == 100


def test_a_question_counts_once(score, write, capsys):
    row = {"question_id": "a", "answer": "yes", "ground_truth": "yes"}
    found = score("vqa", row, {**row, "answer": "no"}, {**row, "question_id": "b", "answer": "no"})
    assert found["accuracy"] == 50
    assert found["n"]["accuracy"] == 2
    assert found["lines"]["reasons"]["its question was answered by an earlier line, which counts"]["count"] == 1
    with pytest.raises(DataError, match="answered by an earlier line"):
        score("vqa", row, row, strict=True)
    assert score("vqa", {**row, "question": "a?"}, {**row, "question": "b?"})["n"]["accuracy"] == 2
    assert main(["eval", "score", str(write(row, row)), "--as", "vqa", "--bootstrap", "0"]) == 0
    assert "1 lines left out: its question was answered by an earlier line" in capsys.readouterr().err


def predicted(predictor, names):
    queries = [Query(n, "?", None, 8, {"question_id": name}) for n, name in enumerate(names)]
    return [reply.text for _, reply in predictor.predict(queries)]


def test_a_json_array_is_a_file_of_answers(tmp_path):
    path = tmp_path / "answers.json"
    rows = [{"question_id": n, "answer": "yes", "ground_truth": "yes" if n else "no"} for n in range(4)]
    path.write_text(json.dumps(rows, indent=1))
    found = score_file(path, "vqa", settings=ScorerSettings(0), truths=path, dialect=GEOCHAT).to_dict()
    assert found["accuracy"] == 75
    assert predicted(FilePredictor(path, dialect=GEOCHAT), range(4)) == ["yes"] * 4
    both = compare(path, path, "vqa", ScorerSettings(0), dialects=(GEOCHAT, GEOCHAT))
    assert both.equal == 4


def test_what_is_neither_lines_nor_an_array_is_told(tmp_path):
    path = tmp_path / "answers.json"
    path.write_text(json.dumps({"answers": [{"answer": "yes"}]}, indent=1))
    with pytest.raises(DataError, match="give one JSON object per line, or an array of objects"):
        score_file(path, "vqa", dialect=GEOCHAT)


def test_two_answers_of_a_file_to_one_question_are_an_error(write):
    row = {"question_id": 1, "answer": "yes", "ground_truth": "yes"}
    assert predicted(FilePredictor(write(row, row), dialect=GEOCHAT), [1]) == ["yes"]
    with pytest.raises(DataError, match=r"answers.jsonl:2 answers question_id '1' again"):
        FilePredictor(write(row, {**row, "answer": "no"}), dialect=GEOCHAT)
    with pytest.raises(DataError, match=r"answers.jsonl:2 gives question_id '1' again"):
        score_file(write(row), "vqa", truths=write(row, {**row, "ground_truth": "no"}), dialect=GEOCHAT)


def rows_about(images, each, seed=0):
    """Questions of which all about an image are right or all are wrong."""
    rng = np.random.default_rng(seed)
    return [
        {"question_id": f"{i}-{q}", "image": f"{i}.png", "answer": "yes" if right else "no", "ground_truth": "yes"}
        for i, right in enumerate(rng.random(images) < 0.5)
        for q in range(each)
    ]


def width(found, rule="accuracy"):
    low, high = found["intervals"][rule]
    return high - low


def test_intervals_resample_images(score):
    rows = rows_about(100, 20)
    by_image = score("vqa", *rows, replicates=1000)
    by_question = score("vqa", *({k: v for k, v in row.items() if k != "image"} for row in rows), replicates=1000)
    share = by_image["accuracy"] / 100
    assert width(by_image) == pytest.approx(100 * 2 * 1.96 * (share * (1 - share) / 100) ** 0.5, rel=0.08)
    assert width(by_image) > 4 * width(by_question)  # by the square root of twenty, were questions independent
    assert by_image["resampled"] == {"images": 100}
    assert by_question["resampled"] == {"question ids": 2000}


def test_the_order_of_lines_does_not_matter(score):
    rows = rows_about(30, 5)
    assert score("vqa", *rows, replicates=200)["intervals"] == score("vqa", *rows[::-1], replicates=200)["intervals"]


def test_questions_about_one_image_have_no_interval(score):
    found = score("vqa", *rows_about(1, 20), replicates=100)
    assert "accuracy" not in found["intervals"]
    counted = Shares(("right",), replicates=10)
    for number in range(8):
        counted.add([(number % 2, 1)], [f"of {number % 4}"], f"image {number % 4}")
    assert np.isnan(counted.figure("right", "of 1").low)
    assert np.isfinite(counted.mean("right", ["of 1", "of 2"]).percent)
    assert np.isfinite(counted.figure("right").low)


def test_paired_differences_resample_images(tmp_path):
    first, second = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    ours, theirs = rows_about(100, 20), rows_about(100, 20, seed=1)
    first.write_text("\n".join(map(json.dumps, ours)))
    second.write_text("\n".join(map(json.dumps, theirs)))
    found = compare(first, second, "vqa", ScorerSettings(1000), dialects=(GEOCHAT, GEOCHAT))
    right = np.array([[row["answer"] == "yes" for row in rows[::20]] for rows in (ours, theirs)], float)
    spread = (right[0] - right[1]).std() / 10
    difference = found.differences["accuracy"]
    assert difference.high - difference.low == pytest.approx(100 * 2 * 1.96 * spread, rel=0.1)
    assert found.to_dict()["resampled"] == {"images": 100}


def test_the_table_says_what_was_resampled(write, capsys):
    assert main(["eval", "score", str(write(*rows_about(3, 2))), "--as", "vqa"]) == 0
    assert "intervals resample 3 images" in capsys.readouterr().out
    rows = [{k: v for k, v in row.items() if k != "image"} for row in rows_about(3, 2)]
    assert main(["eval", "score", str(write(*rows)), "--as", "vqa"]) == 0
    assert "where a line names no image, its question id stands for it" in capsys.readouterr().out


def test_weights_are_poisson_and_independent():
    units = np.array([unit_key(f"image {n}") for n in range(300)], np.uint64)
    weights = unit_weights(units, 1000, 0)
    assert weights.mean() == pytest.approx(1, abs=0.01)
    assert weights.var() == pytest.approx(1, abs=0.02)
    assert np.abs(np.corrcoef(weights[:, :40].T) - np.eye(40)).max() < 0.15
    assert np.abs(np.corrcoef(weights[:40]) - np.eye(40)).max() < 0.3
    assert abs(np.corrcoef(weights.ravel(), unit_weights(units, 1000, 1).ravel())[0, 1]) < 0.01
