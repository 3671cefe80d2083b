"""The loop: grouping, resuming, sharing, and what goes wrong."""

import json
import os
import random
import runpy
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from geochat.cli import main
from geochat.dialects import GEOCHAT
from geochat.errors import DataError, SettingsError
from geochat_eval.benchmarks import BENCHMARKS, Sources
from geochat_eval.runs import ChatPredictor, FilePredictor, Prediction, Run, RunSettings

PROGRAM = Path(__file__).with_name("answering.py")
ROOT = Path(__file__).parents[2]
HashEngine = runpy.run_path(str(PROGRAM))["HashEngine"]


@pytest.fixture
def questions(tmp_path):
    """Writes a file of questions, interleaved over four images; `extra` lines go in the middle."""

    def write(count=40, extra=(), name="lrben.jsonl"):
        rows = [
            json.dumps(
                {"question_id": n, "image": f"{n % 4}.png", "text": f"q{n}?", "category": "comp", "ground_truth": "yes"}
            )
            for n in range(count)
        ]
        rows[count // 2 : count // 2] = extra
        path = tmp_path / name
        path.write_text("".join(f"{row}\n" for row in rows), encoding="utf-8")
        return path

    return write


def settings(images, questions, **changes):
    return RunSettings("rsvqa-lr", Sources(images, questions, dialect=GEOCHAT), **changes)


def finish(out, settings, engine=None, rank=0, world=1):
    run = Run(out, settings)
    list(run.answer(ChatPredictor(engine or HashEngine()), rank, world))
    return run


def lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_every_question_is_answered_in_order_and_an_image_is_opened_once(tmp_path, images, questions):
    opened = []

    class Keeping(HashEngine):
        def stream(self, request):
            opened.extend(image for image in request.images if not any(image is known for known in opened))
            return super().stream(request)

    engine = Keeping()
    run = finish(tmp_path / "run", settings(images, questions()), engine)
    rows = lines(run.folder.answers)
    assert [row["question_id"] for row in rows] == list(range(40))
    assert all(row["answer"] and row["ground_truth"] == "yes" for row in rows)
    assert rows[0]["prompt"] == "q0?\nAnswer the question using a single word or phrase."
    assert len(opened) == 4
    assert run.folder.failures.read_text() == ""


def test_a_finished_run_asks_nothing_again(tmp_path, images, questions):
    path = questions()
    first = finish(tmp_path / "run", settings(images, path)).folder.answers.read_bytes()
    engine = HashEngine()
    assert finish(tmp_path / "run", settings(images, path), engine).folder.answers.read_bytes() == first
    assert engine.requests == 0


def test_several_processes_give_the_files_of_one(tmp_path, images, questions):
    path = questions(extra=['{"question_id": 99, "image": "gone.png", "text": "q?", "category": "comp"}'])
    alone = finish(tmp_path / "alone", settings(images, path)).folder
    engines = [HashEngine() for _ in range(3)]
    for rank, engine in enumerate(engines):
        shared = finish(tmp_path / "shared", settings(images, path), engine, rank, 3).folder
        assert shared.answers.exists() == (rank == 2)
    assert sum(engine.requests for engine in engines) == 40
    assert all(engine.requests for engine in engines)
    assert shared.answers.read_bytes() == alone.answers.read_bytes()
    assert shared.failures.read_bytes() == alone.failures.read_bytes()


@pytest.mark.slow
def test_killed_at_any_moment_nothing_is_lost_and_nothing_asked_twice(tmp_path, images, questions):
    path = questions(60)
    whole = finish(tmp_path / "whole", settings(images, path)).folder
    out, asked, kills, rng = tmp_path / "killed", tmp_path / "asked", 0, random.Random(1)
    command = [sys.executable, str(PROGRAM), str(out), str(images), str(path), "0.02", str(asked)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, [ROOT, *(ROOT / r for r in ("eval", "data"))]))}
    while not (out / "answers.jsonl").exists():
        seen = asked.stat().st_size if asked.exists() else 0
        with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE) as process:
            while process.poll() is None and kills < 3 and (asked.stat().st_size if asked.exists() else 0) == seen:
                time.sleep(0.01)
            if kills < 3:
                time.sleep(rng.uniform(0, 0.25))
                process.send_signal(signal.SIGKILL)
                kills += 1
            assert process.wait(timeout=300) in (0, -signal.SIGKILL), process.stderr.read()
    assert (out / "answers.jsonl").read_bytes() == (whole.path / "answers.jsonl").read_bytes()
    numbers = [entry["number"] for entry in lines(out / "journal" / "0.jsonl")]
    assert sorted(numbers) == list(range(60))  # each answer was written once
    assert len(asked.read_text().splitlines()) <= 60 + kills  # but for the one under way when killed, asked once


