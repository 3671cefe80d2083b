"""Label files as tools write them: read correctly, or refused with the reason."""

import json

import numpy as np
import pytest

from geochat.errors import DataError
from geochat.geometry import OrientedBox
from geochat_data.readers import DataSource, read
from geochat_data.readers.values import declared_size, flag, read_category_names

YOLO_LINE = "0 0.3 0.375 0.4 0.25"


@pytest.fixture
def coco(folder):
    """Write and read a COCO file of one image, some of its parts changed."""
    folder.picture("images/a.png")

    def made(annotation=None, image=None, **parts):
        shape = {"id": 1, "image_id": 1, "category_id": 7, "bbox": [10, 20, 40, 20]}
        row = {"id": 1, "file_name": "a.png", "width": 100, "height": 80}
        content = {
            "images": [row | (image or {})],
            "annotations": [shape | (annotation or {})],
            "categories": [{"id": 7, "name": "ship"}],
        }
        (folder / "labels.json").write_text(json.dumps(content | parts))
        return DataSource(folder / "labels.json")

    return made


READ_RIGHTLY = [
    {"annotation": {"image_id": "1", "category_id": "7"}},
    {"image": {"id": "1"}},
    {"image": {"id": 1.0}, "annotation": {"image_id": "1"}},
    {"image": {"width": "100", "height": "80"}},
    {"image": {"width": None, "height": None}},
    {"image": {"file_name": "images\\a.png"}},
    {"annotation": {"iscrowd": "0"}},
    {"annotation": {"iscrowd": None, "segmentation": None}},
    {"annotation": {"bbox": ["10", "20", "40.0", 20]}},
    {"annotation": {"segmentation": []}},
    {"annotation": {"segmentation": [["10", "20", "50", "20", "50", "40", "10", "40"]], "bbox": None}},
]


@pytest.mark.parametrize("parts", READ_RIGHTLY, ids=str)
def test_what_tools_write_differently_is_the_same(coco, parts):
    source = coco(**parts)
    (record,) = read("coco", source)
    assert record.objects[0].box.iou(OrientedBox(10, 20, 50, 40)) == pytest.approx(1)
    assert (record.ignore, record.labelled, source.report.skipped) == ((), {"ship"}, 0)


def test_a_mark_at_the_beginning_of_a_file_is_no_part_of_it(coco, folder):
    source = coco()
    source.path.write_bytes(b"\xef\xbb\xbf" + source.path.read_bytes())
    assert len(list(read("coco", source))) == 1
    row = {"image": "images/a.png", "objects": [{"category": "ship", "polygon": [[1, 1], [9, 1], [9, 9], [1, 9]]}]}
    (folder / "boxes.jsonl").write_text(json.dumps(row), encoding="utf-8-sig")
    assert len(list(read("boxes", DataSource(folder)))) == 1
    folder.text("labelTxt/a.txt", "")
    (folder / "labelTxt" / "a.txt").rename(folder / "labelTxt" / "a.TXT")
    for encoding in ("utf-8-sig", "utf-16"):
        (folder / "labelTxt" / "a.TXT").write_text("10 20 50 20 50 40 10 40 ship 0\r\n", encoding=encoding)
        (record,) = read("dota", DataSource(folder))
        assert [item.category for item in record.objects] == ["ship"]


REFUSED = [
    ({"annotations": None}, "it needs a list `annotations`, which is null"),
    ({"images": {}}, "it needs a list `images`, which is dict"),
    ({"categories": None}, "it needs a list `categories`"),
    ({"categories": [{"id": 7}]}, "an `id` and a `name`"),
    ({"images": [{"id": 1, "file_name": "a.png"}, {"id": 1, "file_name": "b.png"}]}, "the id 1 belongs to another"),
]


@pytest.mark.parametrize(("parts", "reason"), REFUSED, ids=str)
def test_what_is_no_instances_file_is_refused_with_the_reason(coco, parts, reason):
    with pytest.raises(DataError, match=reason):
        list(read("coco", coco(**parts)))


