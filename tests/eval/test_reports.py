"""Reports of a run, runs beside each other, and cards."""

import json
import re

import numpy as np
import pytest
from PIL import Image

from geochat.cli import main
from geochat.dialects import GEOCHAT
from geochat.errors import DataError
from geochat_eval.benchmarks import Sources
from geochat_eval.reports import compare, report, write_report
from geochat_eval.runs import Prediction, Run, RunSettings
from geochat_eval.scorers import ScorerSettings

CLASSES = ("beach", "forest", "port")


class Answers:
    """Answers by a function of the question's row."""

    sha256 = "f" * 64

    def __init__(self, name, function):
        self.name, self._function = name, function

    def predict(self, questions):
        for asked in questions:
            yield asked.number, Prediction(self._function(asked.row))


@pytest.fixture
def imagery(tmp_path):
    for place, name in enumerate(CLASSES):
        for number in range(8):
            path = tmp_path / "imagery" / name / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.full((20, 40, 3), 60 * place + number, np.uint8)).save(path)
    return tmp_path / "imagery"


@pytest.fixture
def scenes(tmp_path, imagery):
    """Runs `scenes` with answers of one's own; gives the folder."""

    def run(name, function, **changes):
        work = Run(tmp_path / name, RunSettings("scenes", Sources(imagery, dialect=GEOCHAT), **changes))
        list(work.answer(Answers(name, function)))
        return tmp_path / name

    return run


def seeing(row):
    return "forest" if row["question_id"].endswith("/0.png") else row["ground_truth"]


def test_the_three_reports_say_the_same(scenes):
    made = report(scenes("model <i>", seeing))
    data, text, page = (path.read_text(encoding="utf-8") for path in write_report(made))
    found = json.loads(data)
    assert found["headline"]["accuracy"]["percent"] == found["scores"]["accuracy"] == 91.67
    assert found["model_sha256"] == "f" * 64
    assert found["scores"]["confusion"]["beach"] == {"beach": 7, "forest": 1}
    assert found["software"]["geochat"]
    assert found["seconds"] >= 0
    assert "| `accuracy` | 91.67 |" in text
    assert "| beach | 7 | 1 |  |" in text
    assert "91.67" in page
    assert "model &lt;i&gt;" in page


def test_the_page_needs_nothing_beside_it(scenes):
    page = write_report(report(scenes("model", seeing)))[-1].read_text(encoding="utf-8")
    links = re.findall(r'(?:src|href)\s*=\s*"([^"]*)"|url\(([^)]*)\)', page)
    assert links
    assert all(link.startswith("data:image/jpeg;base64,") for pair in links for link in pair if link)


def test_worst_best_and_random_answers_are_shown_on_their_images(scenes):
    examples = report(scenes("model", seeing), examples=3).examples
    assert [example.quality for example in examples["worst"]] == [0, 0, 1]
    assert [example.quality for example in examples["best"]] == [1, 1, 1]
    assert len(examples["at random"]) == 3
    assert examples["worst"][0].place == (0, 25, 100, 50)  # a 2:1 image in its square
    assert report(scenes("model", seeing), examples=0).examples == {}


def test_boxes_are_drawn_where_they_are(tmp_path, imagery):
    row = {"question_id": 1, "image_id": "beach/0", "question": "the hut", "type": "ref"}
    row["ground_truth"] = "{<10><30><20><40>|<90>}"
    questions = tmp_path / "referring.jsonl"
    questions.write_text(json.dumps(row) + "\n")
    work = Run(tmp_path / "run", RunSettings("referring", Sources(imagery, questions, dialect=GEOCHAT)))
    list(work.answer(Answers("model", lambda _row: "<p>the hut</p> {<10><30><20><42>|<90>}")))
    example = report(tmp_path / "run").examples["best"][0]
    assert set(example.true[0].split()) == {"10.00,30.00", "20.00,30.00", "20.00,40.00", "10.00,40.00"}
    assert len(example.found) == 1
    page = write_report(report(tmp_path / "run"))[-1].read_text()
    assert page.count('class="found"') == page.count('class="true"') == 3  # random, worst and best


def test_a_blind_run_stands_beside(scenes):
    model, blind = scenes("model", seeing), scenes("model.blind", lambda _row: "port", blind=True)
    made = report(model, beside={"blind": blind})
    beside = made.reference_figures("accuracy")
    assert beside["majority"] == "33.33"
    assert beside["blind"].startswith("33.33 (this one +58.33, ")
    assert "blind 33.33" in write_report(made)[1].read_text()


def test_differences_are_paired(scenes):
    a, b = scenes("a", seeing), scenes("b", lambda row: seeing(row) if row["ground_truth"] != "port" else "port")
    found = compare(a / "answers.jsonl", b / "answers.jsonl", "scene", ScorerSettings(), dialects=(GEOCHAT, GEOCHAT))
    difference = found.differences["accuracy"]
    assert difference.percent == pytest.approx(100 * (22 - 22 - 1) / 24)
    assert (found.better, found.worse, found.equal) == (0, 1, 23)
    apart = found.first.figures["accuracy"]
    assert difference.high - difference.low < (apart.high - apart.low) * 0.8
    assert found.differences["accuracy/class/beach"].percent == 0
    same = compare(
        a / "answers.jsonl", a / "answers.jsonl", "scene", ScorerSettings(), dialects=(GEOCHAT, GEOCHAT)
    ).differences
    assert {(d.percent, d.low, d.high) for d in same.values()} == {(0, 0, 0)}


