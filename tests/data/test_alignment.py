"""Labels lie on the image as it is shown, whichever way up and however large it was when they were drawn."""

import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from geochat.errors import DataError
from geochat.imagery.orientation import Orientation
from geochat_data.readers import DataSource, Report, read
from geochat_data.readers.alignment import AS_SHOWN, SCALED, TURNED, align

STORED = (120, 80)  # a red car at (20, 10) to (50, 30) of the picture as stored
CAR = (20, 10, 50, 30)


def turned_picture(path, tag, size=STORED):
    """A black picture with the red car, and an EXIF orientation."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.zeros((size[1], size[0], 3), np.uint8)
    pixels[CAR[1] : CAR[3], CAR[0] : CAR[2]] = (255, 0, 0)
    exif = Image.Exif()
    exif[274] = tag
    Image.fromarray(pixels).save(path, exif=exif)


def red(path):
    """Left, top, right and bottom of what is red in the picture as Pillow turns it."""
    with Image.open(path) as image:
        from PIL import ImageOps

        rows, columns = np.nonzero(np.asarray(ImageOps.exif_transpose(image))[:, :, 0] > 128)
    return columns.min(), rows.min(), columns.max() + 1, rows.max() + 1


def bounds(record):
    (item,) = record.objects
    corners = np.array(item.polygon)
    return (*corners.min(axis=0), *corners.max(axis=0))


def coco(folder, box, size):
    left, top, right, bottom = box
    annotation = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [left, top, right - left, bottom - top]}
    image = {"id": 1, "file_name": "a.png"} | ({} if size is None else {"width": size[0], "height": size[1]})
    rows = {"images": [image], "annotations": [annotation], "categories": [{"id": 1, "name": "car"}]}
    (folder / "labels.json").write_text(json.dumps(rows))
    return DataSource(folder / "labels.json")


def voc(folder, box, size):
    (folder / "Annotations").mkdir(exist_ok=True)
    declared = "" if size is None else f"<size><width>{size[0]}</width><height>{size[1]}</height></size>"
    sides = "".join(f"<{s}>{v}</{s}>" for s, v in zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True))
    text = f"<annotation>{declared}<object><name>car</name><bndbox>{sides}</bndbox></object></annotation>"
    (folder / "Annotations" / "a.xml").write_text(text)
    return DataSource(folder, images=folder)


def boxes(folder, box, size):
    left, top, right, bottom = map(float, box)
    row = {"image": "a.png", "width": size and size[0], "height": size and size[1]}
    polygon = [[left, top], [right, top], [right, bottom], [left, bottom]]
    (folder / "boxes.jsonl").write_text(json.dumps(row | {"objects": [{"category": "car", "polygon": polygon}]}))
    return DataSource(folder)


def on_shown(tag, size=STORED):
    """The car's bounds in the picture as shown."""
    corners = [~Orientation(tag, size).to_stored @ (float(x), float(y)) for x in CAR[::2] for y in CAR[1::2]]
    return (*np.min(corners, axis=0), *np.max(corners, axis=0))


@pytest.mark.parametrize("make", [coco, voc, boxes])
@pytest.mark.parametrize("tag", range(1, 9))
def test_the_declared_size_says_which_way_up_the_labels_are(make, tag, tmp_path):
    turned_picture(tmp_path / "a.png", tag)
    shown = on_shown(tag)
    assert shown == red(tmp_path / "a.png")
    size = (STORED[1], STORED[0]) if tag >= 5 else STORED
    for declared, drawn, note in ((size, shown, None), (None, shown, AS_SHOWN), (STORED, CAR, TURNED)):
        if declared == STORED and tag < 5:
            continue
        source = make(tmp_path, drawn, declared)
        (record,) = read(make.__name__, source)
        assert bounds(record) == pytest.approx(shown)
        assert (record.width, record.height) == size == record.open().size
        expected = AS_SHOWN if declared == STORED == size and tag > 1 else note if tag > 1 else None
        assert tag < 5 or list(source.report.notes) == ([expected] if expected else [])


def test_what_does_not_say_lies_on_the_picture_as_shown(tmp_path):
    square = (120, 120)
    turned_picture(tmp_path / "a.png", 6, square)
    source = coco(tmp_path, on_shown(6, square), square)
    (record,) = read("coco", source)
    assert bounds(record) == pytest.approx(red(tmp_path / "a.png"))
    assert source.report.notes[AS_SHOWN] == 1


def test_shares_of_the_sides_are_those_of_the_picture_as_shown(tmp_path):
    turned_picture(tmp_path / "images" / "a.jpg", 6)
    (tmp_path / "classes.txt").write_text("car\n")
    (tmp_path / "labels").mkdir()
    left, top, right, bottom = on_shown(6)
    shares = ((left + right) / 160, (top + bottom) / 240, (right - left) / 80, (bottom - top) / 120)
    (tmp_path / "labels" / "a.txt").write_text("0 " + " ".join(map(str, shares)))
    (record,) = read("yolo", DataSource(tmp_path))
    assert bounds(record) == pytest.approx(on_shown(6))


@pytest.mark.parametrize("make", [coco, voc, boxes])
def test_labels_of_another_scale_are_scaled_and_of_another_shape_refused(make, tmp_path):
    turned_picture(tmp_path / "a.png", 1)
    for declared in ((240, 160), (1000, 667), (60, 40)):
        scale = declared[0] / STORED[0]
        source = make(tmp_path, [side * scale for side in CAR], declared)
        (record,) = read(make.__name__, source)
        assert bounds(record) == pytest.approx(CAR, abs=0.1)
        assert source.report.notes[SCALED] == 1
    for declared in ((80, 120), (120, 100), (300, 300)):
        source = make(tmp_path, CAR, declared)
        with pytest.raises(DataError, match=rf"for {declared[0]} x {declared[1]} pixels, the image has 120 x 80"):
            list(read(make.__name__, source))
        assert source.report.reasons == {"image of another size than its labels declare": 1}
        strict = replace(source, report=Report(strict=True))
        with pytest.raises(DataError, match="strict"):
            list(read(make.__name__, strict))


def test_a_turned_picture_of_another_scale(tmp_path):
    turned_picture(tmp_path / "a.png", 8)
    (record,) = read("coco", coco(tmp_path, [2 * side for side in CAR], (240, 160)))
    assert bounds(record) == pytest.approx(red(tmp_path / "a.png"))


def test_a_size_of_nought_declares_none(tmp_path):
    turned_picture(tmp_path / "a.png", 1)
    for declared in ((0, 0), ("0", "0")):
        (record,) = read("voc", voc(tmp_path, CAR, declared))
        assert bounds(record) == pytest.approx(CAR)


def test_sizes_agree_within_a_pixel_or_a_hundredth():
    upright = Orientation(1, (1000, 750))
    for declared in ((1000, 750), (500, 375), (333, 250), (67, 50), (1010, 750)):
        assert align(upright, declared).size == (1000, 750)
    for declared in ((1000, 740), (1000, 1000), (1, 0.1)):
        with pytest.raises(DataError, match="1000 x 750"):
            align(upright, declared)
