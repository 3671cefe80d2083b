"""Data sets as they are published and exported, and what is said where they are something else."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from geochat.errors import DataError
from geochat.geometry import OrientedBox
from geochat_data.readers import DataSource, class_names, read
from geochat_data.readers.layout import choose_split

BOX = OrientedBox(10, 20, 50, 40)
TURNED = OrientedBox(30, 30, 70, 50, 30)


def coco_file(path, name="a.png"):
    annotation = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [10, 20, 40, 20]}
    rows = {"images": [{"id": 1, "file_name": name}], "annotations": [annotation]}
    categories = [{"id": 0, "name": "none"}, {"id": 1, "name": "ship"}]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(rows | {"categories": categories}))


SHIP = {"category": "ship", "polygon": [[10, 20], [50, 20], [50, 40], [10, 40]]}
YOLO_LINE = "0 0.3 0.375 0.4 0.25"


def roboflow_coco(folder, split):
    folder.picture(f"{split}/{split}.png")
    coco_file(folder / split / "_annotations.coco.json", f"{split}.png")
    return "coco"


def published_coco(folder, split):
    folder.picture(f"{split}2017/{split}.png")
    coco_file(folder / "annotations" / f"instances_{split}2017.json", f"{split}.png")
    folder.text(f"annotations/captions_{split}2017.json", "{}")
    return "coco"


def roboflow_yolo(folder, split):
    folder.picture(f"{split}/images/{split}.png")
    folder.text(f"{split}/labels/{split}.txt", YOLO_LINE)
    folder.text("data.yaml", "train: ../train/images\nval: ../valid/images\nnc: 1\nnames: ['ship']\n")
    return "yolo"


def ultralytics_yolo(folder, split):
    folder.picture(f"images/{split}/{split}.png")
    folder.text(f"labels/{split}/{split}.TXT", f"\ufeff{YOLO_LINE}\r\n")
    folder.text("classes.txt", "\ufeffship\r\n")
    return "yolo"


def described_yolo(folder, split):
    folder.picture(f"set/pictures/images/{split}/{split}.png")
    folder.text(f"set/pictures/labels/{split}/{split}.txt", YOLO_LINE)
    entries = "\n".join(f"{name}: images/{name}" for name in ("train", "valid", "test"))
    folder.text("data.yaml", f"path: set/pictures\n{entries}\nnames: {{0: ship}}\n")
    return "yolo"


def listed_yolo(folder, split):
    folder.picture(f"all/images/{split}.png")
    folder.text(f"all/labels/{split}.txt", YOLO_LINE)
    folder.text(f"{split}.txt", f"./all/images/{split}.png\n")
    entries = "\n".join(f"{name}: {name}.txt" for name in ("train", "valid", "test"))
    folder.text("data.yaml", f"{entries}\nnames: [ship]\n")
    return "yolo"


def voc_text(shape=None, size=""):
    shape = shape or "<bndbox><xmin>10</xmin><ymin>20</ymin><xmax>50</xmax><ymax>40</ymax></bndbox>"
    return f"<annotation>{size}<object><name>ship</name>{shape}</object></annotation>"


def roboflow_voc(folder, split):
    folder.picture(f"{split}/{split}.jpg")
    folder.text(f"{split}/{split}.XML", voc_text())
    return "voc"


def published_voc(folder, split):
    folder.picture(f"JPEGImages/{split}.jpg")
    folder.text(f"Annotations/{split}.xml", voc_text())
    folder.text(f"ImageSets/Main/{split}.txt", f"{split}\n")
    folder.text(f"ImageSets/Main/ship_{split}.txt", f"{split} 1\n")
    if split == "test":  # some lists name the files
        folder.text(f"ImageSets/Main/{split}.txt", f"{split}.jpg\n{split}.jpg\n")
    return "voc"


def dota(folder, split):
    folder.picture(f"{split}/images/{split}.png")
    folder.text(f"{split}/labelTxt/{split}.txt", "gsd:0.1\n10 20 50 20 50 40 10 40 ship 0")
    return "dota"


def dota_inside(folder, split):
    folder.picture(f"images/{split}/{split}.png")
    folder.text(f"labelTxt/{split}/{split}.txt", "10 20 50 20 50 40 10 40 ship 0")
    return "dota"


def boxes_file(folder, split):
    folder.picture(f"{split}.png")
    row = {
        "image": f"{split}.png",
        "objects": [{"category": "ship", "polygon": [[10, 20], [50, 20], [50, 40], [10, 40]]}],
    }
    folder.text(f"{split}.jsonl", json.dumps(row))
    return "boxes"


def boxes_rows(folder, split):
    folder.picture(f"{split}.png")
    row = {"image": f"{split}.png", "split": split, "objects": [SHIP]}
    with (folder / "boxes.jsonl").open("a") as file:
        file.write(json.dumps(row) + "\n")
    return "boxes"


def fair1m(folder, split):
    folder.picture(f"{split}/part1/images/{split}.tif")
    points = "".join(f"<point>{x},{y}</point>" for x, y in [(10, 20), (50, 20), (50, 40), (10, 40), (10, 20)])
    folder.text(
        f"{split}/part1/labelXml/{split}.xml",
        "<annotation><size><width>100</width><height>80</height></size><objects><object><coordinate>pixel</coordinate>"
        f"<possibleresult><name>ship</name></possibleresult><points>{points}</points></object></objects></annotation>",
    )
    return "fair1m"


def hrsc(folder, split):
    folder.picture(f"{split.title()}/AllImages/{split}.bmp")
    folder.text(f"{split.title()}/Annotations/{split}.xml", hrsc_text((30, 30, 40, 20, 0)))
    return "hrsc"


def hrsc_whole(folder, split):
    folder.picture(f"FullDataSet/AllImages/{split}.bmp")
    folder.text(f"FullDataSet/Annotations/{split}.xml", hrsc_text((30, 30, 40, 20, 0)))
    folder.text(f"ImageSets/{split}.txt", f"{split}\n")
    return "hrsc"


def hrsc_text(box):
    tags = ("mbox_cx", "mbox_cy", "mbox_w", "mbox_h", "mbox_ang")
    sides = "".join(f"<{tag}>{value}</{tag}>" for tag, value in zip(tags, box, strict=True))
    return (
        "<HRSC_Image><Img_SizeWidth>100</Img_SizeWidth><Img_SizeHeight>80</Img_SizeHeight><HRSC_Objects><HRSC_Object>"
        f"<Class_ID>100000002</Class_ID><difficult>0</difficult>{sides}</HRSC_Object></HRSC_Objects></HRSC_Image>"
    )


def dior(folder, split):
    folder.picture(f"{'JPEGImages-test' if split == 'test' else 'JPEGImages-trainval'}/{split}.jpg")
    shape = voc_text().replace("<annotation>", "").replace("</annotation>", "")
    folder.text(f"Annotations/Oriented Bounding Boxes/{split}.xml", f"<annotation>{shape}</annotation>")
    folder.text(f"Annotations/Horizontal Bounding Boxes/{split}.xml", "<annotation/>")
    folder.text(f"ImageSets/Main/{split}.txt", f"{split}\n")
    return "dior"


LAYOUTS = [
    roboflow_coco, published_coco, roboflow_yolo, ultralytics_yolo, described_yolo, listed_yolo, roboflow_voc,
    published_voc, dota, dota_inside, boxes_file, boxes_rows, fair1m, hrsc, hrsc_whole, dior,
]  # fmt: skip


@pytest.mark.parametrize("make", LAYOUTS)
def test_a_split_is_read_alone_and_one_that_is_not_there_is_an_error(make, folder):
    for split in ("train", "valid", "test"):
        name = make(folder, split)
    for asked, read_split in (("train", "train"), ("test", "test"), ("val", "valid"), ("validation", "valid")):
        source = DataSource(folder, split=asked, split_asked=True)
        (record,) = read(name, source)
        assert record.path.stem == read_split
        assert [item.category for item in record.objects] == ["ship"]
        assert record.objects[0].box.iou(BOX) == pytest.approx(1)
        assert record.labelled == {"ship"}
        assert asked == read_split or any("is called" in note for note in source.report.notes)
        assert source.report.skipped == 0
    with pytest.raises(DataError, match=r"no split 'nonesuch'.*([Tt]est|[Tt]rain)"):
        list(read(name, DataSource(folder, split="nonesuch", split_asked=True)))


def test_a_yolo_set_may_be_given_by_its_description(folder):
    for make in (roboflow_yolo, described_yolo):
        make(folder / make.__name__, "train")
        (record,) = read("yolo", DataSource(folder / make.__name__ / "data.yaml"))
        assert record.path.stem == "train"
    (folder / "data.yaml").write_text("names: [ship]\ntrain: gone/images\n")
    with pytest.raises(DataError, match="names gone/images, and neither"):
        list(read("yolo", DataSource(folder / "data.yaml")))
    (folder / "data.yaml").write_text("names: [ship]\n")
    with pytest.raises(DataError, match="looked for images/ beside labels/"):
        list(read("yolo", DataSource(folder)))


def test_scenes_have_splits_too(folder):
    for split in ("train", "valid"):
        for scene in ("river", "Beach"):
            folder.picture(f"{split}/{scene}/{split}.png")
    assert class_names(DataSource(folder, split="val")) == ("beach", "river")
    assert {record.path.stem for record in read("folders", DataSource(folder, split="val"))} == {"valid"}
    with pytest.raises(DataError, match="train, valid"):
        list(read("folders", DataSource(folder, split="test")))


def test_one_of_several_that_may_be_meant_is_not_guessed():
    source = DataSource(Path("set"), split="val")
    assert choose_split(source, {"val": 1, "valid": 2}) == 1
    assert choose_split(source, {"train2017": 1, "val2017": 2}) == 2
    assert choose_split(source, {"river": 1, "beach": 2}) is None
    with pytest.raises(DataError, match="has several splits for 'val': valid, validation"):
        choose_split(source, {"valid": 1, "validation": 2})


def test_a_split_of_a_data_set_without_splits_is_refused(folder):
    coco_file(folder / "labels.json")
    folder.picture("a.png")
    wrong = DataSource(folder / "labels.json", split="val", split_asked=True)
    with pytest.raises(DataError, match="has no splits, so 'val' does not exist"):
        list(read("coco", wrong))
    assert len(list(read("coco", replace(wrong, split_asked=False)))) == 1
    (folder / "labels.json").rename(folder / "instances_val2017.json")
    assert len(list(read("coco", replace(wrong, path=folder / "instances_val2017.json")))) == 1


@pytest.mark.parametrize(
    ("name", "make"), [("coco", roboflow_coco), ("yolo", roboflow_yolo), ("voc", roboflow_voc), ("dota", dota)]
)
def test_a_wrong_folder_of_images_is_an_error_that_names_it(name, make, folder):
    make(folder / "set", "train")
    folder.picture("elsewhere/z.png")
    (folder / "empty").mkdir()
    for images in ("elsewhere", "empty", "gone"):
        with pytest.raises(DataError, match=images):
            list(read(name, DataSource(folder / "set", images=folder / images)))


def test_outlines_and_turned_boxes(folder):
    folder.picture("yolo/images/a.png")
    outline = np.array(TURNED.corners())
    middle = (outline[0] + outline[1]) / 2
    points = np.array([outline[0], middle, *outline[1:]]) / (100, 80)
    (folder / "yolo" / "classes.txt").write_text("ship")
    folder.text("yolo/labels/a.txt", "0 " + " ".join(f"{v:.6f}" for v in points.ravel()))
    (record,) = read("yolo", DataSource(folder / "yolo"))
    assert record.objects[0].box.iou(TURNED) == pytest.approx(1, abs=1e-3)
    folder.picture("hrsc/Train/AllImages/a.bmp")
    folder.text("hrsc/Train/Annotations/a.xml", hrsc_text((50, 40, 40, 20, math.radians(30))))
    (record,) = read("hrsc", DataSource(folder / "hrsc"))
    assert record.objects[0].box.iou(TURNED) == pytest.approx(1, abs=1e-6)
    (record,) = read("hrsc", DataSource(folder / "hrsc", names={"100000002": "aircraft carrier"}))
    assert record.objects[0].category == "aircraft carrier"
    folder.picture("dior/JPEGImages-trainval/a.jpg")
    corners = zip(("left_top", "right_top", "right_bottom", "left_bottom"), TURNED.corners(), strict=True)
    tags = "".join(f"<x_{corner}>{x}</x_{corner}><y_{corner}>{y}</y_{corner}>" for corner, (x, y) in corners)
    xml = voc_text(f"<robndbox>{tags}</robndbox>").replace("ship", "Golffield")
    folder.text("dior/Annotations/Oriented Bounding Boxes/a.xml", xml)
    (record,) = read("dior", DataSource(folder / "dior"))
    assert record.objects[0].box.iou(TURNED) == pytest.approx(1, abs=1e-6)
    assert record.objects[0].category == "golf field"


def test_two_names_for_one_object_and_points_on_a_map_are_not_read(folder):
    fair1m(folder, "train")
    path = folder / "train" / "part1" / "labelXml" / "train.xml"
    good = path.read_text()
    for wrong in (good.replace("pixel", "geographic"), good.replace("<name>", "<name>boat</name><name>")):
        path.write_text(wrong)
        source = DataSource(folder)
        (record,) = read("fair1m", source)
        assert (record.objects, record.labelled, source.report.unused_labels) == ((), frozenset(), 1)
