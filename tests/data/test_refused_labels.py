"""What is no data set of its format is refused, naming what was found and what was expected."""

import json

import pytest
from PIL import Image

from geochat.errors import DataError
from geochat_data.readers import DataSource, read

YOLO_LINE = "0 0.3 0.375 0.4 0.25"


def picture(path, size=(100, 80)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, "white").save(path)


def text(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


def test_labels_of_another_format_are_refused(tmp_path):
    picture(tmp_path / "images" / "a.png")
    (tmp_path / "classes.txt").write_text("ship\n")
    for line in ("0 0.1 0.2 0.5 0.2 0.5 0.4 0.1 0.958984", "0 0.3 0.375 0.4 0.25", "0 " + " ".join(["0.5"] * 12)):
        text(tmp_path / "labels" / "a.txt", line)
        with pytest.raises(DataError, match=r"labels/a\.txt:1.*x1 y1 x2 y2.*yolo"):
            list(read("dota", DataSource(tmp_path)))
    for line in ("10 20 50 20 50 40 10 40 ship 0", "0 10 20 50 40", "0 0.1 0.2 0.3 0.4 0.9"):
        text(tmp_path / "labels" / "a.txt", line)
        source = DataSource(tmp_path)
        (record,) = read("yolo", source)
        assert (record.objects, record.labelled) == ((), frozenset())
        assert "neither `class x y width height`" in str(source.report)


@pytest.mark.parametrize("name", ["dior", "dota", "fair1m", "folders", "hrsc", "ucm", "voc"])
def test_a_file_where_a_folder_is_read_is_refused(name, tmp_path):
    (tmp_path / "labels.txt").write_text("")
    with pytest.raises(DataError, match=r"labels\.txt"):
        list(read(name, DataSource(tmp_path / "labels.txt")))


def test_categories_that_are_numbers_need_names(tmp_path):
    (tmp_path / "names.yaml").write_text("names: {3: ship}\n")
    picture(tmp_path / "a.png")
    rows = {"images": [{"id": 1, "file_name": "a.png"}], "categories": [{"id": 1, "name": "3"}]}
    rows |= {"annotations": [{"image_id": 1, "category_id": 1, "bbox": [10, 20, 40, 20]}]}
    (tmp_path / "labels.json").write_text(json.dumps(rows))
    with pytest.raises(DataError, match=r"annotation 0: the category '3' is a number.*--names"):
        list(read("coco", DataSource(tmp_path / "labels.json")))
    (record,) = read("coco", DataSource(tmp_path / "labels.json", names={"3": "ship"}))
    assert [item.category for item in record.objects] == ["ship"]
    assert record.labelled == {"ship"}
    text(tmp_path / "labels" / "a.txt", YOLO_LINE)
    (tmp_path / "data.yaml").write_text("names: ship\n")
    with pytest.raises(DataError, match=r"names no classes.*'ship' is no list"):
        list(read("yolo", DataSource(tmp_path, images=tmp_path)))
    (tmp_path / "classes.txt").write_text("0\n1\n")
    with pytest.raises(DataError, match="class 0: the category '0' is a number"):
        list(read("yolo", DataSource(tmp_path, images=tmp_path)))


def test_images_that_differ_in_their_suffix_alone_are_left_out(tmp_path):
    for suffix in ("png", "jpg"):
        picture(tmp_path / "images" / f"a.{suffix}")
    text(tmp_path / "labelTxt" / "a.txt", "10 20 50 20 50 40 10 40 ship 0")
    source = DataSource(tmp_path)
    with pytest.raises(DataError, match="different suffix"):
        list(read("dota", source))
    assert source.report.reasons["image whose name another has with a different suffix"] == 2