def test_another_number_of_processes_goes_on_where_the_others_were(tmp_path, images, questions):
    path = questions(40)
    finish(tmp_path / "run", settings(images, path), rank=1, world=4)
    engine = HashEngine()
    run = finish(tmp_path / "run", settings(images, path), engine)
    assert engine.requests == 30
    alone = finish(tmp_path / "alone", settings(images, path))
    assert run.folder.answers.read_bytes() == alone.folder.answers.read_bytes()


@pytest.mark.slow
def test_accelerate_shares_the_work(tmp_path, images, questions):
    path = questions(24)
    answers = []
    for name, launcher in (("alone", []), ("shared", ["--multi_gpu", "--num_processes", "2"])):
        command = ["accelerate.commands.launch", *launcher, "-m", "geochat"] if launcher else ["geochat"]
        command += ["eval", "run", "rsvqa-lr", "--images", str(images), "--questions", str(path), "--device", "cpu"]
        command += ["--out", str(tmp_path / name), "--max-new-tokens", "6", "--no-report"]
        done = subprocess.run(
            [sys.executable, "-m", *command], capture_output=True, text=True, check=False, timeout=600
        )
        assert done.returncode == 0, done.stderr
        answers.append((tmp_path / name / "answers.jsonl").read_bytes())
    assert answers[0] == answers[1]
    journals = sorted((tmp_path / "shared" / "journal").glob("*.jsonl"))
    assert [len(lines(journal)) for journal in journals] == [12, 12]


def test_a_torn_line_is_cut_off_and_asked_again(tmp_path, images, questions):
    path = questions(8)
    run = Run(tmp_path / "run", settings(images, path))
    for progress in run.answer(ChatPredictor(HashEngine())):
        if progress.done == 5:
            break
    journal = run.folder.journal / "0.jsonl"
    with journal.open("ab") as file:
        file.write(b'{"number": 7, "ans')
    engine = HashEngine()
    finish(tmp_path / "run", settings(images, path), engine)
    assert engine.requests == 3
    assert len(lines(journal)) == 8


