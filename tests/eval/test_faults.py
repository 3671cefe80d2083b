"""Run folders that were started wrongly, cut, changed or robbed of a file: never other figures without a word."""

import json
import multiprocessing
import runpy
from pathlib import Path

import pytest

from geochat.cli import main
from geochat.dialects import GEOCHAT
from geochat.errors import DataError, GeoChatError, SettingsError
from geochat_eval.benchmarks import Sources
from geochat_eval.reports import report
from geochat_eval.runs import ChatPredictor, Run, RunSettings
from geochat_eval.scorers import ScorerSettings

PROGRAM = Path(__file__).with_name("answering.py")
HashEngine = runpy.run_path(str(PROGRAM))["HashEngine"]
COUNT = 12


def write_questions(folder):
    path = folder / "lrben.jsonl"
    rows = [
        {"question_id": n, "image": f"{n % 4}.png", "text": f"q{n}?", "category": "comp", "ground_truth": "yes"}
        for n in range(COUNT)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def questions(tmp_path):
    return write_questions(tmp_path)


@pytest.fixture(scope="module")
def expected(tmp_path_factory, write_images):
    """The results of a run without faults."""
    folder = tmp_path_factory.mktemp("whole")
    sources = Sources(write_images(folder / "images"), write_questions(folder), dialect=GEOCHAT)
    return results(finish(folder / "run", RunSettings("rsvqa-lr", sources)).folder.path)


@pytest.fixture
def make(images, questions):
    """`make(**changes)`: settings of a run."""

    def settings(**changes):
        files = {"images": images, "questions": questions, **changes.pop("files", {})}
        return RunSettings("rsvqa-lr", Sources(**files, dialect=GEOCHAT), **changes)

    return settings


def finish(out, settings, engine=None, told=None, **options):
    run = Run(out, settings, notify=(told if told is not None else []).append, **options)
    list(run.answer(ChatPredictor(engine or HashEngine())))
    return run


def results(folder):
    return (folder / "answers.jsonl").read_bytes(), (folder / "failures.jsonl").read_bytes()


def test_a_start_without_an_answer_does_not_block_the_corrected_command(tmp_path, make, images):
    told = []
    (tmp_path / "wrong").mkdir()
    finish(tmp_path / "run", make(files={"images": tmp_path / "wrong"}))  # every question fails
    Run(tmp_path / "planned", make(blind=True))
    for name in ("run", "planned"):
        done = finish(tmp_path / name, make(limit=8), told=told)
        assert len(done.folder.answers.read_text().splitlines()) == 8
        assert done.folder.failures.read_text() == ""
    assert [text.split(" held ")[1] for text in told] == ["a run without an answer, which is replaced"] * 2
    with pytest.raises(SettingsError, match="blind=False, not True"):
        finish(tmp_path / "run", make(limit=8, blind=True))


def test_a_run_that_is_about_to_answer_is_not_taken_over(tmp_path, make):
    first = Run(tmp_path / "run", make())
    Run(tmp_path / "run", make(limit=4))  # nothing was answered yet
    with pytest.raises(SettingsError, match="another run was begun in"):
        next(first.answer(ChatPredictor(HashEngine())))
    work = Run(tmp_path / "run", make(limit=4)).answer(ChatPredictor(HashEngine()))
    next(work)  # holds its journal, and has answered nothing
    with pytest.raises(DataError, match="another process is answering"):
        Run(tmp_path / "run", make())
    work.close()


def test_another_model_may_follow_one_that_answered_nothing(tmp_path, make):
    run = Run(tmp_path / "run", make())
    run.answer(ChatPredictor(HashEngine(sha256="1" * 64))).send(None)
    assert finish(tmp_path / "run", make()).complete
    with pytest.raises(SettingsError, match="model_sha256"):
        finish(tmp_path / "run", make(), HashEngine(sha256="1" * 64))


def test_restart_forgets_a_run(tmp_path, make):
    finish(tmp_path / "run", make())
    (tmp_path / "run" / "thesis.txt").write_text("years")
    engine = HashEngine()
    assert finish(tmp_path / "run", make(blind=True), engine, restart=True).complete
    assert engine.requests == COUNT
    assert (tmp_path / "run" / "thesis.txt").read_text() == "years"


def remove(path):
    path.unlink()


def empty(path):
    path.write_bytes(b"")


def halve(path):
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def cut_a_line(path):
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x04
    path.write_bytes(bytes(content))


FILES = ("questions.jsonl", "run.json", "journal/0.jsonl", "answers.jsonl", "failures.jsonl", "report.json")


@pytest.mark.parametrize("fault", [remove, empty, halve, cut_a_line, flip])
@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("finished", [True, False])
def test_a_damaged_file_never_changes_a_result_without_a_word(file, fault, finished, tmp_path, make, expected):
    out = tmp_path / "run"
    for progress in Run(out, make()).answer(ChatPredictor(HashEngine())):
        if progress.done == 6 and not finished:
            break
    if finished:
        report(out, ScorerSettings(0))
    path = out / file
    if not path.is_file() or not path.stat().st_size:
        return
    fault(path)
    told = []
    refusal = None
    try:
        finish(out, make(), told=told)
    except (DataError, SettingsError) as error:
        refusal = str(error)
        finish(out, make(), restart=True)
    ways = ("restore it", "--restart", "another --out")
    assert refusal is None or (str(out) in refusal and any(way in refusal for way in ways)), refusal
    assert results(out) == expected


@pytest.mark.parametrize("place", range(0, 700, 23))
def test_a_flipped_byte_of_a_journal_is_noticed(place, tmp_path, make, expected):
    out = finish(tmp_path / "run", make()).folder.path
    content = bytearray((out / "journal/0.jsonl").read_bytes())
    content[place % len(content)] ^= 0x01
    (out / "journal/0.jsonl").write_bytes(bytes(content))
    told = []
    finish(out, make(), told=told)
    assert results(out) == expected


def test_lines_that_are_not_the_journal_s_are_told(tmp_path, make):
    out = finish(tmp_path / "run", make()).folder.path
    journal = out / "journal" / "0.jsonl"
    lines = journal.read_text().splitlines(keepends=True)
    foreign = ['{"number": "3", "answer": "x", "finish": "stop"}', '{"number": 99, "answer": "x", "finish": "stop"}']
    foreign += ['{"number": 1, "seconds": "soon", "answer": "x", "finish": "stop"}', '{"number": 1}', "[1]", "null"]
    journal.write_text("".join([*lines[:3], *(f"{line}\n" for line in foreign), *lines[3:-1]]))
    (out / "journal" / "notes.jsonl").write_text("{}\n")
    told, before = [], results(out)
    engine = HashEngine()
    finish(out, make(), engine, told)
    assert told == [f"6 lines of {journal} are damaged or not its own; their questions are asked again"]
    assert engine.requests == 1
    assert results(out) == before


def test_questions_that_cannot_be_made_again_are_an_error(tmp_path, make, questions):
    out = finish(tmp_path / "run", make()).folder.path
    flip(out / "questions.jsonl")
    told = []
    finish(out, make(), told=told)
    assert "has been written again" in told[0]
    cut_a_line(out / "questions.jsonl")
    known = json.loads((out / "run.json").read_text())
    rows = questions.read_text().splitlines(keepends=True)
    questions.write_text("".join(reversed(rows)))
    from geochat_eval.runs.settings import file_hash

    (out / "run.json").write_text(json.dumps({**known, "questions_sha256": file_hash(questions)}))
    with pytest.raises(DataError, match=r"questions.jsonl is damaged, .* no longer give the same .*--restart"):
        finish(out, make())


def test_images_that_were_drawn_are_drawn_again(tmp_path):
    def settings():
        sources = Sources(scene_count=3, rendered=tmp_path / "run" / "images", dialect=GEOCHAT)
        return RunSettings("count", sources)

    run = Run(tmp_path / "run", settings())
    image = next(run.folder.images.iterdir())
    before = image.read_bytes()
    image.unlink()
    told = []
    finish(tmp_path / "run", settings(), told=told)
    assert "1 images were missing" in told[0]
    assert image.read_bytes() == before
    assert run.folder.failures.read_text() == ""


@pytest.mark.parametrize("file", ["answers.jsonl", "failures.jsonl"])
@pytest.mark.parametrize("fault", [remove, cut_a_line, flip])
def test_reports_are_made_of_whole_results_alone(file, fault, tmp_path, make, images, capsys):
    (images / "3.png").unlink()
    out = finish(tmp_path / "run", make()).folder.path
    report(out, ScorerSettings(0), examples=0)
    fault(out / file)
    with pytest.raises(DataError, match="run `geochat eval run` with the same words again"):
        report(out, ScorerSettings(0), examples=0)
    assert main(["eval", "compare", str(out), str(out)]) == 1
    assert "geochat eval run" in capsys.readouterr().err
    finish(out, make())
    report(out, ScorerSettings(0), examples=0)


def test_old_journals_without_checksums_are_read(tmp_path, make):
    out = finish(tmp_path / "run", make()).folder.path
    journal, before = out / "journal" / "0.jsonl", results(out)
    rows = [{k: v for k, v in json.loads(line).items() if k != "check"} for line in journal.read_text().splitlines()]
    journal.write_text("".join(json.dumps(row) + "\n" for row in rows))
    known = json.loads((out / "run.json").read_text())
    (out / "run.json").write_text(json.dumps({k: v for k, v in known.items() if k not in ("asked", "choices")}))
    engine = HashEngine()
    finish(out, make(), engine)
    assert engine.requests == 0
    assert results(out) == before
    with pytest.raises(SettingsError, match="choices=None, not True"):
        finish(out, make(choices=True))


@pytest.mark.parametrize("content", [b"\xff\xfe{}", b"[", b'{"questions": [', b"[[[[", b'["a", 1, null]', b"\x00" * 64])
def test_benchmark_files_of_any_content_are_an_error_of_ours(content, tmp_path, make, questions):
    questions.write_bytes(content)
    with pytest.raises(GeoChatError):
        Run(tmp_path / "run", make())


@pytest.mark.parametrize("image", ["x" * 5000, "a\x00b", "", 77, None, ["a"], {"a": 1}])
def test_names_no_file_can_have_are_left_out_or_fail_alone(image, tmp_path, make, questions):
    with questions.open("a") as file:
        file.write(json.dumps({"img_id": image, "id": 98, "question": "q?", "type": "comp"}) + "\n")
        file.write(json.dumps({"question_id": 99, "image": image, "text": "q?", "category": "comp"}) + "\n")
    run = finish(tmp_path / "run", make())
    assert len(run.folder.answers.read_text().splitlines()) == COUNT


def _answer(out, images, questions, rank, events):
    sources = Sources(images, questions, dialect=GEOCHAT)
    run = Run(out, RunSettings("rsvqa-lr", sources))
    events.wait(60)
    list(run.answer(ChatPredictor(HashEngine(pause=0.01)), rank, 2))


def test_two_processes_share_a_folder_by_design(tmp_path, images, questions, expected):
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(2)
    workers = [
        context.Process(target=_answer, args=(tmp_path / "run", images, questions, rank, barrier)) for rank in (0, 1)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
        assert worker.exitcode == 0
    assert results(tmp_path / "run") == expected
