"""Unknown is not absent: what a label that cannot be used was about is never asked for, counted or denied."""

import json
import random

import pytest
from PIL import Image

from geochat.dialects import GEOCHAT
from geochat_data.building import BuildSettings, build_samples
from geochat_data.questions import Subject
from geochat_data.readers import DataSource, read
from geochat_data.readers.report import ANY
from geochat_data.tiling import tile_images

SOUND = {"category": "car", "polygon": [[10, 10], [30, 10], [30, 30], [10, 30]]}
OTHER = {"category": "ship", "polygon": [[60, 60], [90, 60], [90, 80], [60, 80]]}
NOBODY = {"category": "bicycle", "polygon": [[40, 40], [50, 40], [50, 50], [40, 50]]}
FAULTS = {  # a label of a bicycle that cannot be used -> the categories it makes unknown
    "no width": ({"category": "bicycle", "polygon": [[40, 40], [40, 40], [40, 50], [40, 50]]}, "bicycle"),
    "off the image": ({"category": "bicycle", "polygon": [[400, 40], [410, 40], [410, 50], [400, 50]]}, "bicycle"),
    "not a number": ({"category": "bicycle", "polygon": [["x", 40], [50, 40], [50, 50], [40, 50]]}, "bicycle"),
    "infinite": ({"category": "bicycle", "polygon": [[1e999, 40], [50, 40], [50, 50], [40, 50]]}, "bicycle"),
    "no box": ({"category": "bicycle"}, "bicycle"),
    "no category": ({"polygon": [[40, 40], [50, 40], [50, 50], [40, 50]]}, ANY),
    "no object": ("oops", ANY),
}