def test_what_cannot_be_asked_is_recorded_and_the_run_goes_on(tmp_path, images, questions):
    (images / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nno")
    bad = [
        '{"question_id": "a", "image": "gone.png", "text": "q?", "category": "comp"}',
        '{"question_id": "b", "image": "broken.png", "text": "q?", "category": "comp"}',
        '{"question_id": "c", "image": "1.png", "text": "break", "category": "comp"}',
        '{"question_id": "d", "image": "../1.png", "text": "q?", "category": "comp"}',
        '{"question_id": "e", "image": "1.png", "text": "has <image> in it", "category": "comp"}',
        '{"question_id": "f", "image": "1.png", "category": "comp"}',
        '{"torn',
        "[1]",
    ]
    path = questions(40, bad)
    run = finish(tmp_path / "run", settings(images, path))
    assert len(lines(run.folder.answers)) == 40
    failed = {row["question_id"]: row["error"] for row in lines(run.folder.failures)}
    assert failed.keys() == {"a", "b", "c", "e"}
    assert "does not exist" in failed["a"]
    assert "out of memory" in failed["c"]
    left_out = run.folder.read_settings()["left_out"]
    assert sum(reason["count"] for reason in left_out.values()) == 4
    assert any("leads out" in reason for reason in left_out)


def test_retry_asks_only_what_failed(tmp_path, images, questions):
    path = questions(8, ['{"question_id": "late", "image": "late.png", "text": "q?", "category": "comp"}'])
    finish(tmp_path / "run", settings(images, path))
    Image.new("RGB", (8, 8)).save(images / "late.png")
    engine = HashEngine()
    assert lines(finish(tmp_path / "run", settings(images, path), engine).folder.failures)
    assert engine.requests == 0
    run = finish(tmp_path / "run", settings(images, path, retry=True), engine)
    assert engine.requests == 1
    assert lines(run.folder.failures) == []
    assert len(lines(run.folder.answers)) == 9


def test_strict_stops_at_the_first_failure(tmp_path, images, questions):
    missing = ['{"question_id": "a", "image": "gone.png", "text": "q?", "category": "comp"}']
    with pytest.raises(DataError, match="does not exist"):
        finish(tmp_path / "one", settings(images, questions(8, missing), strict=True))
    with pytest.raises(DataError, match="not JSON"):
        finish(tmp_path / "two", settings(images, questions(8, ["{"]), strict=True))
    assert not (tmp_path / "two" / "questions.jsonl").exists()


def test_other_settings_or_another_model_need_another_folder(tmp_path, images, questions):
    path = questions(8)
    finish(tmp_path / "run", settings(images, path))
    with pytest.raises(SettingsError, match="blind=False, not True"):
        finish(tmp_path / "run", settings(images, path, blind=True))
    other = HashEngine(sha256="1" * 64)
    with pytest.raises(SettingsError, match="model_sha256"):
        finish(tmp_path / "run", settings(images, path), other)
    with pytest.raises(SettingsError, match="questions_sha256"):
        finish(tmp_path / "run", settings(images, questions(9)))


def test_two_processes_of_one_rank_do_not_mix(tmp_path, images, questions):
    first = Run(tmp_path / "run", settings(images, questions(8))).answer(ChatPredictor(HashEngine()))
    next(first)
    with pytest.raises(DataError, match="another process"):
        finish(tmp_path / "run", settings(images, questions(8)))
    first.close()


def test_the_loop_itself_loads_no_model():
    code = "import sys, geochat_eval.runs; print(sorted({'torch', 'transformers'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_blind_withholds_the_image(tmp_path, images, questions):
    path = questions(8)
    seeing = lines(finish(tmp_path / "seeing", settings(images, path)).folder.answers)
    blind = lines(finish(tmp_path / "blind", settings(images, path, blind=True)).folder.answers)
    assert all(a["answer"] != b["answer"] for a, b in zip(seeing, blind, strict=True))


def test_answers_of_others_are_imported_by_question(tmp_path, images, questions):
    theirs = tmp_path / "theirs.jsonl"
    theirs.write_text('{"question_id": "3", "answer": "yes"}\n{"question_id": 1, "answer": "no"}\nbad\n')
    run = Run(tmp_path / "run", settings(images, questions(4)))
    list(run.answer(FilePredictor(theirs, dialect=GEOCHAT)))
    assert {row["question_id"]: row["answer"] for row in lines(run.folder.answers)} == {1: "no", 3: "yes"}
    assert len(lines(run.folder.failures)) == 2


def test_whatever_answers_can_be_measured(tmp_path, images, questions):
    class Yes:
        name, sha256 = "yes", None

        def predict(self, questions):
            for asked in reversed(list(questions)):
                yield asked.number, Prediction("yes")

    run = Run(tmp_path / "run", settings(images, questions(4)))
    list(run.answer(Yes()))
    assert [row["answer"] for row in lines(run.folder.answers)] == ["yes"] * 4


def test_an_answerer_that_forgets_questions_is_found_out(tmp_path, images, questions):
    class Silent:
        name, sha256 = "silent", None

        def predict(self, questions):
            yield next(iter(questions)).number, Prediction("yes")

    with pytest.raises(DataError, match="3 questions got neither"):
        list(Run(tmp_path / "run", settings(images, questions(4))).answer(Silent()))


def test_the_command(tmp_path, images, questions, capsys):
    theirs = tmp_path / "theirs.jsonl"
    theirs.write_text("".join(f'{{"question_id": {n}, "answer": "yes"}}\n' for n in range(8)))
    argv = ["eval", "run", "rsvqa-lr", "--images", str(images), "--questions", str(questions(8))]
    assert main([*argv, "--answers", str(theirs), "--out", str(tmp_path / "run")]) == 0
    assert capsys.readouterr().out.startswith("wrote ")
    assert main(["eval", "score", str(tmp_path / "run" / "answers.jsonl"), "--as", "vqa", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["accuracy"] == 100
    theirs.write_text('{"question_id": "another", "answer": "yes"}\n')
    assert main([*argv, "--answers", str(theirs), "--out", str(tmp_path / "none")]) == 1
    assert "8 questions got no answer: the file holds no answer to this question" in capsys.readouterr().err
    assert main(["eval", "run", "nothing", "--out", str(tmp_path / "x")]) == 1
    assert "no benchmark is called 'nothing'; choose one of aid" in capsys.readouterr().err
    assert main(["eval", "run", "rsvqa-lr", "--out", str(tmp_path / "x")]) == 1
    assert "--questions" in capsys.readouterr().err


def test_every_benchmark_is_listed(capsys):
    assert main(["eval", "list"]) == 0
    out = capsys.readouterr().out
    assert all(f"{name} " in out for name in BENCHMARKS)
    assert main(["eval", "list", "--json"]) == 0
    assert json.loads(capsys.readouterr().out).keys() == set(BENCHMARKS)
