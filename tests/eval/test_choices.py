"""Choices offered with a question, to an engine that cannot score them."""

import json
import runpy
from pathlib import Path

import pytest

from geochat.dialects import GEOCHAT
from geochat.engines import Chunk, Usage
from geochat.models.info import Capabilities
from geochat_eval.benchmarks import Sources
from geochat_eval.runs import ChatPredictor, EvaluationFolder, Run, RunSettings

HashEngine = runpy.run_path(str(Path(__file__).with_name("answering.py")))["HashEngine"]


@pytest.fixture
def answer_questions(images, tmp_path):
    """Asks four questions, with an engine and settings; gives the finished run."""
    path = tmp_path / "lrben.jsonl"
    row = {"image": "0.png", "category": "comp", "ground_truth": "yes"}
    path.write_text("".join(json.dumps({"question_id": n, "text": f"q{n}?", **row}) + "\n" for n in range(4)))

    def finish(engine, **changes):
        run = Run(tmp_path / "run", RunSettings("rsvqa-lr", Sources(images, path, dialect=GEOCHAT), **changes))
        list(run.answer(ChatPredictor(engine)))
        return run

    return finish


class ChoosingEngine(HashEngine):
    """Writes what it is told to, and cannot score."""

    def __init__(self, text):
        super().__init__()
        self.text = text
        self.seen = []

    def stream(self, request):
        self.seen.append(request)
        yield Chunk(self.text, "stop", Usage(1, 1))


@pytest.mark.parametrize(
    ("text", "answer", "method"),
    [("Yes.", "yes", "matched"), ("yes", "yes", "matched"), ("I cannot tell", "I cannot tell", "unmatched")],
)
def test_what_an_engine_that_cannot_score_wrote_is_matched(text, answer, method, answer_questions):
    engine = ChoosingEngine(text)
    assert engine.info.capabilities == Capabilities()
    run = answer_questions(engine, choices=True, limit=2)
    rows = [json.loads(line) for line in run.folder.answers.read_text().splitlines()]
    assert [(row["answer"], row["choice_method"], row.get("written")) for row in rows] == [
        (answer, method, text if text != answer else None)
    ] * 2
    assert all(request.choices == () for request in engine.seen)
    assert all(request.messages[-1].text == row["prompt"] for request, row in zip(engine.seen, rows, strict=True))


def test_nothing_is_offered_unless_asked(tmp_path, answer_questions):
    run = answer_questions(HashEngine())
    assert b"choices" not in run.folder.questions.read_bytes()
    assert b"choice" not in run.folder.answers.read_bytes()
    assert EvaluationFolder(tmp_path / "run").read_settings()["choices"] is False