def in_boxes(folder, labels):
    rows = [{"image": "a.png", "objects": labels}, {"image": "b.png", "objects": [SOUND, OTHER, NOBODY]}]
    (folder / "boxes.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return "boxes", DataSource(folder)


def in_coco(folder, labels):
    ids = {"car": 1, "ship": 2, "bicycle": 3}
    annotations = []
    for image, things in ((1, labels), (2, [SOUND, OTHER, NOBODY])):
        for thing in things:
            row = {"image_id": image}
            if isinstance(thing, dict):
                row |= {"category_id": ids[thing["category"]]} if "category" in thing else {}
                flat = [value for corner in thing.get("polygon", ()) for value in corner]
                row |= {"segmentation": [flat]} if flat else {}
            annotations.append(row)
    content = {
        "images": [{"id": 1, "file_name": "a.png"}, {"id": 2, "file_name": "b.png"}],
        "annotations": annotations,
        "categories": [{"id": number, "name": name} for name, number in ids.items()],
    }
    (folder / "labels.json").write_text(json.dumps(content))
    return "coco", DataSource(folder / "labels.json")


def lines(labels, write):
    return "\n".join(write(label) if isinstance(label, dict) else label for label in labels)


def flat(label):
    return [value for corner in label.get("polygon", ()) for value in corner]


def in_dota(folder, labels):
    def line(label):
        return " ".join([*map(str, flat(label)), label.get("category", "")]).replace("inf", "1e999")

    (folder / "labelTxt").mkdir()
    for name, things in (("a", labels), ("b", [SOUND, OTHER, NOBODY])):
        (folder / "labelTxt" / f"{name}.txt").write_text(lines(things, line))
    return "dota", DataSource(folder, images=folder)


def in_yolo(folder, labels):
    numbers = {"car": "0", "ship": "1", "bicycle": "2"}

    def line(label):
        shares = (value if isinstance(value, str) else value / 100 for value in flat(label))
        return " ".join([numbers.get(label.get("category"), "7"), *map(str, shares)])

    (folder / "labels").mkdir()
    (folder / "classes.txt").write_text("car\nship\nbicycle")
    for name, things in (("a", labels), ("b", [SOUND, OTHER, NOBODY])):
        (folder / "labels" / f"{name}.txt").write_text(lines(things, line))
    return "yolo", DataSource(folder, images=folder)


def in_voc(folder, labels):
    corners = ("left_top", "right_top", "right_bottom", "left_bottom")

    def thing(label):
        name = f"<name>{label['category']}</name>" if "category" in label else ""
        shape = "".join(
            f"<{axis}_{corner}>{value}</{axis}_{corner}>"
            for corner, point in zip(corners, label.get("polygon", ()), strict=False)
            for axis, value in zip("xy", point, strict=True)
        )
        return f"<object>{name}<robndbox>{shape}</robndbox></object>"

    (folder / "Annotations").mkdir()
    for name, things in (("a", labels), ("b", [SOUND, OTHER, NOBODY])):
        body = lines([thing if isinstance(thing, dict) else "<object/>" for thing in things], thing)
        (folder / "Annotations" / f"{name}.xml").write_text(f"<annotation>{body}</annotation>")
    return "voc", DataSource(folder, images=folder)


MAKERS = [in_boxes, in_coco, in_dota, in_yolo, in_voc]


@pytest.fixture
def folder(tmp_path):
    for name in "ab":
        Image.new("RGB", (100, 100), "gray").save(tmp_path / f"{name}.png")
    return tmp_path


def texts(record, folder, **how):
    """Everything said in many questions about a record."""
    settings = BuildSettings(GEOCHAT, questions=(30, 30), dialogues=1.0, **how)
    samples = [s for seed in range(3) for s in build_samples([record], folder, settings)]
    return [message.text for sample in samples for message in sample.messages]


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("fault", FAULTS)
def test_a_label_that_cannot_be_used_makes_its_category_unknown(make, fault, folder):
    label, category = FAULTS[fault]
    name, source = make(folder, [SOUND, OTHER, label])
    first, second = sorted(read(name, source), key=lambda record: record.path)
    told = source.report.to_dict()
    if make in (in_dota, in_yolo) and fault == "no category":  # whose lines have no place for it but their own
        category = next(iter(told["unknown"]["categories"]))
    assert told["unused_labels"] == told["unknown"]["images"] == 1
    if category == ANY or ANY in told["unknown"]["categories"]:
        assert first.labelled == frozenset()
    else:
        assert told["unknown"]["categories"] == {"bicycle": 1}
        assert first.labelled == {"car", "ship"}
    assert second.labelled == {"car", "ship", "bicycle"}, "other images are known as before"
    assert [item.category for item in first.objects] == ["car", "ship"]
    subject = Subject(first, random.Random(0), GEOCHAT)
    assert "bicycle" not in (*subject.countable, *subject.absent, *subject.present)
    assert not any("bicycle" in text for text in texts(first, folder))
    assert any("bicycle" in text for text in texts(second, folder))
    (window, *_) = tile_images([first], 60)
    assert window.labelled == first.labelled, "a window knows no more than its image"


def test_an_unreadable_label_file_leaves_nothing_known(folder):
    for make, broken in ((in_voc, "Annotations/a.xml"), (in_dota, "labelTxt/a.txt"), (in_yolo, "labels/a.txt")):
        name, source = make(folder, [SOUND])
        (folder / broken).write_bytes(b"\xff\x00<oops")
        first, second = sorted(read(name, source), key=lambda record: record.path)
        assert (first.objects, first.labelled) == ((), frozenset())
        assert second.labelled
        assert source.report.unknown == {ANY: 1}
        assert texts(first, folder) == []


def test_an_image_without_yolo_labels_was_not_labelled_and_an_empty_file_says_nothing_is_there(folder):
    name, source = in_yolo(folder, [])
    Image.new("RGB", (100, 100)).save(folder / "c.png")
    empty, _, missing = sorted(read(name, source), key=lambda record: record.path)
    assert empty.labelled == {"car", "ship", "bicycle"}
    assert missing.labelled == frozenset()
    assert source.report.notes == {"image without a label file: nothing is known of it": 1}


def test_a_label_of_an_unknown_image_is_unknown_in_all(folder):
    _, source = in_coco(folder, [SOUND])
    content = json.loads(source.path.read_text())
    content["annotations"].append({"category_id": 3, "bbox": [1, 1, 5, 5]})
    source.path.write_text(json.dumps(content))
    first, second = read("coco", source)
    assert first.labelled == second.labelled == {"car", "ship"}
    assert source.report.unused_labels == 1
    content["annotations"][-1] = "oops"
    source.path.write_text(json.dumps(content))
    assert [record.labelled for record in read("coco", DataSource(source.path))] == [frozenset()] * 2


def test_a_row_without_objects_says_nothing_of_them(folder):
    rows = [{"image": "a.png", "scene": "river"}, {"image": "b.png", "objects": [SOUND]}]
    (folder / "boxes.jsonl").write_text("\n".join(map(json.dumps, rows)))
    first, second = read("boxes", DataSource(folder))
    assert (first.labelled, second.labelled) == (frozenset(), {"car"})
