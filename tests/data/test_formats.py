"""Every format: correct labels are read, wrong ones are named, counted and left out, and strict stops at the first."""

import json
import math

import pytest

from geochat.errors import DataError
from geochat.geometry import OrientedBox
from geochat_data.readers import DataSource, Report, read


def coco(folder):
    folder.mkdir(exist_ok=True)
    folder.picture("a.png")
    square = [10, 10, 20, 10, 20, 30, 10, 30]
    diamond = [50, 20, 60, 30, 50, 40, 40, 30]
    annotations = [
        {"id": 1, "image_id": 1, "category_id": 7, "bbox": [10, 10, 10, 20], "segmentation": [square]},
        {"id": 2, "image_id": 1, "category_id": 7, "bbox": [40, 20, 20, 20], "segmentation": [diamond]},
        {"id": 3, "image_id": 1, "category_id": 8, "bbox": [60, 50, 20, 10]},
        {
            "id": 4,
            "image_id": 1,
            "category_id": 8,
            "bbox": [0, 50, 30, 10],
            "iscrowd": 1,
            "segmentation": {"counts": ""},
        },
        {"id": 5, "image_id": 1, "category_id": 8, "bbox": [0, 50, 30, 0]},
        {"id": 6, "image_id": 1, "category_id": 8, "bbox": [300, 50, 30, 10]},
        {"id": 7, "image_id": 1, "category_id": 99, "bbox": [1, 1, 5, 5]},
        {"id": 8, "image_id": 5, "category_id": 7, "bbox": [1, 1, 5, 5]},
    ]
    images = [{"id": 1, "file_name": "a.png"}, {"id": 2, "file_name": "gone.png"}, {"id": 3}]
    categories = [{"id": 7, "name": "Large-Vehicle"}, {"id": 8, "name": "ship"}]
    path = folder / "instances.json"
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))
    return DataSource(path)


def dota(folder):
    for name in ("a", "b", "unlabelled"):
        folder.picture(f"images/{name}.png")
    lines = [
        "imagesource:GoogleEarth", "gsd:0.14",
        "10 10 20 10 20 30 10 30 large-vehicle 0",
        "50 20 60 30 50 40 40 30 large-vehicle 0",
        "60 50 80 50 80 60 60 60 ship 0",
        "0 50 30 50 30 60 0 60 ship 1",
        "0 50 30 50 30 50 0 50 ship 0",
        "300 50 330 50 330 60 300 60 ship 0",
        "1 2 3 ship",
    ]  # fmt: skip
    (folder / "labelTxt").mkdir()
    (folder / "labelTxt" / "a.txt").write_text("\n".join(lines))
    (folder / "labelTxt" / "b.txt").write_text("")
    (folder / "labelTxt" / "gone.txt").write_text(lines[2])
    return DataSource(folder)


def yolo(folder):
    folder.picture("images/train/a.png")
    (folder / "images" / "train" / "broken.png").write_text("no image")
    (folder / "data.yaml").write_text("names: {0: large vehicle, 1: ship}\n")

    def shares(*numbers):
        return " ".join(str(n / (80 if i % 2 else 100)) for i, n in enumerate(numbers))

    lines = [
        f"0 {shares(10, 10, 20, 10, 20, 30, 10, 30)}",
        f"0 {shares(50, 20, 60, 30, 50, 40, 40, 30)}",
        f"1 {shares(70, 55, 20, 10)}",
        "",
        f"1 {shares(15, 55, 30, 0)}",
        f"1 {shares(315, 55, 30, 10)}",
        "1 0.5 0.5 0.5",
        f"9 {shares(15, 55, 30, 10)}",
    ]
    (folder / "labels" / "train").mkdir(parents=True)
    (folder / "labels" / "train" / "a.txt").write_text("\n".join(lines))
    return DataSource(folder)


