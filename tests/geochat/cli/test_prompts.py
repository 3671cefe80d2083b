"""`geochat train coop` and `cocoop`, and classifying with what they learned."""

import json

import numpy as np
import pytest
from PIL import Image

from geochat.cli import main
from geochat.clip import read_prompts


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    """Folders of classes with four pictures each, a colour a class."""
    root, draw = tmp_path_factory.mktemp("scenes"), np.random.default_rng(0)
    for number, name in enumerate(("airport", "golfcourse", "port")):
        (root / name).mkdir()
        for image in range(4):
            picture = draw.integers(0, 120, (36, 40, 3), np.uint8)
            picture[..., number] += 130
            Image.fromarray(picture).save(root / name / f"{image}.png")
    return str(root)


@pytest.fixture
def trained(scenes, tiny_clip):
    """`trained("coop", ...)` is the exit status of the command on the scenes with one epoch."""
    options = ["--model", str(tiny_clip), "--epochs", "1", "--views", "1", "--classes", "airport,golf course,port"]
    return lambda method, *more: main(["train", method, scenes, *options, *more])


@pytest.mark.parametrize(
    ("method", "options", "vectors"),
    [
        ("coop", [], 16),
        ("coop", ["--class-specific", "--vectors", "3", "--position", "front"], 3),
        ("cocoop", [], None),
    ],
)
def test_what_is_learned_classifies(method, options, vectors, trained, scenes, tiny_clip, tmp_path, capsys):
    file = tmp_path / "learned.safetensors"
    assert trained(method, "--shots", "2", "--out", str(file), "--test", scenes, "--json", *options) == 0
    captured = capsys.readouterr()
    row = json.loads(captured.out)
    assert row["shots"] == 2
    assert f"wrote {file}: 3 classes" in captured.err
    learned = read_prompts(file)
    assert (learned.method, learned.classes) == (method, ("airport", "golf course", "port"))
    assert (learned.training["epochs"], learned.training["shots"]) == (1, 2)
    assert learned.settings.words == ("a photo of a" if method == "cocoop" else "")
    assert vectors is None or learned.settings.vectors == vectors
    classify = ["clip", "classify", scenes, "--prompts", str(file), "--model", str(tiny_clip), "--no-cache"]
    assert main([*classify, "--score", "--json"]) == 0
    captured = capsys.readouterr()
    assert f"accuracy {row['accuracy']:.1%} of 12 images" in captured.err
    assert list(json.loads(captured.out.splitlines()[0])["probabilities"]) == ["airport", "golf course", "port"]
    asked = main([*classify, "--classes", "port,satellite"])
    assert asked == (1 if "--class-specific" in options else 0)


def test_shots_and_seeds_are_summed_up(trained, scenes, capsys):
    assert trained("coop", "--shots", "1,2", "--seeds", "1,2", "--test", scenes, "--json") == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(row["shots"], row["seed"]) for row in rows[:4]] == [(s, n) for s in (1, 2) for n in (1, 2)]
    for row in rows[4:]:
        values = [each["accuracy"] for each in rows[:4] if each["shots"] == row["shots"]]
        assert row["runs"] == 2
        assert row["accuracy"] == pytest.approx(np.mean(values))
        assert row["accuracy_deviation"] == pytest.approx(np.std(values, ddof=1))


def test_base_to_new_is_reported(trained, scenes, capsys):
    assert trained("cocoop", "--shots", "1", "--base-to-new", "--test", scenes) == 0
    first, last = capsys.readouterr().out.splitlines()
    assert first.startswith("shots 1  seed 1  base ")
    assert "  new 100.0%  harmonic " in first
    assert last.startswith("shots 1  runs 1  base ")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "give --out FILE, or --test DIR"),
        (["--out", "x.pt"], "safetensors files"),
        (["--out", "x.safetensors", "--seeds", "1,2"], "keeps one run's prompts"),
        (["--shots", "1,2"], "give --out FILE, or --test DIR"),
        (["--base-to-new", "--out", "x.safetensors"], "keeps one run's prompts"),
        (["--test", "gone"], "gone does not exist"),
        (["--test", ".", "--rate", "0"], "rate=0"),
        (["--test", ".", "--shots", "9"], "has 4 images and 9 were asked for"),
        (["--test", ".", "--shots", "1", "--vectors", "70"], "more than a sentence holds"),
    ],
)
def test_impossible_wishes_are_one_line(options, message, trained, scenes, capsys):
    assert trained("coop", *(scenes if option == "." else option for option in options)) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert message in captured.err
    assert captured.err.count("\n") == 1