UNUSED = [
    ({"bbox": [10, 20, -40, 20]}, "box with a negative side"),
    ({"bbox": [10, 20, 40]}, "malformed annotation (ValueError)"),
    ({"iscrowd": "perhaps"}, "malformed annotation (ValueError)"),
    ({"category_id": 8}, "malformed annotation (KeyError)"),
    ({"segmentation": {"size": [80, 100], "counts": "oops"}}, "damaged run-length mask"),
    ({"segmentation": {"size": [80, 100], "counts": [1, 2]}}, "damaged run-length mask"),
    ({"segmentation": {"size": [80, 100], "counts": [8000]}}, "empty run-length mask"),
    (
        {"segmentation": {"size": [100, 80], "counts": [8000]}},
        "run-length mask of another size than its image declares",
    ),
    ({"segmentation": {"counts": [8000]}}, "run-length mask without a size"),
]


@pytest.mark.parametrize(("annotation", "reason"), UNUSED, ids=str)
def test_what_cannot_be_read_is_unused_for_a_reason(coco, annotation, reason):
    pytest.importorskip("pycocotools")
    source = coco(annotation=annotation)
    (record,) = read("coco", source)
    assert (record.objects, record.labelled) == ((), frozenset())
    assert source.report.reasons == {reason: 1}


@pytest.mark.parametrize("packed", [False, True])
def test_run_lengths_are_read(coco, packed):
    rle = pytest.importorskip("pycocotools.mask")
    mask = np.zeros((80, 100), np.uint8, order="F")
    mask[20:40, 10:50] = 1
    counts = rle.encode(mask)["counts"].decode()
    if not packed:
        edges = np.flatnonzero(np.diff(np.concatenate([[0], mask.ravel(order="F"), [2]])))
        counts = np.diff(np.concatenate([[0], edges])).tolist()
    for image in ({}, {"width": None, "height": None}):
        source = coco(annotation={"segmentation": {"size": [80, 100], "counts": counts}, "bbox": None}, image=image)
        (record,) = read("coco", source)
        assert record.objects[0].box.iou(OrientedBox(10, 20, 50, 40)) == pytest.approx(1)
    (record,) = read("coco", coco(annotation={"segmentation": {"counts": ""}, "iscrowd": 1}))
    assert len(record.ignore) == 1, "a crowd is where its box is"


def test_run_lengths_without_pycocotools_are_refused(coco, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pycocotools", None)
    source = coco(annotation={"segmentation": {"size": [80, 100], "counts": [8000]}})
    (record,) = read("coco", source)
    assert record.labelled == frozenset()
    assert "needs pycocotools" in str(source.report)


def test_an_image_listed_twice_is_one_with_all_its_labels(coco, folder):
    images = [{"id": 1, "file_name": "a.png"}, {"id": 2, "file_name": "images\\a.png"}, {"id": 1, "file_name": "a.png"}]
    shapes = [{"image_id": n, "category_id": 7, "bbox": [x, 20, 20, 20]} for n, x in ((1, 10), (2, 50), (2, 10))]
    images[0]["file_name"] = images[2]["file_name"] = "images/a.png"
    source = coco(images=images, annotations=shapes)
    (record,) = read("coco", source)
    assert sorted(item.center for item in record.objects) == [(20, 30), (60, 30)]
    assert source.report.notes["image listed twice: its labels are joined"] == 2
    assert source.report.notes["duplicate label"] == 1
    polygons = [[[x, 20], [x + 20, 20], [x + 20, 40], [x, 40]] for x in (10, 50)]
    rows = [{"image": name, "objects": [{"category": "ship", "polygon": polygon}]}
            for name, polygon in zip(("images/a.png", "images\\a.png"), polygons, strict=True)]  # fmt: skip
    (folder / "boxes.jsonl").write_text("\n".join(map(json.dumps, [rows[0], rows[1], rows[0]])))
    (record,) = read("boxes", DataSource(folder))
    assert sorted(item.center for item in record.objects) == [(20, 30), (60, 30)]
    rows[1]["objects"] = 3
    (folder / "boxes.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (record,) = read("boxes", DataSource(folder))
    assert (len(record.objects), record.labelled) == (1, frozenset()), "one of its lines could not be read"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("n.json", '{"3": "Ship", "5": "small-car"}'),
        ("n.json", '["a", "b", "c", "ship", "", "small car"]'),
        ("n.yaml", "names: {3: ship, 5: small car}"),
        ("n.txt", "\ufeffa\nb\nc\nship\n\nsmall_car"),
    ],
)
def test_tables_of_names(folder, name, content):
    (folder / name).write_text(content, encoding="utf-8")
    found = read_category_names(folder / name)
    assert (found["3"], found["5"], found.get("4")) == ("ship", "small car", None)
    (folder / "bad.json").write_text("3")
    with pytest.raises(DataError, match="not a table of names"):
        read_category_names(folder / "bad.json")


