"""One image of every kind, through every room: asked about, trained on, evaluated and cut up, its pixels are the same.

And a box labelled on the image as people see it, turned as its EXIF orientation asks, stays on the same pixels.
"""

import json
import random
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
import rasterio
import torch
from PIL import Image

from geochat import GeoChat
from geochat.dialects import GEOCHAT
from geochat.engines import Chunk, Usage, complete
from geochat.geometry import Frame
from geochat.imagery import image_size, open_image
from geochat.models import ModelInfo, Settings
from geochat_data.checking import check_samples
from geochat_data.encoding import Collator
from geochat_data.questions import Subject
from geochat_data.readers import DataSource
from geochat_data.readers.boxes import read_boxes
from geochat_data.records import LabelledImage
from geochat_data.tiling import tile_images
from geochat_eval.runs.predictors import ChatPredictor, Query

WIDTH, HEIGHT = 120, 80
MARK = (70, 16, 100, 40)  # left, top, right, bottom, in pixels of the image as it is shown


def marked(width=WIDTH, height=HEIGHT):
    """Dark noise with a bright mark, (height, width, 3)."""
    picture = np.random.default_rng(0).integers(10, 90, (height, width, 3), dtype=np.uint8)
    left, top, right, bottom = MARK
    picture[top:bottom, left:right] = 250
    return picture


def save_raster(path, samples, **profile):
    """Write (bands, height, width) as a TIFF."""
    bands, height, width = samples.shape
    size = {"driver": "GTiff", "count": bands, "height": height, "width": width, "dtype": samples.dtype}
    with warnings.catch_warnings(action="ignore"), rasterio.open(path, "w", **{**size, **profile}) as file:
        file.write(samples)
    return path


def turned(folder, orientation):
    """A JPEG stored so that a viewer, by its EXIF orientation, shows the mark where `MARK` says."""
    undo = {
        1: None,
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }[orientation]
    exif = Image.Exif()
    exif[274] = orientation
    shown = Image.fromarray(marked())
    (shown if undo is None else shown.transpose(undo)).save(folder / "turned.jpg", quality=95, exif=exif)
    return folder / "turned.jpg"


def palette(folder, name, clear=False):
    """A picture of 64 colours, two of them transparent where it is to be, and not the mark's."""
    reduced = Image.fromarray(marked()).quantize(64)
    opacity = [255] * 64
    mark = reduced.getpixel(MARK[:2])
    opacity[mark - 1], opacity[mark - 2] = 0, 128
    reduced.save(folder / name, **({"transparency": bytes(opacity)} if clear else {}))
    return folder / name


def picture(folder, name, size=(WIDTH, HEIGHT), mode="RGB"):
    Image.fromarray(marked(*size)).convert(mode).save(folder / name)
    return folder / name


BANDS = marked().transpose(2, 0, 1)  # (3, height, width)
DEEP = BANDS.astype(np.uint16) * 9
WITHOUT_DATA = np.where(np.arange(WIDTH) < 20, 0, BANDS).astype(np.uint8)
HOLES = np.where(np.arange(WIDTH) < 20, np.nan, BANDS / 97).astype(np.float32)
KINDS = {
    "8-bit PNG": lambda folder: picture(folder, "a.png"),
    "8-bit JPEG": lambda folder: picture(folder, "a.jpg"),
    "8-bit WebP": lambda folder: picture(folder, "a.webp"),
    "8-bit BMP": lambda folder: picture(folder, "a.bmp"),
    "8-bit TIFF": lambda folder: picture(folder, "a.tif"),
    "grey": lambda folder: picture(folder, "grey.png", mode="L"),
    "16-bit grey PNG": lambda folder: save_raster(folder / "deep.png", DEEP[:1], driver="PNG"),
    "16-bit colour PNG": lambda folder: save_raster(folder / "deep.png", DEEP, driver="PNG"),
    "16-bit TIFF": lambda folder: save_raster(folder / "deep.tif", DEEP),
    "signed TIFF": lambda folder: save_raster(folder / "signed.tif", DEEP.astype(np.int16) - 900),
    "float32 TIFF": lambda folder: save_raster(folder / "float.tif", (BANDS / 97).astype(np.float32)),
    "palette": lambda folder: palette(folder, "palette.png"),
    "palette with transparency": lambda folder: palette(folder, "clear.png", clear=True),
    "palette TIFF": lambda folder: palette(folder, "palette.tif"),
    "seven bands": lambda folder: save_raster(folder / "seven.tif", np.concatenate([BANDS, BANDS[::-1], BANDS[:1]])),
    "four 16-bit bands": lambda folder: save_raster(folder / "four.tif", np.concatenate([DEEP, DEEP[:1]])),
    "nodata": lambda folder: save_raster(folder / "holes.tif", WITHOUT_DATA, nodata=0),
    "16-bit nodata": lambda folder: save_raster(folder / "deep.tif", WITHOUT_DATA.astype(np.uint16) * 9, nodata=0),
    "float32 with NaN": lambda folder: save_raster(folder / "nan.tif", HOLES),
    "larger than a view": lambda folder: picture(folder, "large.png", size=(2600, 500)),
    "larger than a view, 16-bit": lambda folder: save_raster(
        folder / "large.tif", marked(2600, 500).transpose(2, 0, 1).astype(np.uint16) * 9
    ),
    **{f"EXIF {number}": lambda folder, number=number: turned(folder, orientation=number) for number in range(1, 9)},
}


