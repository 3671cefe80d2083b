"""Reading files: formats, broken lines, the command."""

import json
import tracemalloc

import pytest

from geochat.cli import main
from geochat.dialects import GEOCHAT
from geochat.errors import DataError, SettingsError
from geochat_eval.formats import FORMATS
from geochat_eval.score import score_file
from geochat_eval.scorers import SCORERS, ScorerSettings

GOOD = {"answer": "yes", "ground_truth": "yes"}


def test_the_command_line_takes_every_scorer_and_format(capsys):
    with pytest.raises(SystemExit):
        main(["eval", "score", "--help"])
    listed = " ".join(capsys.readouterr().out.split())
    assert f"what was asked: {', '.join(SCORERS)}" in listed
    assert ", ".join(FORMATS) in listed


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("{", "not JSON"),
        ("[1]", "not a JSON object"),
        ({"ground_truth": "yes"}, "it has no field 'answer'"),
        ({"answer": None, "ground_truth": "yes"}, "the answer is null, not text"),
        ({"answer": ["yes"], "ground_truth": "yes"}, "the answer is a list, not text"),
        ({"answer": "yes"}, "it has no ground truth"),
        ({"answer": "yes", "ground_truth": {"a": 1}}, "the ground truth is a dict, not text"),
    ],
)
def test_a_line_that_cannot_be_scored_is_counted(score, row, reason):
    found = score("vqa", GOOD, row, "", GOOD)
    assert found["accuracy"] == 100
    assert found["lines"]["used"] == 2
    (place,) = found["lines"]["reasons"][reason]["places"]
    assert place.endswith("answers.jsonl:2")
    with pytest.raises(DataError, match=r":2: "):
        score("vqa", GOOD, row, strict=True)


@pytest.mark.parametrize(
    "truth",
    [
        [["a"]],
        [[1, 2, 3]],
        [[[[[[[[1, 2, 3, 4]]]]]]]],
        {"x": 1},
        5,
        [[1, 2, 3, 4, 5, 6, 7]],
        [[1, 2], [3, 4]],
        [[1e999, 2, 3, 4]],
    ],
)
def test_boxes_that_cannot_be_read_are_counted(score, truth):
    good = {"answer": "{<1><2><3><4>|<5>}", "ground_truth": [[1, 2, 3, 4, 5]]}
    found = score("referring", good, {**good, "ground_truth": truth, "width": 10, "height": 10})
    assert (found["lines"]["used"], found["lines"]["skipped"]) == (1, 1)
    assert found["matched_boxes@0.5"] == 100


@pytest.mark.parametrize("rows", [[], ["", "  "], ["not json"], [{"a": 1}]])
def test_nothing_to_score_is_an_error(score, rows):
    with pytest.raises(DataError, match="no answer that can be scored as vqa"):
        score("vqa", *rows)


def test_what_does_not_exist_is_an_error(tmp_path, write):
    with pytest.raises(DataError, match="cannot read"):
        score_file(tmp_path / "gone.jsonl", "vqa", dialect=GEOCHAT)
    with pytest.raises(SettingsError, match="'poetry' is unknown"):
        score_file(write(GOOD), "poetry", dialect=GEOCHAT)
    with pytest.raises(SettingsError, match="replicates=-1"):
        ScorerSettings(replicates=-1)


def test_lmms_eval_logs(score):
    old = {
        "doc_id": 0,
        "doc": {"type": "presence", "answer": "no"},
        "target": "yes",
        "resps": [["Yes it is"]],
        "filtered_resps": ["yes"],
    }
    new = {"doc_id": 1, "target": "yes", "filtered_resps": [["no"]], "rsvqa": {"category": "comp", "score": 0}}
    found = score("vqa", old, new, format_name="lmms-eval")
    assert found["accuracy/type/presence"] == 100
    assert found["accuracy/type/comp"] == 0
    boxes = {"target": "{<10><10><30><30>|<0>}", "filtered_resps": ["[[10, 10, 30, 30, 0]]"]}
    assert score("referring", boxes, format_name="lmms-eval")["all_matched@0.75"] == 100
    captions = {"target": ["a ship", "one ship"], "filtered_resps": ["one ship"]}
    assert score("image-caption", captions, format_name="lmms-eval")["rouge_1"] == 100


def test_truths_from_another_file(tmp_path, write):
    truths = tmp_path / "truths.jsonl"
    truths.write_text('{"question_id": 7, "text": "Is there water?", "ground_truth": "yes", "category": "presence"}\n')
    answers = write({"question_id": "7", "answer": "Yes"}, {"question_id": 8, "answer": "no"})
    found = score_file(answers, "vqa", settings=ScorerSettings(replicates=0), truths=truths, dialect=GEOCHAT).to_dict()
    assert found["accuracy/type/presence"] == 100
    assert list(found["lines"]["reasons"]) == ["its question_id is not among the truths"]
    with pytest.raises(DataError, match="no line with a question_id"):
        score_file(answers, "vqa", truths=write(GOOD), dialect=GEOCHAT)


def test_a_long_file_is_not_held(write):
    settings = ScorerSettings(replicates=20)
    score_file(write(*[GOOD] * 5), "vqa", settings=settings, dialect=GEOCHAT)  # imports and caches
    path = write(*[{**GOOD, "question": "?" * 1000}] * 8_000)
    tracemalloc.start()
    try:
        score_file(path, "vqa", settings=settings, dialect=GEOCHAT)
        assert tracemalloc.get_traced_memory()[1] < 2_000_000  # the file has 8 MB
    finally:
        tracemalloc.stop()


def test_the_command_prints_one_object(capsys, write):
    assert main(["eval", "score", str(write(GOOD, "{", GOOD)), "--as", "vqa", "--json", "--bootstrap", "10"]) == 0
    captured = capsys.readouterr()
    found = json.loads(captured.out)
    assert found["accuracy"] == 100
    assert found["intervals"]["accuracy"] == [100, 100]
    assert found["about"]["task"] == "vqa"
    assert "1 lines left out: not JSON" in captured.err
    assert "answers.jsonl:2" in captured.err


def test_the_command_prints_a_table(capsys, write):
    assert main(["eval", "score", str(write(GOOD)), "--as", "vqa", "--bootstrap", "0"]) == 0
    first, *rest = capsys.readouterr().out.splitlines()
    assert "percent" in first
    assert any(line.split() == ["accuracy", "100.00", "1"] for line in rest)
    assert "without a model" in rest


def test_groups_stand_below_their_rule(capsys, write):
    assert main(["eval", "score", str(write(GOOD)), "--as", "scene", "--bootstrap", "0"]) == 0
    names = [line.split()[0] for line in capsys.readouterr().out.splitlines()[1:6]]
    assert names == ["accuracy", "macro", "class/yes", "plain", "geochat"]


def test_the_command_stops_where_it_is_strict(capsys, write):
    assert main(["eval", "score", str(write(GOOD, "{")), "--as", "vqa", "--strict"]) == 1
    assert "answers.jsonl:2: not JSON" in capsys.readouterr().err
