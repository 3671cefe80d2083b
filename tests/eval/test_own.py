"""One's own labels, in whatever format `geochat data build` reads, asked as benchmarks."""

import json
import runpy
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from PIL import Image

from geochat.cli import main
from geochat.engines import ENGINES
from geochat_data.readers import READERS
from geochat_data.records import LabelledImage

BOXES = {  # pixels: left, top, width, height
    "0.png": [("vessel", 10, 10, 30, 20), ("crane", 60, 40, 20, 20)],
    "1.png": [("vessel", 20, 20, 20, 20)],
    "2.png": [],
}
SIZE = (100, 80)


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "data" / "images"
    folder.mkdir(parents=True)
    for number, name in enumerate(BOXES):
        Image.effect_noise(SIZE, 20 + number).convert("RGB").save(folder / name)
    return folder


def coco(images):
    names = ["vessel", "crane"]
    content = {
        "images": [
            {"id": n, "file_name": name, "width": SIZE[0], "height": SIZE[1]} for n, name in enumerate(sorted(BOXES))
        ],
        "categories": [{"id": n, "name": name} for n, name in enumerate(names)],
        "annotations": [
            {"id": 10 * n + k, "image_id": n, "category_id": names.index(category), "bbox": box}
            for n, name in enumerate(sorted(BOXES))
            for k, (category, *box) in enumerate(BOXES[name])
        ],
    }
    path = images.parent / "labels.json"
    path.write_text(json.dumps(content))
    return path


def yolo(images):
    folder = images.parent / "labels"
    folder.mkdir()
    (images.parent / "classes.txt").write_text("vessel\ncrane")
    for name, boxes in BOXES.items():
        lines = [
            f"{('vessel', 'crane').index(category)} {(x + w / 2) / 100} {(y + h / 2) / 80} {w / 100} {h / 80}"
            for category, x, y, w, h in boxes
        ]
        (folder / name).with_suffix(".txt").write_text("\n".join(lines))
    return images.parent


