"""The study of prompts: it goes on where it was, and its table and figure say what was found."""

import json

import pytest
from PIL import Image

from geochat.errors import DataError
from geochat_data.readers import UCM_SCENES
from geochat_data.splits import UNSEEN_SCENES, read_list
from geochat_train.prompts import study
from geochat_train.prompts.features import SceneImages
from geochat_train.prompts.study import FIGURE, lines, write_docs


def zero(name, classes, accuracy):
    return {"study": "zero-shot", "of": name, "classes": classes, "images": 8 * classes, "accuracy": accuracy}


FOUND = [
    zero("seen", 15, 0.5),
    zero("unseen", 6, 0.25),
    zero("all", 21, 0.4),
    zero("base", 11, 0.6),
    zero("new", 10, 0.3),
    *(
        {"study": "shots", "method": "coop", "shots": shots, "seed": seed, "accuracy": 0.3 + 0.02 * shots + 0.01 * seed}
        for shots in (1, 2, 4, 8, 16)
        for seed in (1, 2, 3)
    ),
    *(
        {"study": "base-to-new", "method": method, "shots": 16, "seed": seed, "base": base, "new": 0.25, "harmonic": h}
        for method, base, h in (("coop", 0.75, 0.375), ("cocoop", 0.25, 0.25))
        for seed in (1, 2, 3)
    ),
]


def test_the_table_says_what_was_found():
    text = "\n".join(lines(FOUND, "val", "mini"))
    assert "UC Merced's val photographs, mini" in text
    assert "| classes not seen, among 6 | 48 | 25.0 |" in text
    assert "| CoOp on the 6 classes not seen | 1 | 2 | 4 | 8 | 16 |" in text
    assert "| accuracy by shots | 34.0 ± 1.0 |" in text
    assert "64.0 ± 1.0 |" in text
    assert "| zero-shot | 60.0 | 30.0 | 40.0 |" in text
    assert "| CoOp | 75.0 ± 0.0 | 25.0 ± 0.0 | 37.5 ± 0.0 |" in text


def test_docs_are_written_between_the_marks(tmp_path):
    page = tmp_path / "clip.md"
    page.write_text("before\n<!-- study -->\nold\n<!-- end of study -->\nafter\n")
    with pytest.raises(DataError, match="not finished"):
        write_docs(tmp_path, FOUND[:-3], "test", "mini")
    assert page.read_text().splitlines()[2] == "old"
    write_docs(tmp_path, FOUND, "test", "mini")
    write_docs(tmp_path, FOUND, "test", "mini")
    text = page.read_text()
    assert text.startswith("before\n<!-- study -->\nUC Merced's test")
    assert text.endswith("<!-- end of study -->\nafter\n")
    assert text.count("zero-shot | images") == 1
    with Image.open(tmp_path / FIGURE) as figure:
        assert figure.size == (720, 432)
    page.write_text("no marks")
    with pytest.raises(DataError, match="has no <!-- study -->"):
        write_docs(tmp_path, FOUND, "test", "mini")


def test_it_goes_on_where_it_was(monkeypatch, tmp_path):
    asked = []

    def outcome(trial, train, test, _features, *, halved=False):
        asked.append((trial.method, trial.shots, trial.learning.seed, len(train.classes), halved))
        found = {"base": 0.1, "new": 0.1, "harmonic": 0.1} if halved else {"accuracy": 0.5}
        return {"shots": trial.shots, "seed": trial.learning.seed, **found}

    monkeypatch.setattr(study, "outcome", outcome)
    monkeypatch.setattr(study, "zero_shot_figures", lambda *_: iter(FOUND[:5]))
    nothing = SceneImages(UCM_SCENES, (), ())
    scenes = study.Scenes(nothing, nothing)
    whole = list(study.findings(scenes, None, []))
    assert len(whole) == len(FOUND) == 5 + len(asked)
    assert asked[0] == ("coop", 1, 1, 6, False)
    assert asked[-1] == ("cocoop", 16, 3, 21, True)
    file = tmp_path / "found.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in whole[:9]) + '{"study": "sho')
    known = study.read_findings(file)
    assert known == whole[:9]
    assert len(file.read_text().splitlines()) == 9
    assert known + list(study.findings(scenes, None, known)) == whole
    file.write_text("no finding\n" + json.dumps(whole[0]) + "\n")
    with pytest.raises(DataError, match=r"found\.jsonl:1 is no finding"):
        study.read_findings(file)


def test_its_photographs_are_kept_apart(shared):
    val = study.read_ucm_scenes(shared / "imagery", "val")
    test = study.read_ucm_scenes(shared / "imagery", "test")
    assert val.train == test.train
    assert set(UCM_SCENES) >= UNSEEN_SCENES
    assert [len(val.test.of((name,)).files) for name in UCM_SCENES] == [8] * 21
    assert len(test.test.files) == 420
    names = {file.name for file in val.train.files}
    assert not names & {file.name for file in val.test.files}
    assert not names & (read_list("ucm_val") | read_list("ucm_overlap"))
    assert {file.parent.parent.name for file in val.train.files + val.test.files} == {"train"}
