"""`geochat data build`: one writer at a time, no empty file, and images of any size or state."""

import json
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
import rasterio
from affine import Affine
from PIL import Image
from rasterio.windows import Window

from geochat.dialects import GEOCHAT
from geochat.errors import DataError, ImageError, SettingsError
from geochat.files import locked
from geochat.imagery import Scene
from geochat_data.building import BuildSettings, build_samples
from geochat_data.checking import check_samples
from geochat_data.questions.colour import colours_of
from geochat_data.readers import DataSource, Report, read
from geochat_data.samples import read_samples
from geochat_data.tiling import add_views, crop_around_objects, tile_images

SQUARE = [[10, 10], [40, 10], [40, 40], [10, 40]]


def labelled(folder, images=3, category="ship"):
    """A folder of pictures with a boxes.jsonl, each with one object."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for number in range(images):
        Image.new("RGB", (100, 80), (90, 120, 60)).save(folder / f"{number}.png")
        rows.append({"image": f"{number}.png", "objects": [{"category": category, "polygon": SQUARE}]})
    (folder / "boxes.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return folder


def test_a_second_build_into_one_file_is_refused_by_name(tmp_path, geochat_data):
    labelled(tmp_path / "set")
    out = tmp_path / "train.json"
    with locked(out, what="geochat data build"), pytest.raises(SettingsError, match=r"train\.json is being written by"):
        geochat_data("build", "boxes", tmp_path / "set", "--out", out)
    assert not out.exists()
    assert geochat_data("build", "boxes", tmp_path / "set", "--out", out) == 0
    assert len(list(read_samples(out))) > 3


@pytest.mark.slow
def test_builds_at_once_leave_a_whole_file(tmp_path):
    labelled(tmp_path / "set", 60)
    out = tmp_path / "train.json"
    build = [sys.executable, "-m", "geochat", "data", "build", "boxes", str(tmp_path / "set"), "--out", str(out)]
    started = [subprocess.Popen([*build, "--seed", str(n)], stderr=subprocess.PIPE, text=True) for n in range(3)]
    ended = [(process.communicate()[1], process.returncode) for process in started]
    assert any(code == 0 for _, code in ended)
    assert all(code == 0 or "is being written by process" in told for told, code in ended)
    report, _ = check_samples(out, tmp_path / "set", GEOCHAT)
    assert report.skipped == 0


NOTHING = [
    (("--holding", "plane"), "image without an object of --holding"),
    (("--around", 20, "--holding", "plane"), "image without an object to crop around"),
    (("--kinds", "scene", "--dialogues", 0), "image that supports no question of these kinds"),
    (("--images", "elsewhere"), "3 image missing or unreadable"),
    (("--images", "gone"), "gone does not exist; check --images"),
    (("--split", "val"), "has no splits, so 'val' does not exist"),
]


@pytest.mark.parametrize(("options", "reason"), NOTHING, ids=str)
def test_no_samples_are_an_error_that_says_why(options, reason, tmp_path, monkeypatch, geochat_data):
    labelled(tmp_path / "set")
    (tmp_path / "elsewhere").mkdir()
    out = tmp_path / "train.json"
    out.write_text("[]")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=reason):
        geochat_data("build", "boxes", tmp_path / "set", "--out", out, *options)
    assert out.read_text() == "[]", "the earlier file stays"
    assert not (tmp_path / "train_images").exists()


def test_unusable_labels_alone_are_no_data(tmp_path, geochat_data):
    folder = labelled(tmp_path / "set")
    lines = (folder / "boxes.jsonl").read_text().replace("[40, 10], [40, 40]", "[10, 10], [10, 40]")
    (folder / "boxes.jsonl").write_text(lines)
    report = tmp_path / "report.json"
    with pytest.raises(DataError, match=r"supports no question.*3 degenerate box .*labels unused: 3"):
        geochat_data("build", "boxes", folder, "--out", tmp_path / "f.json", "--report", report)
    assert json.loads(report.read_text())["unused_labels"] == 3, "what was wrong is written down all the same"


def test_folders_are_looked_for_before_the_work(tmp_path, geochat_data):
    folder = labelled(tmp_path / "set")
    with pytest.raises(SettingsError, match="no folder"):
        geochat_data("build", "boxes", folder, "--out", tmp_path / "f.json", "--report", tmp_path / "no" / "r.json")
    with pytest.raises(SettingsError, match="no folder"):
        geochat_data("build", "boxes", folder, "--out", tmp_path / "no" / "f.json")
    with pytest.raises(DataError, match="neither"):
        geochat_data("build", "boxes", folder, "--out", tmp_path / "f.txt")
    assert not list(tmp_path.glob("*.json"))


def test_numbers_are_named_on_the_command_line(tmp_path, geochat_data):
    folder = labelled(tmp_path / "set", category="3")
    (tmp_path / "names.txt").write_text("a\nb\nc\nLarge-Ship\n")
    out = tmp_path / "f.jsonl"
    with pytest.raises(DataError, match="--names"):
        geochat_data("build", "boxes", folder, "--out", out)
    for names in ("3=large_ship", tmp_path / "names.txt"):
        assert geochat_data("build", "boxes", folder, "--out", out, "--names", names) == 0
        assert "large ship" in out.read_text()
        assert "3s" not in out.read_text()
    for wrong in ("gone.yaml", "3=", "=ship"):
        with pytest.raises(SettingsError, match="3=ship,5=car"):
            geochat_data("build", "boxes", folder, "--out", out, "--names", wrong)


@pytest.fixture(scope="module")
def huge(tmp_path_factory):
    """A sparse TIFF of 182 megapixels with a red square on blue ground."""
    path = tmp_path_factory.mktemp("huge") / "a.tif"
    profile = {"driver": "GTiff", "width": 14000, "height": 13000, "count": 3, "dtype": "uint8", "tiled": True}
    profile |= {"crs": "EPSG:32614", "transform": Affine(0.5, 0, 500000, 0, -0.5, 4000000)}
    with rasterio.open(path, "w", **profile, compress="deflate", SPARSE_OK=True) as out:
        ground = np.zeros((3, 512, 512), np.uint8)
        ground[2] = 200
        ground[0, 100:200, 100:200], ground[2, 100:200, 100:200] = 220, 30
        out.write(ground, window=Window(12800, 12032, 512, 512))
    corners = [[12900, 12132], [13000, 12132], [13000, 12232], [12900, 12232]]
    row = {"image": "a.tif", "width": 14000, "height": 13000, "objects": [{"category": "roof", "polygon": corners}]}
    (path.parent / "boxes.jsonl").write_text(json.dumps(row))
    return path


def test_an_image_of_182_megapixels_is_asked_about(huge, tmp_path, monkeypatch, geochat_data):
    read_pixels = Counter()
    whole = Scene.read

    def counted(scene, window=None, **how):
        view = whole(scene, window, **how)
        read_pixels[scene.path] += view.pixels.shape[0] * view.pixels.shape[1]
        return view

    monkeypatch.setattr(Scene, "read", counted)
    out = tmp_path / "f.jsonl"
    assert geochat_data("build", "boxes", huge.parent, "--out", out, "--kinds", "identify", "--around", 300) == 0
    assert geochat_data("build", "boxes", huge.parent, "--out", out, "--image-root", huge.parent, "--dialogues", 0,
                        "--kinds", "identify,presence") == 0  # fmt: skip
    colours_of(next(read("boxes", DataSource(huge.parent))))
    assert sum(read_pixels.values()) < 10**7, "no more than a view and the object is read"


def test_an_image_that_cannot_be_decoded_is_skipped_and_told(tmp_path):
    folder = labelled(tmp_path / "set")
    noise = np.random.default_rng(0).integers(0, 255, (80, 100, 3), np.uint8)
    Image.fromarray(noise).save(folder / "1.png")
    (folder / "1.png").write_bytes((folder / "1.png").read_bytes()[:2000])
    how = {"questions": (30, 30), "dialogues": 1.0}
    settings, report = BuildSettings(GEOCHAT, shares={"colour": 1.0, "identify": 1.0}, **how), Report()
    samples = list(build_samples(read("boxes", DataSource(folder)), folder, settings, report))
    assert {sample.image for sample in samples} == {"0.png", "2.png"}
    assert report.reasons == {"image whose pixels cannot be read": 1}
    assert "1.png" in report.places["image whose pixels cannot be read"][0]
    with pytest.raises(ImageError):
        list(build_samples(read("boxes", DataSource(folder)), folder, settings))
    for change in (
        lambda r, n: tile_images(r, 50, n),
        lambda r, n: crop_around_objects(r, 30, None, n),
        lambda r, n: add_views(r, 1, 0, n),
    ):
        report = Report()
        names = {record.name[0] for record in change(read("boxes", DataSource(folder)), report)}
        assert names == {"0", "2"}
        assert report.reasons == {"image whose pixels cannot be read": 1}
        with pytest.raises(ImageError):
            list(change(read("boxes", DataSource(folder)), None))
