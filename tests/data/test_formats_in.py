"""Each reader: what is right is read, what is wrong is named, counted and left out, and strict stops."""

import json
import math
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyogrio
import pytest
import rasterio
import rasterio.warp
import shapely
from affine import Affine
from PIL import Image

from geochat.errors import DataError, ImageError
from geochat.geometry import OrientedBox
from geochat_data.readers import READERS, DataSource, Report, read, reader
from geochat_data.tiling import add_views, crop_around_objects, tile_images


def picture(path, size=(100, 80)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, "white").save(path)


def box_of(item):
    return OrientedBox.from_polygon(item.polygon)


def coco(folder):
    folder.mkdir(exist_ok=True)
    picture(folder / "a.png")
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
        picture(folder / "images" / f"{name}.png")
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
    picture(folder / "images" / "train" / "a.png")
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
    picture(folder / "JPEGImages" / "a.jpg")

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
    picture(folder / "a.png")
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
def test_the_same_scene_in_every_format(make, tmp_path):
    """`known` are the categories of which every label of the image was read."""
    known = {"voc": {"large vehicle"}, "boxes": {"large vehicle"}}.get(make.__name__, set())
    source = make(tmp_path)
    first, *others = read(make.__name__, source)
    assert [item.category for item in first.objects] == ["large vehicle", "large vehicle", "ship"]
    upright, turned, ship = map(box_of, first.objects)
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
        assert all(str(tmp_path) in place for place in places["places"])


@pytest.mark.parametrize("make", [coco, dota, yolo, voc, boxes])
def test_strict_stops_at_the_first(make, tmp_path):
    source = make(tmp_path)
    strict = DataSource(source.path, report=Report(strict=True))
    with pytest.raises(DataError, match="strict"):
        list(read(make.__name__, strict))


@pytest.mark.parametrize("make", [coco, dota, yolo, voc, boxes])
def test_what_is_not_labelled_exhaustively_is_not_known_to_be_absent(make, tmp_path):
    assert next(read(make.__name__, DataSource(make(tmp_path).path, exhaustive=False))).labelled == frozenset()


def test_where_nobody_looked_nothing_is_absent(tmp_path):
    source = boxes(tmp_path)
    with (tmp_path / "boxes.jsonl").open("a") as file:
        picture(tmp_path / "b.png")
        corners = [[1, 1], [9, 1], [9, 9], [1, 9]]
        file.write("\n" + json.dumps({"image": "b.png", "objects": [{"category": "DontCare", "polygon": corners}]}))
    first, second = read("boxes", source)
    assert first.labelled == {"large vehicle"}
    assert (second.objects, len(second.ignore), second.labelled) == ((), 1, frozenset())


def test_missing_images_are_counted(tmp_path):
    source = coco(tmp_path)
    assert len(list(read("coco", source))) == 1
    assert source.report.reasons["image missing or unreadable"] == 1
    assert source.report.reasons["annotation of an unlisted image"] == 1


def test_dota_says_which_files_have_no_partner(tmp_path):
    source = dota(tmp_path)
    images = list(read("dota", source))
    assert [image.path.stem for image in images] == ["a", "b"]
    assert images[1].objects == ()
    assert source.report.places["image without a label file"] == [str(tmp_path / "images" / "unlabelled.png")]
    assert source.report.places["label file without an image"] == [str(tmp_path / "labelTxt" / "gone.txt")]


def test_coco_and_dota_as_they_are_published(tmp_path):
    source = coco(tmp_path / "flat")
    (tmp_path / "annotations").mkdir()
    source.path.rename(tmp_path / "annotations" / "instances_val2017.json")
    (tmp_path / "val2017").mkdir()
    (tmp_path / "flat" / "a.png").rename(tmp_path / "val2017" / "a.png")
    (image,) = read("coco", DataSource(tmp_path / "annotations" / "instances_val2017.json"))
    assert image.path.parent.name == "val2017"
    dota(tmp_path / "DOTA" / "val")
    upright = tmp_path / "DOTA" / "val" / "labelTxt" / "valset_reclabelTxt"
    upright.mkdir()
    (upright / "a.txt").write_text("0 0 9 0 9 9 0 9 plane 0")
    images = list(read("dota", DataSource(tmp_path / "DOTA", split="val")))
    assert {item.category for image in images for item in image.objects} == {"large vehicle", "ship"}


