"""A model on Ray as a predictor: the same answers as in one process. Here the cluster is this process."""

import json
import runpy
from pathlib import Path

from geochat.archive.cluster import Cluster
from geochat.dialects import GEOCHAT
from geochat_eval.benchmarks import Sources
from geochat_eval.runs import ChatPredictor, Run, RunSettings, on_ray

HashEngine = runpy.run_path(str(Path(__file__).with_name("answering.py")))["HashEngine"]


def answered_here(cluster, count, expand, load):
    """Items answered as workers do, last ones first."""
    rows = [json.loads(json.dumps(row)) for item in reversed(range(count)) for row in expand(item)]
    answer = load()
    for start in range(0, len(rows), 3):
        yield from json.loads(json.dumps(answer(rows[start : start + 3])))


def test_the_answers_are_those_of_one_process(tmp_path, images, monkeypatch):
    questions = tmp_path / "lrben.jsonl"
    rows = [
        {"question_id": n, "image": f"{n % 5}.png", "text": f"q{n}?", "category": "comp", "ground_truth": "yes"}
        for n in range(12)
    ]  # one image in five is missing
    questions.write_text("".join(json.dumps(row) + "\n" for row in rows))
    monkeypatch.setattr(on_ray, "answered_there", answered_here)
    monkeypatch.setattr(on_ray, "model_there", lambda _cluster, engine: engine().info)
    settings = RunSettings("rsvqa-lr", Sources(images, questions, dialect=GEOCHAT))
    predictors = {"here": ChatPredictor(HashEngine()), "ray": on_ray.RayPredictor(Cluster("local"), HashEngine)}
    written = []
    for name, predictor in predictors.items():
        run = Run(tmp_path / name, settings)
        list(run.answer(predictor))
        written.append([(tmp_path / name / f"{kind}.jsonl").read_bytes() for kind in ("answers", "failures")])
    assert written[0] == written[1]
    assert all(written[0])