def test_flags_and_sizes():
    assert [flag(value) for value in ("0", "1", 0, 1, 2.0, None, True, "false", "True", "", "0.0")] == [
        False, True, False, True, True, False, True, False, True, False, False,
    ]  # fmt: skip
    with pytest.raises(ValueError, match="perhaps"):
        flag("perhaps")
    assert [declared_size(*pair) for pair in ((1, "2"), (0, 0), (None, ""), ("0", 0))] == [(1, 2), None, None, None]
    for bad in ((1, None), (-1, 2), ("x", 1), (float("inf"), 1)):
        with pytest.raises((TypeError, ValueError)):
            declared_size(*bad)


def test_labels_of_another_format_are_refused(folder):
    folder.picture("images/a.png")
    (folder / "classes.txt").write_text("ship\n")
    for line in ("0 0.1 0.2 0.5 0.2 0.5 0.4 0.1 0.958984", "0 0.3 0.375 0.4 0.25", "0 " + " ".join(["0.5"] * 12)):
        folder.text("labels/a.txt", line)
        with pytest.raises(DataError, match=r"labels/a\.txt:1.*x1 y1 x2 y2.*yolo"):
            list(read("dota", DataSource(folder)))
    for line in ("10 20 50 20 50 40 10 40 ship 0", "0 10 20 50 40", "0 0.1 0.2 0.3 0.4 0.9"):
        folder.text("labels/a.txt", line)
        source = DataSource(folder)
        (record,) = read("yolo", source)
        assert (record.objects, record.labelled) == ((), frozenset())
        assert "neither `class x y width height`" in str(source.report)


@pytest.mark.parametrize("name", ["dior", "dota", "fair1m", "folders", "hrsc", "ucm", "voc"])
def test_a_file_where_a_folder_is_read_is_refused(name, folder):
    (folder / "labels.txt").write_text("")
    with pytest.raises(DataError, match=r"labels\.txt"):
        list(read(name, DataSource(folder / "labels.txt")))


def test_categories_that_are_numbers_need_names(folder):
    (folder / "names.yaml").write_text("names: {3: ship}\n")
    folder.picture("a.png")
    rows = {"images": [{"id": 1, "file_name": "a.png"}], "categories": [{"id": 1, "name": "3"}]}
    rows |= {"annotations": [{"image_id": 1, "category_id": 1, "bbox": [10, 20, 40, 20]}]}
    (folder / "labels.json").write_text(json.dumps(rows))
    with pytest.raises(DataError, match=r"annotation 0: the category '3' is a number.*--names"):
        list(read("coco", DataSource(folder / "labels.json")))
    (record,) = read("coco", DataSource(folder / "labels.json", names={"3": "ship"}))
    assert [item.category for item in record.objects] == ["ship"]
    assert record.labelled == {"ship"}
    folder.text("labels/a.txt", YOLO_LINE)
    (folder / "data.yaml").write_text("names: ship\n")
    with pytest.raises(DataError, match=r"names no classes.*ship.* is not a list"):
        list(read("yolo", DataSource(folder, images=folder)))
    (folder / "classes.txt").write_text("0\n1\n")
    with pytest.raises(DataError, match="class 0: the category '0' is a number"):
        list(read("yolo", DataSource(folder, images=folder)))


def test_images_that_differ_in_their_suffix_alone_are_left_out(folder):
    for suffix in ("png", "jpg"):
        folder.picture(f"images/a.{suffix}")
    folder.text("labelTxt/a.txt", "10 20 50 20 50 40 10 40 ship 0")
    source = DataSource(folder)
    with pytest.raises(DataError, match="in its suffix alone"):
        list(read("dota", source))
    assert source.report.reasons["image that differs from another in its suffix alone"] == 2