@pytest.fixture(params=KINDS)
def path(request, tmp_path):
    """The file of one image of each kind, alone in its folder."""
    return KINDS[request.param](tmp_path)


class Watcher:
    """An engine that keeps the images it is shown."""

    def __init__(self):
        self.info = ModelInfo(Settings(), 504)
        self.name, self.sha256, self.seen = "watcher", None, []

    def stream(self, request):
        self.seen += request.images
        return iter([Chunk("A harbor.", "stop", Usage(1, 1))])

    def generate(self, request):
        return complete(self.stream(request))

    def stream_batch(self, requests):
        for number, request in enumerate(requests):
            for chunk in self.stream(request):
                yield number, chunk


def asked(path):
    """What a model is shown by `ask`."""
    engine = Watcher()
    GeoChat(engine).ask(path, "What is this?")
    return np.asarray(engine.seen[0])


def evaluated(path):
    """What a model is shown by a benchmark."""
    engine = Watcher()
    list(ChatPredictor(engine).predict([Query(0, "What is this?", path, 8, {})]))
    return np.asarray(engine.seen[0])


def trained(path):
    """What the image processor is given when a batch is made."""
    seen = []

    def processor(image, return_tensors):
        seen.append(np.asarray(image))
        return {"pixel_values": torch.zeros(1, 3, 4, 4)}

    Collator(SimpleNamespace(image_processor=processor), path.parent, 512).pixels(path.name)
    return seen[0]


def record(path):
    """The record of an image that holds the mark, through a reader."""
    left, top, right, bottom = MARK
    corners = [[left, top], [right, top], [right, bottom], [left, bottom]]
    row = {"image": path.name, "objects": [{"category": "ship", "polygon": corners}]}
    (path.parent / "boxes.jsonl").write_text(json.dumps(row))
    (found,) = read_boxes(DataSource(path.parent / "boxes.jsonl"))
    return found


def test_every_room_sees_the_same_pixels(path):
    shown = open_image(path).pixels
    assert shown.std() > 5
    np.testing.assert_array_equal(asked(path), shown)
    np.testing.assert_array_equal(evaluated(path), shown)
    np.testing.assert_array_equal(trained(path), shown)
    whole = np.asarray(LabelledImage(path, *image_size(path)).open())
    assert whole.shape == (*image_size(path)[::-1], 3)
    if max(image_size(path)) <= 2048:
        np.testing.assert_array_equal(whole, shown)
    else:  # labels are in pixels of the whole, in the colours of the view
        window = (0, 0, 200, 100)
        np.testing.assert_array_equal(whole[:100, :200], open_image(path).look(window).pixels)
        assert abs(whole.mean() - shown.mean()) < 1


def test_a_batch_holds_the_image_and_not_a_blank(path, tmp_path):
    """What the processor of the bundled model makes of it is no constant: a 16-bit image was once white all over."""
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    processor = SimpleNamespace(image_processor=CLIPImageProcessorPil())
    assert Collator(processor, tmp_path, 512).pixels(path.name).std() > 0.1