def voc(folder):
    folder.picture("JPEGImages/a.jpg")

    def entry(name, shape, difficult=0):
        return f"<object><name>{name}</name><difficult>{difficult}</difficult>{shape}</object>"

    def upright(x1, y1, x2, y2):
        return f"<bndbox><xmin>{x1}</xmin><ymin>{y1}</ymin><xmax>{x2}</xmax><ymax>{y2}</ymax></bndbox>"

    side = math.sqrt(200)
    turned = f"<robndbox><cx>50</cx><cy>30</cy><w>{side}</w><h>{side}</h><angle>{math.pi / 4}</angle></robndbox>"
    objects = [
        entry("large_vehicle", upright(10, 10, 20, 30)),
        entry("large_vehicle", turned),
        entry("ship", upright(60, 50, 80, 60)),
        entry("ship", upright(0, 50, 30, 60), difficult=1),
        entry("ship", upright(0, 50, 30, 50)),
        entry("ship", upright(300, 50, 330, 60)),
        entry("ship", "<bndbox><xmin>3</xmin></bndbox>"),
    ]
    (folder / "Annotations").mkdir()
    (folder / "Annotations" / "a.xml").write_text(f"<annotation>{''.join(objects)}</annotation>")
    (folder / "Annotations" / "b.xml").write_text("<annotation>")
    (folder / "Annotations" / "c.xml").write_text("<annotation/>")
    return DataSource(folder)


def boxes(folder):
    folder.picture("a.png")
    rows = [
        {"category": "large vehicle", "polygon": [[10, 10], [20, 10], [20, 30], [10, 30]]},
        {"category": "large vehicle", "polygon": [[50, 20], [60, 30], [50, 40], [40, 30]]},
        {"category": "ship", "polygon": [[60, 50], [80, 50], [80, 60], [60, 60]]},
        {"category": "ship", "polygon": [[0, 50], [30, 50], [30, 60], [0, 60]], "difficult": True},
        {"category": "ship", "polygon": [[0, 50], [30, 50], [30, 50], [0, 50]]},
        {"category": "ship", "polygon": [[300, 50], [330, 50], [330, 60], [300, 60]]},
        {"category": "ship"},
    ]
    lines = [json.dumps({"image": "a.png", "objects": rows}), json.dumps({"image": "gone.png"}), "{oops", "{}"]
    (folder / "boxes.jsonl").write_text("\n".join(lines))
    return DataSource(folder)


@pytest.mark.parametrize("make", [coco, dota, yolo, voc, boxes])
def test_the_same_scene_in_every_format(make, folder):
    """`known` are the categories of which every label of the image was read."""
    known = {"voc": {"large vehicle"}, "boxes": {"large vehicle"}}.get(make.__name__, set())
    source = make(folder)
    first, *others = read(make.__name__, source)
    assert [item.category for item in first.objects] == ["large vehicle", "large vehicle", "ship"]
    upright, turned, ship = (item.box for item in first.objects)
    assert upright.iou(OrientedBox(10, 10, 20, 30)) == pytest.approx(1)
    assert turned.iou(OrientedBox(50 - 50**0.5, 30 - 50**0.5, 50 + 50**0.5, 30 + 50**0.5, 45)) == pytest.approx(1)
    assert ship.iou(OrientedBox(60, 50, 80, 60)) == pytest.approx(1)
    assert (first.width, first.height) == (100, 80)
    assert first.labelled == known
    assert len(first.ignore) == (0 if make is yolo else 1)
    assert source.report.used == 1 + len(others)
    assert source.report.reasons["degenerate box"] == 1
    assert source.report.reasons["box outside the image"] == 1
    assert any("malformed" in reason for reason in source.report.reasons)
    for reason, places in source.report.to_dict()["reasons"].items():
        assert places["count"] == len(places["places"]), reason
        assert all(str(folder) in place for place in places["places"])


@pytest.mark.parametrize("make", [coco, dota, yolo, voc, boxes])
def test_strict_stops_at_the_first(make, folder):
    source = make(folder)
    strict = DataSource(source.path, report=Report(strict=True))
    with pytest.raises(DataError, match="strict"):
        list(read(make.__name__, strict))


@pytest.mark.parametrize("make", [coco, dota, yolo, voc, boxes])
def test_what_is_not_labelled_exhaustively_is_not_known_to_be_absent(make, folder):
    assert next(read(make.__name__, DataSource(make(folder).path, exhaustive=False))).labelled == frozenset()


