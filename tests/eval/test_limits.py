"""Limits draw evenly over classes, by a seed, and may be raised."""

import json
import runpy
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from geochat.dialects import GEOCHAT
from geochat.errors import DataError, SettingsError
from geochat_eval.benchmarks import Item, Sources
from geochat_eval.reports import report
from geochat_eval.runs import ChatPredictor, Run, RunSettings
from geochat_eval.runs.questions import QuestionSampler
from geochat_eval.scorers import ScorerSettings

HashEngine = runpy.run_path(str(Path(__file__).with_name("answering.py")))["HashEngine"]


@pytest.fixture(scope="module")
def classes(tmp_path_factory):
    """Four classes, of 2, 10, 10 and 10 images."""
    folder = tmp_path_factory.mktemp("classes")
    for number, name in enumerate(("airport", "beach", "church", "desert")):
        (folder / name).mkdir()
        for image in range(2 if number == 0 else 10):
            Image.new("RGB", (8, 8), (number * 40, image * 20, 0)).save(folder / name / f"{image}.png")
    return folder


def settings(classes, limit=None, **changes):
    return RunSettings("scenes", Sources(classes, dialect=GEOCHAT), limit, **changes)


def finish(out, settings, engine=None, **options):
    run = Run(out, settings, **options)
    list(run.answer(ChatPredictor(engine or HashEngine())))
    return run


def rows(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def ids(run):
    return [row["question_id"] for row in rows(run.folder.answers)]


@pytest.mark.parametrize(("limit", "counts"), [(4, [1] * 4), (8, [2] * 4), (10, [2, 2, 3, 3]), (20, [2, 6, 6, 6])])
def test_classes_are_drawn_evenly(classes, tmp_path, limit, counts):
    run = finish(tmp_path / "run", settings(classes, limit))
    assert sorted(Counter(row["scene"] for row in rows(run.folder.answers)).values()) == counts
    assert len(run) == limit


def test_the_seed_decides(classes, tmp_path):
    one, same, other = (
        finish(tmp_path / name, settings(classes, 8, seed=seed)) for name, seed in (("a", 1), ("b", 1), ("c", 2))
    )
    assert ids(one) == ids(same)
    assert set(ids(one)) != set(ids(other))


@pytest.mark.parametrize("raised", [16, None])
def test_a_limit_may_be_raised_and_answers_are_kept(classes, tmp_path, raised):
    first = ids(finish(tmp_path / "run", settings(classes, 8)))
    report(tmp_path / "run", ScorerSettings(0))
    engine = HashEngine()
    run = finish(tmp_path / "run", settings(classes, raised), engine)
    assert ids(run)[:8] == first
    assert engine.requests == (raised or 32) - 8
    assert len(set(ids(run))) == (raised or 32)
    if raised:
        alone = finish(tmp_path / "alone", settings(classes, raised))
        assert run.folder.answers.read_bytes() == alone.folder.answers.read_bytes()
    assert finish(tmp_path / "run", settings(classes, raised), engine).complete
    assert engine.requests == (raised or 32) - 8


def test_a_limit_is_not_lowered_nor_a_whole_run_cut(classes, tmp_path):
    finish(tmp_path / "run", settings(classes, 8))
    with pytest.raises(SettingsError, match="limit=8, not 4; a limit can be raised"):
        finish(tmp_path / "run", settings(classes, 4))
    with pytest.raises(SettingsError, match="seed=0, not 1"):
        finish(tmp_path / "run", settings(classes, 16, seed=1))
    finish(tmp_path / "whole", settings(classes))
    with pytest.raises(SettingsError, match="limit=None, not 4"):
        finish(tmp_path / "whole", settings(classes, 4))


def test_files_that_changed_meanwhile_are_noticed(tmp_path):
    folder = tmp_path / "classes"
    for name in ("a", "b"):
        (folder / name).mkdir(parents=True)
        for image in range(4):
            Image.new("RGB", (8, 8)).save(folder / name / f"{image}.png")
    before = ids(finish(tmp_path / "run", settings(folder, 4)))
    (folder / before[0]).unlink()
    with pytest.raises(SettingsError, match="files have changed"):
        finish(tmp_path / "run", settings(folder, 6))
    assert ids(finish(tmp_path / "run", settings(folder, 4))) == before


def test_a_limit_raised_by_a_process_that_was_killed_is_taken_back_or_gone_on_with(classes, tmp_path):
    first = ids(finish(tmp_path / "run", settings(classes, 8)))
    longer = finish(tmp_path / "longer", settings(classes, 12)).folder.questions.read_bytes()
    (tmp_path / "run" / "questions.jsonl").write_bytes(longer)  # and run.json not yet
    assert ids(finish(tmp_path / "run", settings(classes, 8))) == first
    (tmp_path / "run" / "questions.jsonl").write_bytes(longer)
    assert len(ids(finish(tmp_path / "run", settings(classes, 12)))) == 12


def test_it_is_not_raised_under_the_feet_of_another_process(classes, tmp_path):
    work = Run(tmp_path / "run", settings(classes, 8)).answer(ChatPredictor(HashEngine()))
    next(work), next(work)
    with pytest.raises(DataError, match="another process is answering"):
        Run(tmp_path / "run", settings(classes, 12))
    work.close()


def test_pairs_stay_together_and_images_come_in_turn():
    drawing = QuestionSampler(0, "identify")
    for number in range(6):
        for side, truth in zip("ab", ("car", "ship"), strict=True):
            drawing.add(Item(f"{number}{side}", f"{number}.png", "?", truth, {"pair": number}))
    order = drawing.order()
    assert all(order[place] + 1 == order[place + 1] for place in range(0, 12, 2))
    drawing = QuestionSampler(0, "referring")
    for number in range(12):
        drawing.add(Item(number, f"{number % 3}.png", "?"))
    images = [number % 3 for number in drawing.order()]
    assert all(set(images[place : place + 3]) == {0, 1, 2} for place in range(0, 12, 3))
