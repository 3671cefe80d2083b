"""A dual encoder on the questions of a scene benchmark, beside models that talk."""

import json

import numpy as np
import pytest
from PIL import Image

from geochat.cli import main
from geochat.clip import Classifier, CoOp, PromptSettings, read_prompts, save_prompts
from geochat.dialects import GEOCHAT
from geochat.errors import PromptError
from geochat.prompts import Task
from geochat_eval.benchmarks import Sources
from geochat_eval.runs import Run, RunSettings
from geochat_eval.runs.classifier import ClassifierPredictor, classes_in_prompt

CLASSES = ("airport", "port", "satellite")


@pytest.fixture
def scenes(tmp_path):
    draw = np.random.default_rng(0)
    for name in CLASSES:
        (tmp_path / "scenes" / name).mkdir(parents=True)
        for number in range(3):
            picture = draw.integers(0, 256, (20, 24, 3), np.uint8)
            Image.fromarray(picture).save(tmp_path / "scenes" / name / f"{number}.png")
    return tmp_path / "scenes"


def answers(folder):
    return [json.loads(line) for line in (folder / "answers.jsonl").read_text().splitlines()]


@pytest.mark.parametrize(
    "prompt",
    [
        GEOCHAT.compose("port, airport, golf course", Task.SCENE),
        "<image>\nClassify the given image in one of the following classes. Classes: golf course,  airport, port",
        "Which of the classes: a? Classes: port, golf course, airport, port. Answer in one word.",
    ],
)
def test_classes_are_read_from_the_question(prompt):
    assert classes_in_prompt(prompt) == ("airport", "golf course", "port")


def test_a_question_without_classes_is_an_error():
    with pytest.raises(PromptError, match="names no classes"):
        classes_in_prompt("What is in the image?")


def test_it_answers_with_the_likeliest_class(scenes, encoder, tmp_path):
    (scenes / "port" / "broken.png").write_bytes((scenes / "port" / "0.png").read_bytes()[:90])
    run = Run(tmp_path / "run", RunSettings("scenes", Sources(scenes, dialect=GEOCHAT)))
    list(run.answer(ClassifierPredictor(encoder)))
    classifier = Classifier.zero_shot(encoder, CLASSES)
    rows = answers(tmp_path / "run")
    assert len(rows) == 9
    assert all(row["answer"] == classifier.classify(scenes / row["image"]).label for row in rows)
    (failure,) = (tmp_path / "run" / "failures.jsonl").read_text().splitlines()
    assert "broken.png" in json.loads(failure)["error"]
    about = json.loads((tmp_path / "run" / "run.json").read_text())
    assert (about["model"], about["model_sha256"]) == (f"{encoder.name}, zero-shot", encoder.sha256)


@pytest.mark.parametrize("class_specific", [False, True])
def test_learned_prompts_answer_too(class_specific, scenes, encoder, tmp_path, capsys, tiny_clip):
    file = tmp_path / "learned.safetensors"
    save_prompts(CoOp(encoder, CLASSES[::-1], PromptSettings(3, class_specific=class_specific)), file, {})
    out = tmp_path / "run"
    arguments = ["eval", "run", "scenes", "--images", str(scenes), "--out", str(out), "--model", str(tiny_clip)]
    assert main([*arguments, "--classifier", "--prompts", str(file)]) == 0
    assert f"wrote {out / 'answers.jsonl'}" in capsys.readouterr().out
    classifier = Classifier.learned(encoder, read_prompts(file))
    assert [row["answer"] for row in answers(out)] == [
        classifier.classify(scenes / row["image"]).label for row in answers(out)
    ]


def test_a_withheld_image_is_no_question_for_it(scenes, encoder, tmp_path, capsys):
    run = Run(tmp_path / "run", RunSettings("scenes", Sources(scenes, dialect=GEOCHAT), blind=True))
    list(run.answer(ClassifierPredictor(encoder)))
    assert answers(tmp_path / "run") == []
    arguments = ["eval", "run", "scenes", "--images", str(scenes), "--out", str(tmp_path / "other")]
    assert main([*arguments, "--classifier", "--blind"]) == 1
    assert "--blind withholds images" in capsys.readouterr().err
