"""The figures of the bundled model on photographs that training never saw."""

import random
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from geochat.errors import PromptError
from geochat.geometry import OrientedBox
from geochat.prompts import Task
from geochat_data.records import LabelledImage, LabelledObject
from geochat_mini.measure import BLIND, figures, main, table
from geochat_mini.paraphrases import paraphrases
from geochat_mini.trials import trials, windowed

PLANE = OrientedBox(10, 10, 30, 30)
TURNED = OrientedBox(10, 15, 30, 25, 45)
COUNTS = [(f"{n}.jpg", {"scene, a": (n % 2, 1), "scene, b": (1, 1), BLIND + "scene, a": (0.25, 1)}) for n in range(40)]


def image(*boxes, name="ucm/airplane1.jpg", labelled=frozenset({"airplane", "ship"}), **more):
    objects = tuple(LabelledObject("airplane", box.corners()) for box in boxes)
    return LabelledImage(None, 100, 100, objects=objects, labelled=labelled, name=name, **more)


def answer(text="", *boxes, choice=None, reply=None):
    return SimpleNamespace(
        plain_text=text,
        regions=[SimpleNamespace(geometry=box) for box in boxes],
        choice=choice,
        interpretation=SimpleNamespace(reply=reply),
    )


def of(asked, figure, given):
    """The counts of a figure when every question is answered by `given`."""
    return next(found[figure] for each in asked if figure in (found := each.score(given)))


class TestTrials:
    def test_objects_that_are_there_are_asked_for_and_counted(self):
        asked = list(trials(image(PLANE), random.Random(0)))
        words = [each.question.text for each in asked]
        assert "[refer] the airplane" in words
        assert "How many airplanes are there in the image?" in words
        assert of(asked, "presence yes, ucm", answer("Yes.")) == (1, 1)
        assert of(asked, "count, ucm", answer("2")) == (0, 1)
        assert of(asked, "refer single, airplane @0.5", answer("", PLANE)) == (1, 1)
        assert of(asked, "refer single, airplane @0.5", answer("")) == (0, 1)

    def test_what_is_not_there_is_asked_about_only_where_labels_exclude_it(self):
        asked = list(trials(image(PLANE), random.Random(0)))
        assert of(asked, "absent refused, [refer]", answer("no ship")) == (1, 1)
        assert of(asked, "absent refused, [refer]", answer("", PLANE)) == (0, 1)
        unknown = list(trials(image(labelled=frozenset()), random.Random(1)))
        assert not [
            each for each in unknown if each.question.task is not Task.SCENE and "airplane" in each.question.text
        ]

    def test_scenes_are_asked_under_own_and_other_names_and_a_guess_is_counted_beside(self):
        asked = [
            t for t in trials(image(scene="harbor", name="ucm/harbor1.jpg"), random.Random(0)) if t.question.choices
        ]
        own, renamed = asked
        assert "harbor" in own.question.choices
        assert "harbor" not in renamed.question.choices
        assert own.score(answer(choice="harbor")) == {"scene, ucm": (1, 1)}
        assert own.blind == {"scene, ucm": (1 / 21, 1)}

    def test_held_out_wordings_ask_what_the_trained_ones_ask(self):
        asked = list(trials(image(PLANE), random.Random(0)))
        assert of(asked, "held-out words, presence", answer("yes")) == of(asked, "words, presence", answer("yes"))
        some = [t.question.text for t in trials(image(scene="harbor"), random.Random(3))]
        assert {w.format(name="", one="", many="", others="") for w in paraphrases()["scene"].held_out} & set(some)

    def test_several_objects_are_paired_one_to_one(self):
        other = OrientedBox(60, 60, 80, 80)
        asked = list(trials(image(PLANE, other), random.Random(0)))
        assert of(asked, "refer all F1@0.5, airplane", answer("", PLANE, PLANE)) == (2, 4)
        assert of(asked, "refer all F1@0.5, airplane", answer("", other, PLANE)) == (4, 4)

    def test_where_labels_are_upright_so_is_the_answer_that_is_compared(self):
        upright = OrientedBox(*TURNED.polygon().bounds)
        rsod = list(trials(image(upright, name="more/rsod/val/a.jpg"), random.Random(0)))
        ucm = list(trials(image(upright), random.Random(0)))
        assert of(rsod, "refer single, airplane @0.5", answer("", TURNED)) == (1, 1)
        assert of(ucm, "refer single, airplane @0.5", answer("", TURNED)) == (0, 1)


class TestWindows:
    @pytest.fixture
    def photograph(self, tmp_path):
        path = tmp_path / "a.png"
        Image.fromarray(np.zeros((100, 100, 3), np.uint8)).save(path)
        things = (LabelledObject("airplane", PLANE.corners()),)
        doubtful = (LabelledObject("airplane", OrientedBox(60, 60, 80, 80).corners()),)
        return LabelledImage(path, 100, 100, objects=things, ignore=doubtful, name="evaluation-only/planes/a.png")

    def test_boxes_on_doubtful_objects_are_neither_right_nor_wrong(self, photograph):
        found = [SimpleNamespace(box=PLANE), SimpleNamespace(box=OrientedBox(60, 60, 80, 80))]
        chat = SimpleNamespace(find=lambda *_, **__: found)
        assert windowed(chat, photograph, 256) == {"windows F1@0.5, planes, airplane": (2, 2)}

    def test_a_category_the_model_does_not_know_is_not_found(self, photograph):
        def find(*_, **__):
            raise PromptError("unknown")

        assert windowed(SimpleNamespace(find=find), photograph, 256) == {"windows F1@0.5, planes, airplane": (0, 1)}


class TestTable:
    def test_means_count_each_source_alike_and_intervals_are_over_photographs(self):
        found = figures(COUNTS)
        assert found["scene, a"].percent == 50
        assert found["scene, own names"].percent == 75
        assert 30 < found["scene, a"].low < 50 < found["scene, a"].high < 70
        assert found[BLIND + "scene, own names"].percent == 25

    def test_runs_stand_side_by_side(self):
        lines = list(table({"old": figures(COUNTS), "new": figures(COUNTS[::2])}))
        assert lines[0] == "| figure | n | blind | old | new |"
        row = next(line for line in lines if line.startswith("| scene, a |"))
        assert row.startswith("| scene, a | 40 | 25.0 | 50.0 (")
        assert "| 0.0 (0.0-0.0) |" in row

    def test_a_run_is_shown_from_its_folder(self, tmp_path, capsys):
        (tmp_path / "counts.jsonl").write_text('{"image": "a", "counts": {"count, ucm": [1, 2]}}\n')
        main(["show", str(tmp_path)])
        assert "| count, ucm | 2 |  | 50.0" in capsys.readouterr().out
