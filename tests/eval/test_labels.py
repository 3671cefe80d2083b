import pytest


def scene(answer, truth, **fields):
    return {"answer": answer, "ground_truth": truth, **fields}


def vqa(answer, truth, kind):
    return {"answer": answer, "ground_truth": truth, "category": kind}


def test_scene_rules_differ_where_they_say(score):
    found = score(
        "scene",
        scene("Airplane.", "airplane"),
        scene("dense residential", "Dense Residential"),
        scene("river", "beach"),
        scene("something else", "beach"),
    )
    assert found["accuracy"] == 50
    assert found["geochat"] == 25  # the truth keeps its space
    assert found["earthdial"] == 25  # the answer keeps its full stop
    assert found["accuracy/class/airplane"] == 100
    assert found["accuracy/class/beach"] == 0
    assert found["accuracy/macro"] == pytest.approx(66.67)
    assert found["baselines"] == {"majority/accuracy": 50}
    assert found["confusion"] == {
        "airplane": {"airplane": 1},
        "beach": {"(no class)": 2},
        "denseresidential": {"denseresidential": 1},
    }


def test_the_original_names_the_scene_in_the_question(score):
    found = score("scene", {"question_id": "Airport/airport_1.jpg", "answer": "airport"})
    assert found["geochat"] == 100


def test_vqa_by_type_micro_and_macro(score):
    rows = [vqa("yes", "yes", "presence"), vqa("No.", "no", "presence"), vqa("no", "no", "presence")]
    rows += [vqa("no", "yes", "comp"), vqa(3, "3", "count"), vqa("4", 5, "count")]
    found = score("vqa", *rows)
    assert found["accuracy"] == pytest.approx(100 * 4 / 6, abs=0.01)
    assert found["accuracy/without_count"] == 75
    assert found["accuracy/macro"] == 50
    assert found["accuracy/without_count_macro"] == 50
    assert found["earthdial/type/presence"] == pytest.approx(66.67)  # "No." is not "no"
    assert found["n"]["accuracy/without_count"] == 4
    assert found["baselines"]["majority/accuracy/type/presence"] == pytest.approx(66.67)
    assert found["baselines"]["majority/accuracy"] == pytest.approx(66.67)  # 2 of 3, 1 of 1, 1 of 2


def test_only_counting_questions_leave_nothing_without(score):
    found = score("vqa", vqa("1", "1", "count"), {"answer": "2", "ground_truth": "2", "type": "object quantity"})
    assert "accuracy/without_count" not in found
    assert found["accuracy"] == 100
