"""`geochat clip`: what is printed, what goes where, and what is said of broken input."""

import csv
import json
import shutil
from importlib.util import module_from_spec, spec_from_file_location

import numpy as np
import pytest
import torch
from PIL import Image

from geochat.cli import main


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def model(tiny_clip):
    return str(tiny_clip)


@pytest.fixture
def scenes(tmp_path):
    """Two folders, called as classes, with two images each."""
    draw = np.random.default_rng(0)
    for name in ("golfcourse", "airport"):
        (tmp_path / "scenes" / name).mkdir(parents=True)
        for number in range(2):
            picture = Image.fromarray(draw.integers(0, 256, (20, 24, 3), np.uint8))
            picture.save(tmp_path / "scenes" / name / f"{number}.png")
    return tmp_path / "scenes"


def test_json_lines(model, scenes, capsys):
    assert main(["clip", "classify", str(scenes), "--classes", "airport, golf course", "--model", model, "--json"]) == 0
    captured = capsys.readouterr()
    rows = [json.loads(line) for line in captured.out.splitlines()]
    folders = ["airport", "airport", "golfcourse", "golfcourse"]
    assert [row["image"] for row in rows] == [str(scenes / name / f"{n % 2}.png") for n, name in enumerate(folders)]
    for row in rows:
        assert list(row) == ["image", "label", "probabilities"]
        assert list(row["probabilities"]) == ["airport", "golf course"]
        assert sum(row["probabilities"].values()) == pytest.approx(1, abs=1e-6)
        assert row["label"] == max(row["probabilities"], key=row["probabilities"].get)
    assert captured.err == ""


def test_csv_and_table_say_the_same(model, scenes, capsys, tmp_path):
    (tmp_path / "classes.txt").write_text("airport\ngolf course\n")
    arguments = ["clip", "classify", str(scenes), "--classes", str(tmp_path / "classes.txt"), "--model", model]
    assert main([*arguments, "--csv"]) == 0
    rows = list(csv.DictReader(capsys.readouterr().out.splitlines()))
    assert list(rows[0]) == ["image", "label", "airport", "golf course"]
    assert main([*arguments, "--score"]) == 0
    captured = capsys.readouterr()
    lines = captured.out.splitlines()
    assert len(lines) == len(rows) == 4
    for row, line in zip(rows, lines, strict=True):
        share = max(float(row["airport"]), float(row["golf course"]))
        assert " ".join(line.split()).startswith(f"{line.split()[0]} {row['label']} {share:.1%} ")
        assert row["image"].endswith(line.split()[0].removeprefix("..."))
    right = sum(row["label"].replace(" ", "") in row["image"] for row in rows)
    assert f"accuracy {right / 4:.1%} of 4 images (airport" in captured.err


def test_templates_change_the_answer(model, scenes, capsys):
    arguments = ["clip", "classify", str(scenes / "airport" / "0.png"), "--classes", "a,b", "--model", model, "--json"]
    answers = set()
    for templates in ([], ["--templates", "satellite"], ["--templates", "{} from above", "{} seen from space"]):
        assert main([*arguments, *templates]) == 0
        answers.add(capsys.readouterr().out)
    assert len(answers) == 3


def test_what_cannot_be_read_is_left_out(model, scenes, capsys):
    (scenes / "airport" / "1.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    arguments = ["clip", "classify", str(scenes), "gone.tif", "--classes", "a,b", "--model", model, "--json"]
    assert main(arguments) == 0
    captured = capsys.readouterr()
    assert len(captured.out.splitlines()) == 3
    assert "left out: " in captured.err
    assert "1.png" in captured.err
    assert captured.err.endswith("2 of 5 images left out\n")
    assert main(["clip", "classify", "gone.tif", "--classes", "a,b", "--model", model]) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give --classes a,b,c or --prompts FILE"),
        (["--classes", ","], "no classes"),
        (["--classes", "a,a"], "'a' is named twice"),
        (["--classes", "gone.txt"], "gone.txt cannot be read"),
        (["--classes", "a", "--templates", "plain"], "'plain' is neither a template"),
        (["--classes", "a", "--batch-size", "0"], "--batch-size 0"),
        (["--classes", "a", "--prompts", "gone.safetensors"], "no file gone.safetensors"),
        (["--classes", "a", "--device", "warp"], "the device 'warp' cannot be used"),
    ],
)
def test_impossible_wishes_are_one_line(arguments, message, model, scenes, capsys):
    assert main(["clip", "classify", str(scenes), "--model", model, *arguments]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert message in captured.err
    assert captured.err.count("\n") == 1


def test_an_empty_folder_says_so(model, tmp_path, capsys):
    assert main(["clip", "classify", str(tmp_path), "--classes", "a", "--model", model]) == 1
    assert "holds no image" in capsys.readouterr().err


def test_convert(fixtures, tmp_path, scenes, capsys):
    spec = spec_from_file_location("make", fixtures / "open_clip" / "make.py")
    make = module_from_spec(spec)
    spec.loader.exec_module(make)
    with np.load(fixtures / "open_clip" / "features.npz") as recorded:
        shapes = json.loads(str(recorded["shapes"]))
    torch.save({name: torch.from_numpy(a) for name, a in make.random_state(shapes, 1).items()}, tmp_path / "geo.pt")
    shutil.copy(fixtures / "open_clip" / "merges.txt.gz", tmp_path / "bpe_simple_vocab_16e6.txt.gz")
    source, target = str(tmp_path / "geo.pt"), str(tmp_path / "geo")
    assert main(["clip", "convert", source, target]) == 1
    assert "does not say its activation" in capsys.readouterr().err
    assert main(["clip", "convert", source, target, "--activation", "quick_gelu"]) == 0
    assert capsys.readouterr().out.startswith(f"wrote {target}: geo, ")
    assert main(["clip", "convert", source, target, "--activation", "quick_gelu"]) == 1
    assert "is not empty" in capsys.readouterr().err
    arguments = ["clip", "classify", str(scenes), "--classes", "airport,port", "--json", "--model"]
    assert main([*arguments, source, "--activation", "quick_gelu"]) == 0
    raw = capsys.readouterr().out
    assert main([*arguments, target]) == 0
    assert capsys.readouterr().out == raw


def test_workers_of_a_cluster_print_the_same_in_order(model, scenes, capsys, monkeypatch):
    """Here the cluster is this process, and answers the last images first."""
    from contextlib import nullcontext

    from geochat.archive import cluster

    def answered(where, count, expand, load):
        answer = load()
        rows = [row for item in reversed(range(count)) for row in expand(item)]
        for start in range(0, len(rows), where.batch):
            yield from json.loads(json.dumps(answer(rows[start : start + where.batch])))

    monkeypatch.setattr(cluster, "connected", lambda _where: nullcontext())
    monkeypatch.setattr(cluster, "called_there", lambda _where, function: function())
    monkeypatch.setattr(cluster, "answered_there", answered)
    (scenes / "airport" / "2.png").write_bytes(b"no image")
    arguments = ["clip", "classify", str(scenes), "--classes", "a,b", "--model", model, "--json", "--batch-size", "2"]
    assert main(arguments) == 0
    here = capsys.readouterr()
    assert main([*arguments, "--ray", "local"]) == 0
    there = capsys.readouterr()
    assert there.err == here.err
    for one, other in zip(here.out.splitlines(), there.out.splitlines(), strict=True):
        row = json.loads(other)
        assert row["probabilities"] == pytest.approx(json.loads(one)["probabilities"], abs=1e-5)
        assert row["image"] == json.loads(one)["image"]
