"""Errors in training files, copies of images, and the counts of a file."""

import json

import pytest
from PIL import Image, ImageFilter

from geochat.dialects import GEOCHAT
from geochat.errors import DataError
from geochat.geometry import AngleConvention, OrientedBox
from geochat.prompts import Message
from geochat_data.building import BuildSettings, build_samples
from geochat_data.checking import check_leakage, check_samples, hash_images, image_paths
from geochat_data.duplicates import find_matches
from geochat_data.inspection import statistics
from geochat_data.readers import Report
from geochat_data.samples import Sample

BAD = [
    ("region without area", "<p>car</p> {<10><10><10><40>|<90>}"),
    ("region outside the image", "<p>car</p> {<140><10><160><40>|<90>}"),
    ("unreadable region", "<p>car</p> {<10><10><20>|<90>}"),
]


@pytest.mark.parametrize(("finding", "answer"), BAD)
def test_bad_regions_are_found(tmp_path, finding, answer):
    good = "<p>car</p> {<-10><90><30><140>|<45>}"
    rows = [
        {"id": n, "conversations": [{"from": "human", "value": f"[refer] {n}"}, {"from": "gpt", "value": text}]}
        for n, text in enumerate((good, answer))
    ]
    (tmp_path / "f.json").write_text(json.dumps(rows))
    report, _ = check_samples(tmp_path / "f.json", None, GEOCHAT)
    (found,) = report.reasons
    assert found.startswith(finding)
    assert report.places[found] == [f"{tmp_path / 'f.json'}: sample 1"]


def test_repeats_and_missing_images_are_found(tmp_path):
    def row(name, answer, image="a.png"):
        turns = [{"from": "human", "value": "<image>\nHow many?"}, {"from": "gpt", "value": answer}]
        return {"id": name, "image": image, "conversations": turns}

    Image.new("RGB", (9, 9)).save(tmp_path / "a.png")
    (tmp_path / "broken.png").write_bytes((tmp_path / "a.png").read_bytes()[:40])
    rows = [row(1, "3"), row(2, "3"), row(3, "4"), row(3, "5", "gone.png"), row(4, "5", "broken.png")]
    (tmp_path / "f.json").write_text(json.dumps(rows))
    report, _ = check_samples(tmp_path / "f.json", tmp_path, GEOCHAT)
    assert report.reasons == {
        "duplicate sample": 1,
        "duplicate question with another answer": 1,
        "id used before": 1,
        "image missing or unreadable": 2,
    }


def test_a_copy_is_found_however_it_was_turned_and_saved(tmp_path, scenes):
    for number, scene in enumerate(scenes[:12]):
        (tmp_path / "train").mkdir(exist_ok=True)
        scene.open().save(tmp_path / "train" / f"{number}.png")
    (tmp_path / "test").mkdir()
    copy = scenes[3].open().resize((90, 90)).transpose(Image.Transpose.ROTATE_90).filter(ImageFilter.GaussianBlur(0.5))
    copy.save(tmp_path / "test" / "copy.jpg", quality=50)
    scenes[15].open().save(tmp_path / "test" / "other.png")
    (tmp_path / "test" / "notes.txt").write_text("no image")
    report = Report()
    check_leakage(image_paths(tmp_path / "train"), image_paths(tmp_path / "test"), report)
    (place,) = report.places["image that is in the other split too"]
    assert "3.png resembles" in place
    assert "copy.jpg" in place
    with pytest.raises(DataError, match="--against-images"):
        image_paths(tmp_path / "test" / "notes.txt")


def test_real_photographs_are_told_apart(shared):
    paths, hashes = hash_images(sorted((shared / "imagery" / "ucm" / "test").rglob("*.jpg")))
    assert [m for m in find_matches(hashes, hashes) if m.first != m.second] == []
    assert len(paths) == 420


def built(scenes, folder, **settings):
    return list(build_samples(scenes, folder / "images", BuildSettings(GEOCHAT, **settings)))


def test_statistics_count_everything(scenes, tmp_path):
    samples = built(scenes, tmp_path)
    charts = statistics(samples, GEOCHAT)
    turns = sum(len(sample.messages) // 2 for sample in samples)
    assert charts["samples"]["with image"] == len(samples)
    assert sum(charts["task"].values()) == sum(charts["boxes"].values()) == turns
    boxes = sum(len(GEOCHAT.parse(m.text).regions) for s in samples for m in s.messages if m.role == "assistant")
    assert sum(charts["angle"].values()) == sum(charts["box area"].values()) == boxes
    assert statistics([], GEOCHAT)["task"] == {}


def test_angles_are_counted_alike_in_every_dialect():
    box, charts = OrientedBox(10, 20, 40, 30, 50), []
    for angles in (
        AngleConvention(),
        AngleConvention("counterclockwise", "[0,90)"),
        AngleConvention(angle_range="[-45,45)"),
    ):
        dialect = GEOCHAT.fitted(angles=angles)
        messages = (Message("user", "[refer] Where?"), Message("assistant", dialect.write("a ship", [box])))
        charts.append(statistics([Sample("1", None, messages)], dialect))
    assert charts[0] == charts[1] == charts[2]
    assert charts[0]["angle"] == {"45 to 60": 1}