def test_large_images_are_cut_with_their_labels(tmp_path):
    whole = replace(next(read("boxes", boxes(tmp_path))), captions=("A port.",), scene="harbor")
    assert list(tile_images([whole], 100)) == [replace(whole, path=None, name="a")]
    windows = {window.name: window for window in tile_images([whole], 50)}
    assert set(windows) == {"a_0_0", "a_50_0", "a_0_40", "a_50_40"}
    (ship,) = windows["a_50_40"].objects
    assert box_of(ship).iou(OrientedBox(10, 10, 30, 20)) == pytest.approx(1)
    assert len(windows["a_0_0"].objects) + len(windows["a_50_0"].objects) >= 2
    assert {(w.width, w.height, w.scene, w.captions) for w in windows.values()} == {(50, 40, None, ())}
    assert windows["a_0_0"].labelled == whole.labelled


def test_windows_lie_around_objects_and_within_the_image(tmp_path):
    whole = replace(next(read("boxes", boxes(tmp_path))), captions=("A port.",), scene="harbor")
    windows = list(crop_around_objects([whole], 60))
    assert len(windows) == len(whole.objects)
    assert len({window.name for window in windows}) == len(windows)
    pixels = np.asarray(whole.open())
    for window, thing in zip(windows, whole.objects, strict=True):
        assert (window.width, window.height, window.scene, window.captions) == (60, 60, None, ())
        assert window.objects[0].category == thing.category
        left, top = (a - b for a, b in zip(thing.polygon[0], window.objects[0].polygon[0], strict=True))
        assert 0 <= left <= whole.width - 60
        assert 0 <= top <= whole.height - 60
        assert (window.pixels == pixels[int(top) : int(top) + 60, int(left) : int(left) + 60]).all()
    assert {window.objects[0].category for window in crop_around_objects([whole], 60, {"ship"})} == {"ship"}
    assert [(w.width, w.height) for w in crop_around_objects([whole], 500, {"ship"})] == [(whole.width, whole.height)]
    assert not list(crop_around_objects([whole], 2))  # each shows less than half of its object


def test_views_are_added_with_their_labels(tmp_path):
    whole = replace(next(read("boxes", boxes(tmp_path))), captions=("A port.",))
    first, *views = add_views([whole], 20, seed=3)
    assert first == replace(whole, path=None, name="a")
    assert [view.name for view in views] == [f"a_v3.{n}" for n in range(1, 21)]
    assert {(view.width, view.height, view.captions) for view in views} == {(100, 100, ("A port.",))}
    assert len({view.pixels.tobytes() for view in views}) > 10  # of a picture of one colour
    longest = max(max(box_of(thing).width, box_of(thing).height) for thing in whole.objects)
    for view in views:
        for thing in view.objects:
            assert max(box_of(thing).width, box_of(thing).height) <= longest / 0.7 + 0.1
    again = list(add_views([whole], 2, seed=3))[1:]
    assert [view.pixels.tobytes() for view in again] == [view.pixels.tobytes() for view in views[:2]]


def test_voc_keeps_to_its_split(tmp_path):
    source = voc(tmp_path)
    (tmp_path / "ImageSets" / "Main").mkdir(parents=True)
    (tmp_path / "ImageSets" / "Main" / "val.txt").write_text("c\ngone\n")
    picture(tmp_path / "JPEGImages" / "c.jpg")
    (image,) = read("voc", source := DataSource(source.path, split="val"))
    assert image.path.stem == "c"
    assert list(source.report.reasons) == ["image without a label file"]


def test_yolo_needs_names(tmp_path):
    source = yolo(tmp_path)
    (tmp_path / "data.yaml").unlink()
    with pytest.raises(DataError, match=r"classes\.txt"):
        list(read("yolo", source))
    (tmp_path / "classes.txt").write_text("lorry\nship\n")
    assert {item.category for item in next(read("yolo", source)).objects} == {"lorry", "ship"}


def test_folders_are_classes(tmp_path):
    picture(tmp_path / "Storage_Tanks" / "a.jpg")
    picture(tmp_path / "river" / "deep" / "b.png")
    (tmp_path / "river" / "broken.png").write_text("no image")
    source = DataSource(tmp_path)
    found = list(read("folders", source))
    assert [(image.scene, image.path.name) for image in found] == [("storage tanks", "a.jpg"), ("river", "b.png")]
    assert source.report.reasons == {"image missing or unreadable": 1}
    assert found[0].labelled == frozenset()


@pytest.fixture
def raster(tmp_path):
    """A GeoTIFF of 300 x 200 pixels of half a metre in UTM."""
    path = tmp_path / "ground.tif"
    pixels = np.random.default_rng(0).integers(1, 255, (3, 200, 300), np.uint8)
    profile = {"driver": "GTiff", "width": 300, "height": 200, "count": 3, "dtype": "uint8", "crs": "EPSG:32614"}
    with rasterio.open(path, "w", **profile, transform=Affine(0.5, 0, 500000, 0, -0.5, 4000000)) as out:
        out.write(pixels)
    return path