def rows(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Runs the command with the answers of a file, and gives the questions of each kind."""
    monkeypatch.chdir(tmp_path)

    def asked(benchmark, path, kinds, *options, out="out"):
        empty = tmp_path / "none.jsonl"
        empty.write_text('{"question_id": "none", "answer": ""}\n')
        found = {}
        for kind in kinds:
            argv = ["eval", "run", benchmark, str(path), "--out", out, "--questions", kind, "--answers", str(empty)]
            main([*argv, "--no-report", *options])
            found[kind] = rows(tmp_path / out / kind / "questions.jsonl")
        return found

    return asked


@pytest.mark.parametrize("make", [coco, yolo])
def test_labels_become_questions(make, images, run, tmp_path):
    name = "own:coco" if make is coco else "own:yolo"
    found = run(name, make(images), ["referring", "identify", "presence", "count"])
    boxes = {row["phrase"]: row for row in found["referring"] if row["image"].endswith("0.png")}
    assert np.allclose(boxes["the crane"]["ground_truth"], [[60, 50, 80, 70, 90]], atol=0.01)  # padded by 10 at the top
    assert {row["ground_truth"] for row in found["identify"]} == {"vessel", "crane"}
    assert [row["ground_truth"] for row in found["identify"] if row["image"].endswith("1.png")] == ["vessel"]
    assert {row["ground_truth"] for row in found["presence"]} <= {"yes", "no"}
    counts = {(row["image"][-5], row["about"]): row["ground_truth"] for row in found["count"]}
    assert counts.items() <= {("0", "vessel"): "1", ("0", "crane"): "1", ("1", "vessel"): "1", ("1", "crane"): "0",
                              ("2", "vessel"): "0", ("2", "crane"): "0"}.items()  # fmt: skip
    root = json.loads((tmp_path / "out" / "count" / "run.json").read_text())["root"]
    for row in found["count"]:
        assert (images.parent / row["image"]).is_file() or (images / row["image"]).is_file(), root


def test_incomplete_labels_are_not_counted(images, run, tmp_path, capsys):
    argv = ["eval", "run", "own:coco", str(coco(images)), "--out", "out", "--incomplete", "--questions", "count"]
    assert main(argv) == 1
    assert "count finds nothing to ask about" in capsys.readouterr().err
    assert run("own:coco", coco(images), ["identify"], "--incomplete")["identify"]


def test_scenes_of_a_folder_of_classes(tmp_path, run):
    for name in ("dense forest", "open_sea"):
        (tmp_path / "classes" / name).mkdir(parents=True)
        Image.new("RGB", (8, 8)).save(tmp_path / "classes" / name / "0.png")
    (scenes,) = run("own:folders", tmp_path / "classes", ["scenes"]).values()
    assert {row["ground_truth"] for row in scenes} == {"dense forest", "open sea"}
    assert "classes: dense forest, open sea" in scenes[0]["question"].lower()


def test_labels_over_a_raster_are_asked_in_windows(tmp_path, run):
    pixels = np.random.default_rng(0).integers(0, 255, (3, 600, 600), np.uint8)
    with rasterio.open(
        tmp_path / "scene.tif", "w", driver="GTiff", width=600, height=600, count=3, dtype="uint8",
        crs="EPSG:32633", transform=Affine(1, 0, 400000, 0, -1, 5000000),
    ) as file:  # fmt: skip
        file.write(pixels)
    corners = [(400100, 4999900), (400140, 4999900), (400140, 4999860), (400100, 4999860), (400100, 4999900)]
    shape = {"type": "Polygon", "coordinates": [corners]}
    content = {
        "type": "FeatureCollection",
        "crs": {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::32633"}},
        "features": [{"type": "Feature", "properties": {"kind": "tank"}, "geometry": shape}],
    }
    (tmp_path / "labels.geojson").write_text(json.dumps(content))
    options = ("--images", str(tmp_path / "scene.tif"), "--column", "kind")
    (found,) = run("own:geo", tmp_path / "labels.geojson", ["referring"], *options).values()
    assert found[0]["phrase"] == "the tank"
    assert (tmp_path / "out" / "referring" / "images" / found[0]["image"]).is_file()
    assert json.loads((tmp_path / "out" / "referring" / "run.json").read_text())["root"] is None


def test_readers_of_others_are_known_too(tmp_path, run, images):
    @READERS.register("theirs")
    def read_theirs(source):
        yield LabelledImage(images / "0.png", 100, 80, scene="port", split=source.split)
        yield LabelledImage(None, 8, 8, scene="sea", pixels=np.zeros((8, 8, 3), np.uint8), name="drawn")

    try:
        (scenes,) = run("own:theirs", images, ["scenes"]).values()
    finally:
        READERS.unregister("theirs")
    root = json.loads((tmp_path / "out" / "scenes" / "run.json").read_text())["root"]
    assert all((images.__class__(root) / row["image"]).is_file() for row in scenes)
    assert {row["ground_truth"] for row in scenes} == {"port", "sea"}


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["own:coco"], "name their file or folder behind it"),
        (["own:tfrecord", "x"], "no reader is called 'tfrecord'; choose own: with one of boxes, coco"),
        (["own:coco", "x", "--questions", "haiku"], "'haiku' is no kind of question; choose some of referring"),
        (["own:coco", "x", "--questions", ","], "--questions names nothing"),
        (["own:coco", "gone.json"], "cannot read gone.json"),
        (["own:coco", "x", "--truth", "y"], "truths of your own data are its labels"),
        (["own:coco", "x", "--answers", "y"], "name it with --questions"),
        (["count", "x"], "PATH is of own:FORMAT"),
        (["count", "--incomplete"], "--incomplete is of own:FORMAT"),
        (["count", "--split", "valid"], "--split 'valid' is none of train, val, test"),
        (["scenes", "--choices", "--answers", "y"], "--choices offers answers to a generative model"),
    ],
)
def test_mistakes_are_named(argv, message, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["eval", "run", *argv, "--out", str(tmp_path / "out")]) == 1
    assert message in capsys.readouterr().err


@pytest.fixture
def hash_engine():
    """An engine of this process that needs no model, as `--engine hash`."""
    engine = runpy.run_path(str(Path(__file__).with_name("answering.py")))["HashEngine"]
    ENGINES.register("hash", lambda _options: engine())
    yield "hash"
    ENGINES.unregister("hash")


def test_several_kinds_are_several_runs(images, tmp_path, capsys, hash_engine):
    argv = ["eval", "run", "own:coco", str(coco(images)), "--out", str(tmp_path / "out"), "--limit", "2"]
    assert main([*argv, "--engine", hash_engine, "--questions", "count,presence,scenes", "--choices"]) == 0
    captured = capsys.readouterr()
    assert "scenes finds nothing to ask about" in captured.err
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["count", "presence"]
    assert all(row["choices"] == ["yes", "no"] for row in rows(tmp_path / "out" / "presence" / "answers.jsonl"))
    assert "choices" not in rows(tmp_path / "out" / "count" / "questions.jsonl")[0]
    written = json.loads((tmp_path / "out" / "presence" / "report.json").read_text())
    assert written["command"].startswith("geochat eval run own:coco labels.json --questions presence")
    assert "--choices" in written["command"]


@pytest.mark.slow
def test_the_bundled_model_scores_choices(images, tmp_path):
    argv = ["eval", "run", "own:coco", str(coco(images)), "--out", str(tmp_path / "out"), "--limit", "2"]
    assert main([*argv, "--device", "cpu", "--questions", "presence", "--choices", "--no-report"]) == 0
    for row in rows(tmp_path / "out" / "presence" / "answers.jsonl"):
        assert (row["choice_method"], row["choices"]) == ("scored", ["yes", "no"])
        assert row["answer"] in ("yes", "no")
        assert sum(row["probabilities"].values()) == pytest.approx(1, abs=1e-5)