def test_where_nobody_looked_nothing_is_absent(folder):
    source = boxes(folder)
    with (folder / "boxes.jsonl").open("a") as file:
        folder.picture("b.png")
        corners = [[1, 1], [9, 1], [9, 9], [1, 9]]
        file.write("\n" + json.dumps({"image": "b.png", "objects": [{"category": "DontCare", "polygon": corners}]}))
    first, second = read("boxes", source)
    assert first.labelled == {"large vehicle"}
    assert (second.objects, len(second.ignore), second.labelled) == ((), 1, frozenset())


def test_missing_images_are_counted(folder):
    source = coco(folder)
    assert len(list(read("coco", source))) == 1
    assert source.report.reasons["image missing or unreadable"] == 1
    assert source.report.reasons["annotation of an unlisted image"] == 1


def test_dota_says_which_files_have_no_partner(folder):
    source = dota(folder)
    images = list(read("dota", source))
    assert [image.path.stem for image in images] == ["a", "b"]
    assert images[1].objects == ()
    assert source.report.places["image without a label file"] == [str(folder / "images" / "unlabelled.png")]
    assert source.report.places["label file without an image"] == [str(folder / "labelTxt" / "gone.txt")]


def test_coco_and_dota_as_they_are_published(folder):
    source = coco(folder / "flat")
    (folder / "annotations").mkdir()
    source.path.rename(folder / "annotations" / "instances_val2017.json")
    (folder / "val2017").mkdir()
    (folder / "flat" / "a.png").rename(folder / "val2017" / "a.png")
    (image,) = read("coco", DataSource(folder / "annotations" / "instances_val2017.json"))
    assert image.path.parent.name == "val2017"
    dota(folder / "DOTA" / "val")
    upright = folder / "DOTA" / "val" / "labelTxt" / "valset_reclabelTxt"
    upright.mkdir()
    (upright / "a.txt").write_text("0 0 9 0 9 9 0 9 plane 0")
    images = list(read("dota", DataSource(folder / "DOTA", split="val")))
    assert {item.category for image in images for item in image.objects} == {"large vehicle", "ship"}


def test_voc_keeps_to_its_split(folder):
    source = voc(folder)
    (folder / "ImageSets" / "Main").mkdir(parents=True)
    (folder / "ImageSets" / "Main" / "val.txt").write_text("c\ngone\n")
    folder.picture("JPEGImages/c.jpg")
    (image,) = read("voc", source := DataSource(source.path, split="val"))
    assert image.path.stem == "c"
    assert list(source.report.reasons) == ["image without a label file"]


def test_yolo_needs_names(folder):
    source = yolo(folder)
    (folder / "data.yaml").unlink()
    with pytest.raises(DataError, match=r"classes\.txt"):
        list(read("yolo", source))
    (folder / "classes.txt").write_text("lorry\nship\n")
    assert {item.category for item in next(read("yolo", source)).objects} == {"lorry", "ship"}


def test_folders_are_classes(folder):
    folder.picture("Storage_Tanks/a.jpg")
    folder.picture("river/deep/b.png")
    (folder / "river" / "broken.png").write_text("no image")
    source = DataSource(folder)
    found = list(read("folders", source))
    assert [(image.scene, image.path.name) for image in found] == [("storage tanks", "a.jpg"), ("river", "b.png")]
    assert source.report.reasons == {"image missing or unreadable": 1}
    assert found[0].labelled == frozenset()


@pytest.mark.parametrize("content", ["[]", "{"])
def test_what_cannot_be_read_at_all(content, folder):
    (folder / "file").write_text(content)
    with pytest.raises(DataError, match="file"):
        list(read("coco", DataSource(folder / "file")))
    with pytest.raises(DataError, match="gone"):
        list(read("coco", DataSource(folder / "gone")))


def test_real_sets(shared):
    imagery = shared / "imagery"
    for folder, split, images, objects in (
        ("hit-uav", "val", 50, 300),
        ("evaluation-only/dota", "test", 11, 1000),
        ("oam-buildings", "train", 147, 500),
    ):
        source = DataSource(imagery / folder, split=split)
        found = list(read("boxes", source))
        assert len(found) == images
        assert sum(len(image.objects) + len(image.ignore) for image in found) > objects
        assert "malformed" not in str(source.report)
