"""Label files as tools write them: read rightly, or refused with the reason."""

import json

import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine
from PIL import Image

from geochat.errors import DataError
from geochat.geometry import OrientedBox
from geochat_data.readers import DataSource, read
from geochat_data.readers.values import declared_size, flag, read_category_names

YOLO_LINE = "0 0.3 0.375 0.4 0.25"


def picture(path, size=(100, 80)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, "white").save(path)


def text(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


def box_of(item):
    return OrientedBox.from_polygon(item.polygon)


@pytest.fixture
def coco(tmp_path):
    """Write and read a COCO file of one image, some of its parts changed."""
    picture(tmp_path / "images" / "a.png")

    def made(annotation=None, image=None, **parts):
        shape = {"id": 1, "image_id": 1, "category_id": 7, "bbox": [10, 20, 40, 20]}
        row = {"id": 1, "file_name": "a.png", "width": 100, "height": 80}
        content = {
            "images": [row | (image or {})],
            "annotations": [shape | (annotation or {})],
            "categories": [{"id": 7, "name": "ship"}],
        }
        (tmp_path / "labels.json").write_text(json.dumps(content | parts))
        return DataSource(tmp_path / "labels.json")

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
    assert box_of(record.objects[0]).iou(OrientedBox(10, 20, 50, 40)) == pytest.approx(1)
    assert (record.ignore, record.labelled, source.report.skipped) == ((), {"ship"}, 0)


def test_a_mark_at_the_beginning_of_a_file_is_no_part_of_it(coco, tmp_path):
    source = coco()
    source.path.write_bytes(b"\xef\xbb\xbf" + source.path.read_bytes())
    assert len(list(read("coco", source))) == 1
    row = {"image": "images/a.png", "objects": [{"category": "ship", "polygon": [[1, 1], [9, 1], [9, 9], [1, 9]]}]}
    (tmp_path / "boxes.jsonl").write_text(json.dumps(row), encoding="utf-8-sig")
    assert len(list(read("boxes", DataSource(tmp_path)))) == 1
    text(tmp_path / "labelTxt" / "a.txt", "")
    (tmp_path / "labelTxt" / "a.txt").rename(tmp_path / "labelTxt" / "a.TXT")
    for encoding in ("utf-8-sig", "utf-16"):
        (tmp_path / "labelTxt" / "a.TXT").write_text("10 20 50 20 50 40 10 40 ship 0\r\n", encoding=encoding)
        (record,) = read("dota", DataSource(tmp_path))
        assert [item.category for item in record.objects] == ["ship"]


REFUSED = [
    ({"annotations": None}, "a list `annotations` is needed, it is null"),
    ({"images": {}}, "a list `images` is needed, it is dict"),
    ({"categories": None}, "a list `categories` is needed"),
    ({"categories": [{"id": 7}]}, "an `id` and a `name`"),
    ({"images": [{"id": 1, "file_name": "a.png"}, {"id": 1, "file_name": "b.png"}]}, "the id 1 is that of another"),
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
        assert box_of(record.objects[0]).iou(OrientedBox(10, 20, 50, 40)) == pytest.approx(1)
    (record,) = read("coco", coco(annotation={"segmentation": {"counts": ""}, "iscrowd": 1}))
    assert len(record.ignore) == 1, "a crowd is where its box is"


def test_run_lengths_without_pycocotools_are_refused(coco, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pycocotools", None)
    source = coco(annotation={"segmentation": {"size": [80, 100], "counts": [8000]}})
    (record,) = read("coco", source)
    assert record.labelled == frozenset()
    assert "needs pycocotools" in str(source.report)


def test_an_image_listed_twice_is_one_with_all_its_labels(coco, tmp_path):
    images = [{"id": 1, "file_name": "a.png"}, {"id": 2, "file_name": "images\\a.png"}, {"id": 1, "file_name": "a.png"}]
    shapes = [{"image_id": n, "category_id": 7, "bbox": [x, 20, 20, 20]} for n, x in ((1, 10), (2, 50), (2, 10))]
    images[0]["file_name"] = images[2]["file_name"] = "images/a.png"
    source = coco(images=images, annotations=shapes)
    (record,) = read("coco", source)
    assert sorted(item.center for item in record.objects) == [(20, 30), (60, 30)]
    assert source.report.notes["image that is listed twice: its labels taken together"] == 2
    assert source.report.notes["label that is there twice"] == 1
    polygons = [[[x, 20], [x + 20, 20], [x + 20, 40], [x, 40]] for x in (10, 50)]
    rows = [{"image": name, "objects": [{"category": "ship", "polygon": polygon}]}
            for name, polygon in zip(("images/a.png", "images\\a.png"), polygons, strict=True)]  # fmt: skip
    (tmp_path / "boxes.jsonl").write_text("\n".join(map(json.dumps, [rows[0], rows[1], rows[0]])))
    (record,) = read("boxes", DataSource(tmp_path))
    assert sorted(item.center for item in record.objects) == [(20, 30), (60, 30)]
    rows[1]["objects"] = 3
    (tmp_path / "boxes.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (record,) = read("boxes", DataSource(tmp_path))
    assert (len(record.objects), record.labelled) == (1, frozenset()), "one of its lines could not be read"


@pytest.fixture
def raster(tmp_path):
    path = tmp_path / "ground.tif"
    profile = {"driver": "GTiff", "width": 100, "height": 100, "count": 3, "dtype": "uint8", "crs": "EPSG:4326"}
    with rasterio.open(path, "w", **profile, transform=Affine(0.001, 0, 10, 0, -0.001, 50)) as out:
        out.write(np.full((3, 100, 100), 90, np.uint8))
    return path


def geojson(raster, features, **start):
    path = raster.with_name("labels.geojson")
    rows = [{"type": "Feature", "properties": p, "geometry": shapely.geometry.mapping(shape)} for shape, p in features]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": rows}), **start)
    return DataSource(path, images=raster, window=100)


def ground(x, y, side=20):
    """A square in pixels of the raster, in degrees."""
    return shapely.box(10 + x / 1000, 50 - (y + side) / 1000, 10 + (x + side) / 1000, 50 - y / 1000)


def test_two_polygons_of_a_feature_are_two_objects(raster):
    both = shapely.MultiPolygon([ground(5, 5), ground(60, 60)])
    mixed = shapely.GeometryCollection([ground(5, 60), shapely.Point(10.07, 49.98)])
    (window,) = read("geo", geojson(raster, [(both, {"class": "car"})], encoding="utf-8-sig"))
    assert sorted(item.center for item in window.objects) == [pytest.approx((15, 15)), pytest.approx((70, 70))]
    assert window.labelled == {"car"}
    source = geojson(raster, [(both, {"class": "car"}), (mixed, {"class": "ship"})])
    (window,) = read("geo", source)
    assert [item.category for item in window.objects] == ["car", "car", "ship"]
    assert window.labelled == {"car"}
    assert source.report.reasons == {"feature that is no polygon": 1}


def test_a_class_is_a_name(raster):
    features = [(ground(5, 5), {"class": 3, "kind": "Car"}), (ground(60, 60), {"class": None, "kind": "Ship"})]
    source = geojson(raster, features)
    with pytest.raises(DataError, match=r"feature 0: the category '3' is a number.*--names 3=NAME"):
        list(read("geo", source))
    (window,) = read("geo", DataSource(source.path, images=raster, names={"3": "car"}))
    assert [item.category for item in window.objects] == ["car"]
    assert window.labelled == frozenset(), "the other may be a car too"
    (window,) = read("geo", DataSource(source.path, images=raster, column="kind"))
    assert {item.category for item in window.objects} == window.labelled == {"car", "ship"}
    with pytest.raises(DataError, match="none of the attributes sort, only class, kind"):
        list(read("geo", DataSource(source.path, images=raster, column="sort")))
    (window,) = read("geo", geojson(raster, [(ground(5, 5), {"Class": "nan"}), (ground(60, 60), {"Class": "car"})]))
    assert ([item.category for item in window.objects], window.labelled) == (["car"], frozenset())


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("n.json", '{"3": "Ship", "5": "small-car"}'),
        ("n.json", '["a", "b", "c", "ship", "", "small car"]'),
        ("n.yaml", "names: {3: ship, 5: small car}"),
        ("n.txt", "\ufeffa\nb\nc\nship\n\nsmall_car"),
    ],
)
def test_tables_of_names(tmp_path, name, content):
    (tmp_path / name).write_text(content, encoding="utf-8")
    found = read_category_names(tmp_path / name)
    assert (found["3"], found["5"], found.get("4")) == ("ship", "small car", None)
    (tmp_path / "bad.json").write_text("3")
    with pytest.raises(DataError, match="no table of names"):
        read_category_names(tmp_path / "bad.json")


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
