"""UC Merced: good rows are read, the rest is counted."""

import json
from collections import Counter

import pytest
from PIL import Image

from geochat.errors import DataError, ImageError
from geochat_data.readers import Report, read_jsonl, read_ucm

SQUARE = [[1, 1], [9, 1], [9, 9], [1, 9]]


def ucm_row(name, **changes):
    return {
        "image": f"train/airplane/{name}.jpg",
        "split": "train",
        "scene": "airplane",
        "captions": ["One ."],
    } | changes


@pytest.fixture
def folder(tmp_path):
    images = tmp_path / "train" / "airplane"
    images.mkdir(parents=True)
    for name in ("a", "b"):
        Image.new("RGB", (20, 10), "white").save(images / f"{name}.jpg")
    rows = [ucm_row("a"), ucm_row("gone"), ucm_row("b"), {"split": "train"}, ucm_row("t", split="test")]
    (tmp_path / "captions.jsonl").write_text("\n".join([*map(json.dumps, rows), "{oops", "[1]", ""]))
    box = {"category": "airplane", "polygon": SQUARE}
    boxes = [
        {"image": "train/airplane/a.jpg", "objects": [box], "ignore": [box]},
        {"image": "train/airplane/b.jpg", "objects": [{"category": "airplane", "polygon": [[1, 2]]}]},
    ]
    (tmp_path / "boxes.jsonl").write_text("\n".join(map(json.dumps, boxes)))
    return tmp_path


def test_ucm_yields_good_rows_and_reports_the_rest(folder):
    report = Report()
    images = list(read_ucm(folder, "train", report=report))
    assert [image.path.name for image in images] == ["a.jpg", "b.jpg"]
    assert images[0].objects[0].center == (5, 5)
    assert images[0].objects[0].area == 64
    assert "airplane" in images[0].labelled
    assert len(images[0].ignore) == 1
    assert images[1].labelled == frozenset(), "boxes that could not be read claim nothing"
    assert (images[0].width, images[0].height) == images[0].open().size
    assert report.used == 2
    assert report.reasons == Counter(
        {
            "image missing or unreadable": 1,
            "malformed row (KeyError)": 1,
            "not JSON": 1,
            "not a JSON object": 1,
            "malformed boxes (ValueError)": 1,
        }
    )
    assert "captions.jsonl:6" in str(report)


def test_ucm_leaves_out_what_it_is_told_to(folder):
    assert [image.path.name for image in read_ucm(folder, "train", leave_out=frozenset({"a.jpg"}))] == ["b.jpg"]


def test_missing_file_is_an_error(tmp_path):
    with pytest.raises(DataError, match=r"none\.jsonl"):
        list(read_jsonl(tmp_path / "none.jsonl", Report()))


def test_vanished_image_is_an_image_error(folder):
    image = next(read_ucm(folder, "train"))
    image.path.unlink()
    with pytest.raises(ImageError, match=r"a\.jpg"):
        image.open()


def test_real_ucm(shared):
    report = Report()
    train = list(read_ucm(shared / "imagery" / "ucm", "train", report=report))
    assert (report.used, report.skipped) == (1680, 0)
    assert sum(len(image.objects) for image in train) == 612
    assert len({image.scene for image in train}) == 21
    assert all(item.category in image.labelled for image in train for item in image.objects)