def test_only_questions_both_answered_are_compared(scenes, tmp_path):
    a = scenes("a", seeing) / "answers.jsonl"
    lines = a.read_text().splitlines()
    other = tmp_path / "other.jsonl"
    changed = json.loads(lines[1]) | {"ground_truth": "port"}
    other.write_text("\n".join(["bad", lines[0], json.dumps(changed), *lines[2:10]]) + "\n")
    found = compare(a, other, "scene", ScorerSettings(), dialects=(GEOCHAT, GEOCHAT))
    assert found.report.used == 9
    assert found.report.reasons == {"the two have different truths for it": 1, "only the first answers it": 14}
    other.write_text('{"question_id": "x", "answer": "y"}\n')
    with pytest.raises(DataError, match="no question in common"):
        compare(a, other, "scene", ScorerSettings(), dialects=(GEOCHAT, GEOCHAT))


def test_an_unfinished_run_has_no_report(tmp_path, imagery):
    work = Run(tmp_path / "run", RunSettings("scenes", Sources(imagery, dialect=GEOCHAT)))
    next(work.answer(Answers("model", seeing)))
    with pytest.raises(DataError, match="not finished"):
        report(tmp_path / "run")
    with pytest.raises(DataError, match="holds no run"):
        report(imagery)


def test_failures_and_lines_left_out_are_told(tmp_path, imagery):
    rows = [
        {"question_id": "beach/0", "image": "beach/0.png", "text": "?"},
        {"question_id": "beach/1", "text": "?"},
    ]
    questions = tmp_path / "aid.jsonl"
    questions.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    answers = tmp_path / "theirs.jsonl"
    answers.write_text('{"question_id": "beach/0", "answer": "beach"}\n')
    argv = ["--images", str(imagery), "--questions", str(questions), "--answers", str(answers)]
    assert main(["eval", "run", "aid", *argv, "--out", str(tmp_path / "run")]) == 0
    text = (tmp_path / "run" / "report.md").read_text()
    assert "1 lines of the benchmark: it has no field 'image or image_id'" in text


def test_the_commands(scenes, capsys):
    model, blind = scenes("model", seeing), scenes("model.blind", lambda _row: "port", blind=True)
    assert main(["eval", "report", str(model), "--beside", f"blind={blind}", "--examples", "2"]) == 0
    assert capsys.readouterr().out.count("wrote ") == 3
    assert main(["eval", "compare", str(model), str(blind), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["differences"]["accuracy"]["difference"] == 58.33
    assert main(["eval", "compare", str(model), str(blind)]) == 0
    assert "15 questions answered better by A" in capsys.readouterr().out
    files = [str(path / "answers.jsonl") for path in (model, blind)]
    assert main(["eval", "compare", *files]) == 1
    assert "--as" in capsys.readouterr().err
    assert main(["eval", "compare", *files, "--as", "scene"]) == 0
    capsys.readouterr()
    assert main(["eval", "card", str(model)]) == 0
    table = capsys.readouterr().out.splitlines()
    assert table[2].startswith("| scenes | `accuracy` | 91.67 | ")
    assert "blind 33.33" in table[2]
    assert "`geochat eval run scenes --images imagery --split test`" in table[2]


@pytest.mark.parametrize(
    ("asked", "answers"),
    [
        ("ucm-captions", "answers.jsonl"),
        ("own:boxes ucm/captions.jsonl --questions captions", "captions/answers.jsonl"),
    ],
)
def test_majority_captions_know_the_class_alone(tmp_path, monkeypatch, capsys, asked, answers):
    rows = []
    for scene in CLASSES:
        for split, number in (("train", 0), ("train", 1), ("test", 2)):
            name = f"{split}/{scene}/{scene}{number}.jpg"
            path = tmp_path / "ucm" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (16, 16)).save(path)
            captions = [f"The usual {scene} .", f"Number {number} ."]
            rows.append({"image": name, "split": split, "scene": scene, "captions": captions})
    (tmp_path / "ucm" / "captions.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    sources = Sources(tmp_path / "ucm", dialect=GEOCHAT)
    run = Run(tmp_path / "scenes", RunSettings("ucmerced", sources))
    list(run.answer(Answers("model", lambda row: "port" if "beach" in row["image"] else row["ground_truth"])))
    monkeypatch.chdir(tmp_path)
    line = f"eval run {asked} --images ucm --split test --majority-caption scenes --out majority --no-report"
    assert main(line.split()) == 0
    found = [json.loads(line) for line in (tmp_path / "majority" / answers).read_text().splitlines()]
    assert {row["scene"]: row["answer"] for row in found} == {
        "beach": "The usual port .",
        "forest": "The usual forest .",
        "port": "The usual port .",
    }
    assert capsys.readouterr().out.startswith("wrote ")
    if asked.startswith("own:"):  # without splits, the training captions would be those asked for
        for row in rows:
            row["split"] = None
        (tmp_path / "ucm" / "captions.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
        assert main(line.replace("out majority", "out other").split()) == 1
        assert "split" in capsys.readouterr().err
