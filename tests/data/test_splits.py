"""Splits are sacred: what is trained on is named, and none of it is, or looks like, what is held back."""

import subprocess

import numpy as np
import pytest
from PIL import Image

from geochat.errors import DataError
from geochat_data.readers import Report, read_ucm
from geochat_data.splits import UNSEEN_SCENES, check_manifest, read_list, read_manifest, write_manifest
from geochat_mini.sources import distinct, held_back, read_photographs


@pytest.fixture
def photographs(tmp_path):
    """Four different images, c and d also as a copy and a smaller, turned one."""
    rng = np.random.default_rng(0)
    for name in "abcd":
        blobs = Image.fromarray(rng.integers(0, 255, (20, 20, 3), np.uint8)).resize((120, 120))
        blobs.save(tmp_path / f"{name}.png")
    (tmp_path / "copy.png").write_bytes((tmp_path / "c.png").read_bytes())
    with Image.open(tmp_path / "d.png") as image:
        image.resize((80, 80)).transpose(Image.Transpose.ROTATE_270).save(tmp_path / "like.jpg")
    return tmp_path


def test_a_manifest_names_each_file_once(photographs):
    files = [photographs / "b.png", photographs / "a.png", photographs / "a.png"]
    manifest = photographs / "out" / "manifest.sha256"
    assert write_manifest(manifest, files, photographs) == 2
    assert list(read_manifest(manifest)) == ["a.png", "b.png"]
    checked = subprocess.run(["sha256sum", "-c", manifest], cwd=photographs, capture_output=True, text=True, check=True)
    assert checked.stdout.split("\n")[:2] == ["a.png: OK", "b.png: OK"]


def test_what_is_held_back_is_found_in_any_guise(photographs):
    manifest = photographs / "manifest.sha256"
    write_manifest(manifest, [photographs / n for n in ("a.png", "b.png", "copy.png", "like.jpg")], photographs)
    clean = check_manifest(manifest, photographs, [])
    assert (clean.used, clean.skipped) == (4, 0)
    report = check_manifest(manifest, photographs, [photographs / n for n in ("b.png", "c.png", "d.png")])
    assert report.places["file that is held back"] == ["b.png"]
    (place,) = report.places["copy of a file that is held back"]
    assert place.startswith("copy.png")
    assert any("like.jpg" in place for place in report.places["image that resembles one that is held back"])
    assert not any("a.png" in place for places in report.places.values() for place in places)


def test_what_cannot_be_made_or_read(photographs, tmp_path_factory):
    with pytest.raises(DataError, match="gone"):
        write_manifest(photographs / "m", [photographs / "gone.png"], photographs)
    with pytest.raises(DataError, match="root"):
        write_manifest(photographs / "m", [photographs / "a.png"], tmp_path_factory.mktemp("other"))
    (photographs / "bad").write_text("abc  a.png\n")
    with pytest.raises(DataError, match=r"a\.png"):
        read_manifest(photographs / "bad")
    (photographs / "worse").write_text("abc\n")
    with pytest.raises(DataError, match="worse"):
        read_manifest(photographs / "worse")


@pytest.mark.slow
def test_the_photographs_of_the_bundled_model_are_not_held_back(shared, tmp_path):
    imagery = shared / "imagery"
    withheld = list(held_back(imagery))
    photographs = distinct(read_photographs(imagery, "permissive", Report()), withheld, Report())
    used = {image.path for image in photographs}
    manifest = tmp_path / "manifest.sha256"
    assert write_manifest(manifest, used, imagery) > 1400
    report = check_manifest(manifest, imagery, withheld)
    assert report.skipped == 0, report
    assert not {path.name for path in used} & read_list("ucm_overlap")


def test_held_back_are_all_splits_but_train(shared):
    imagery = shared / "imagery"
    kept = set(held_back(imagery))
    for name in ("ucm/test", "hit-uav", "evaluation-only"):
        assert set((imagery / name).rglob("*.jpg")) <= kept
    trained_on = {path for path in (imagery / "ucm" / "train").rglob("*.jpg") if path.name not in read_list("ucm_val")}
    assert len(trained_on) > 1000
    assert not trained_on & kept


def test_unseen_scenes_are_scenes(shared):
    assert {image.scene for image in read_ucm(shared / "imagery" / "ucm", "test")} > UNSEEN_SCENES
    assert len(UNSEEN_SCENES) == 6