def ground(x, y, width, height):
    """A box in pixels of the raster, in its map coordinates."""
    return shapely.box(500000 + x / 2, 4000000 - (y + height) / 2, 500000 + (x + width) / 2, 4000000 - y / 2)


@pytest.mark.parametrize(("driver", "crs"), [("GPKG", "EPSG:32614"), ("GeoJSON", "EPSG:4326"), ("GPKG", "EPSG:3857")])
def test_labels_reach_the_windows_through_the_geotransform(raster, tmp_path, driver, crs):
    shapes = [ground(10, 10, 20, 40), ground(90, 20, 30, 20), ground(98, 150, 10, 10), shapely.Point(500000, 4000000)]
    there = rasterio.warp.transform if crs != "EPSG:32614" else lambda _a, _b, x, y: (x, y)
    moved = [shapely.transform(s, lambda p: np.stack(there("EPSG:32614", crs, p[:, 0], p[:, 1]), 1)) for s in shapes]
    path = tmp_path / f"labels.{driver.lower()}"
    names = np.array(["Building", "building", "solar_panel", "car"], dtype=object)
    pyogrio.raw.write(path, shapely.to_wkb(moved), [names], ["class"], driver=driver, geometry_type="Unknown", crs=crs)
    source = DataSource(path, images=raster, window=100)
    windows = {window.name: window for window in read("geo", source)}
    assert len(windows) == 6
    first = windows["ground_0_0"]
    assert [box_of(item).iou(OrientedBox(10, 10, 30, 50)) for item in first.objects] == [pytest.approx(1, abs=0.02)]
    assert len(first.ignore) == 1, "a third of the second building lies here"
    (cut,) = windows["ground_100_0"].objects
    assert cut.truncated
    assert box_of(cut).iou(OrientedBox(-10, 20, 20, 40)) == pytest.approx(1, abs=0.02)
    assert [item.category for item in windows["ground_100_100"].objects] == ["solar panel"]
    assert first.labelled == {"building", "solar panel"}
    assert first.open().size == (100, 100)
    assert source.report.reasons == {"feature that is no polygon": 1}


def test_geo_needs_a_raster_and_a_category(raster, tmp_path):
    path = tmp_path / "labels.geojson"
    pyogrio.raw.write(path, shapely.to_wkb([ground(0, 0, 9, 9)]), [], [], geometry_type="Polygon", crs="EPSG:32614")
    with pytest.raises(DataError, match="--images"):
        list(read("geo", DataSource(path)))
    with pytest.raises(DataError, match="category"):
        list(read("geo", DataSource(path, images=raster)))
    picture(tmp_path / "plain.png")
    with pytest.raises(ImageError, match="geotransform"):
        list(read("geo", DataSource(path, images=tmp_path / "plain.png")))


@pytest.mark.parametrize(("name", "content"), [("coco", "[]"), ("coco", "{"), ("nonesuch", "")])
def test_what_cannot_be_read_at_all(name, content, tmp_path):
    (tmp_path / "file").write_text(content)
    with pytest.raises(DataError, match=r"file|nonesuch"):
        list(read(name, DataSource(tmp_path / "file")))
    with pytest.raises(DataError, match=r"gone|nonesuch"):
        list(read(name, DataSource(tmp_path / "gone")))


def test_a_reader_may_be_added():
    @reader("nothing")
    def read_nothing(source):
        yield from ()

    with pytest.raises(DataError, match="holds no image that can be used"):
        list(read("nothing", DataSource(Path())))
    del READERS["nothing"]


def test_the_readme_shows_a_reader_that_works(tmp_path):
    guide = (Path(__file__).parents[2] / "data" / "README.md").read_text(encoding="utf-8")
    exec(re.search(r"```python\n(.*?)```", guide, re.DOTALL)[1], {})
    picture(tmp_path / "a.png")
    (tmp_path / "labels.csv").write_text("a.png,ship,10,10,30,40\na.png,ship\n")
    source = DataSource(tmp_path / "labels.csv")
    (image,) = read("mine", source)
    del READERS["mine"]
    assert box_of(image.objects[0]).iou(OrientedBox(10, 10, 30, 40)) == pytest.approx(1)
    assert source.report.places == {"malformed line": [f"{source.path}:2"]}
    assert image.labelled == frozenset()


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