def test_a_labelled_box_lies_on_the_same_pixels_everywhere(path):
    image = record(path)
    assert (image.width, image.height) == image_size(path)
    (thing,) = image.objects
    pixels = np.asarray(image.open()).astype(float)
    labelled = np.array(thing.polygon)
    assert_on_mark(pixels, (labelled.min(axis=0), labelled.max(axis=0)))
    written = GEOCHAT.write("ship", Subject(image, random.Random(0), GEOCHAT).boxes([thing]))
    (region,) = GEOCHAT.parse(written).regions
    view = open_image(path)
    frame = Frame(view.frame.view_size, view.frame.view_to_image, model=GEOCHAT.model_frame)
    read = np.array(region.box.transform(frame.between("model", "image")).corners())
    tolerance = max(image_size(path)) / 100  # boxes are written in whole percent
    np.testing.assert_allclose([*read.min(axis=0), *read.max(axis=0)], MARK, atol=tolerance)
    in_view = np.array(region.box.transform(frame.between("model", "view")).corners())
    if tolerance < 2:
        assert_on_mark(view.pixels.astype(float), (in_view.min(axis=0), in_view.max(axis=0)), inset=2)


def assert_on_mark(pixels, corners, inset=1):
    """All inside the corners is bright, and what surrounds them is not."""
    (left, top), (right, bottom) = np.round(corners).astype(int)
    assert pixels[top + inset : bottom - inset, left + inset : right - inset].min() > 200
    for ring in (
        pixels[top - 8 : top - inset, left:right],
        pixels[bottom + inset : bottom + 8, left:right],
        pixels[top:bottom, left - 8 : left - inset],
        pixels[top:bottom, right + inset : right + 8],
    ):
        assert ring.mean() < 150


def test_windows_of_an_image_show_what_the_whole_does(path):
    image = record(path)
    whole = np.asarray(image.open())
    windows = list(tile_images([image], 50))
    assert sum(window.width * window.height for window in windows) == whole.shape[0] * whole.shape[1]
    for window in windows:
        left, top = map(int, window.name.rsplit("_", 2)[1:])
        part = whole[top : top + window.height, left : left + window.width]
        np.testing.assert_array_equal(window.pixels, part)


def test_checking_finds_what_could_not_be_asked_about(tmp_path):
    good = picture(tmp_path, "good.png")
    (tmp_path / "cut.png").write_bytes(good.read_bytes()[:2000])  # its header is whole
    (tmp_path / "text.png").write_text("no image")
    save_raster(tmp_path / "blank.tif", np.zeros((3, 9, 9), np.uint16), nodata=0)
    names = ("good.png", "cut.png", "text.png", "blank.tif", "gone.png")
    turns = [{"from": "human", "value": "<image>\nWhat?"}, {"from": "gpt", "value": "A harbor."}]
    rows = [{"id": name, "image": name, "conversations": turns} for name in names]
    (tmp_path / "rows.json").write_text(json.dumps(rows))
    report, _ = check_samples(tmp_path / "rows.json", tmp_path, GEOCHAT)
    found = report.places["image missing or unreadable"]
    assert len(found) == 4
    for name, reason in zip(
        names[1:], ("cannot be decoded", "convert it", "no valid pixel", "does not exist"), strict=True
    ):
        assert any(name in place and reason in place for place in found)


def test_an_image_beyond_pillows_limit_is_read(tmp_path):
    """Pillow refuses more than 179 megapixels."""
    path = tmp_path / "huge.tif"
    size = {"driver": "GTiff", "width": 20_000, "height": 10_000, "count": 1, "dtype": "uint8", "sparse_ok": True}
    with warnings.catch_warnings(action="ignore"), rasterio.open(path, "w", **size, tiled=True, compress="deflate"):
        pass
    image = record(path)
    assert (image.width, image.height) == (20_000, 10_000)
    first = next(tile_images([image], 500))
    assert (first.width, first.height) == (500, 500)
    assert trained(path).shape == (1024, 2048, 3)
