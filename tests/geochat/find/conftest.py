"""A scene whose pixels say where they lie, and a model that knows what lies there.

The stand-in sees a window and nothing else: it reads the window's place from its pixels, cuts the true objects to it
and writes them in the numbers of its dialect. So everything between `find` and the model is under test.
"""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine

from geochat.chat import GeoChat
from geochat.dialects import GEOCHAT
from geochat.dialects.registry import DIALECTS
from geochat.engines import Chunk, TokenScore, Usage, complete
from geochat.errors import GeoChatError
from geochat.geometry import Frame, OrientedBox
from geochat.geometry.overlap import box_corners
from geochat.models import Capabilities, ModelInfo, Settings

UTM = Affine(0.5, 0, 500_000, 0, -0.5, 4_600_000)

DIALECTS.register("fine", replace(GEOCHAT, name="fine", decimals=4))


def coded_pixels(width, height):
    """RGB pixels (height, width, 3): half of x and half of y in twelve bits each."""
    x, y = np.arange(width) // 2, np.arange(height) // 2
    pixels = np.empty((height, width, 3), np.uint8)
    pixels[..., 0], pixels[..., 2] = x & 255, (y & 255)[:, None]
    pixels[..., 1] = (x >> 8)[None] | ((y >> 8) << 4)[:, None]
    return pixels


def origin(picture):
    """Where the corner of a window of a coded scene lies."""
    halves = [
        (int(r) | (int(g) & 15) << 8, int(b) | (int(g) >> 4) << 8) for r, g, b in np.asarray(picture)[[0, 1], [0, 1]]
    ]
    return tuple(2 * first + (first != second) for first, second in zip(*halves, strict=True))


def boxes(*rows):
    """Boxes (N, 5) from rows of 4 or 5 numbers."""
    return np.array([[*row, 0.0][:5] for row in rows], float).reshape(-1, 5)


def seen(box, window):
    """The box, in the object's own direction, around what a window shows of it; None where that is nothing.

    Args:
        box: x1, y1, x2, y2, θ.
        window: left, top, right, bottom.
    """
    part = _part(box, window)
    if part is None:
        return None
    turn = np.radians(box[4])
    axes = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    center = (box[:2] + box[2:4]) / 2
    along = (shapely.get_coordinates(part) - center) @ axes
    low, high = along.min(axis=0), along.max(axis=0)
    middle, half = center + axes @ (low + high) / 2, (high - low) / 2
    return np.array([*(middle - half), *(middle + half), box[4]])


def seen_upright(box, window):
    """The smallest box, in whatever direction, around what a window shows of an object."""
    part = _part(box, window)
    if part is None:
        return None
    around = OrientedBox.from_polygon(part)
    return np.array([around.x1, around.y1, around.x2, around.y2, around.angle])


def _part(box, window):
    part = shapely.Polygon(box_corners(box[None])[0]).intersection(shapely.box(*window))
    return part if part.geom_type == "Polygon" and part.area >= 0.5 else None


class Oracle:
    """An engine that boxes the true objects of a coded scene; `truth` has an array of boxes (N, 5) for each phrase."""

    def __init__(self, truth, dialect="fine", image_size=256, cut=seen, **settings):
        capabilities = Capabilities(logprobs=True)
        self.info = ModelInfo(
            Settings(name="oracle", dialect=dialect, **settings), image_size, 16, None, capabilities, (), "0" * 64
        )
        self.truth = {
            phrase: (boxes, shapely.STRtree(shapely.polygons(box_corners(boxes)))) for phrase, boxes in truth.items()
        }
        self.cut = cut
        self.asked = []  # windows and phrases
        self.failing = lambda window, phrase: False
        self.cancelled = set()

    def answer(self, request):
        picture, text = request.images[0], request.messages[-1].text
        phrase = text.split("<p>")[1].split("</p>")[0].strip() if "<p>" in text else text
        left, top = origin(picture)
        window = (left, top, left + picture.width, top + picture.height)
        self.asked.append((window, phrase))
        if self.failing(window, phrase):
            raise GeoChatError(f"the model failed on {window}")
        if phrase not in self.truth:
            return f"at {window}"
        boxes, tree = self.truth[phrase]
        frame = Frame(picture.size, model=self.info.frame)
        found = []
        for number in sorted(tree.query(shapely.box(*window)).tolist()):
            part = self.cut(boxes[number], np.array(window, float))
            if part is not None:
                x1, y1, x2, y2, angle = part.tolist()
                shown = OrientedBox(x1 - left, y1 - top, x2 - left, y2 - top, angle)
                found.append(shown.transform(frame.between("view", "model")))
        return self.info.dialect.write(phrase, found) if found else "There is none."

    def stream(self, request):
        text = self.answer(request)
        scores = [TokenScore(place, place + 1, -0.1) for place in range(len(text))]
        yield Chunk(text)
        yield Chunk("", "stop", Usage(7, len(text)), tuple(scores))

    def generate(self, request):
        return complete(self.stream(request))

    def stream_batch(self, requests):
        for number, request in enumerate(requests):
            try:
                yield from ((number, chunk) for chunk in self.stream(request))
            except GeoChatError as error:
                yield number, error

    def cancel(self, request_id):
        self.cancelled.add(request_id)


@pytest.fixture(scope="session")
def truth():
    """Functions about known objects: `boxes`, `seen`, `seen_upright`."""
    return SimpleNamespace(boxes=boxes, seen=seen, seen_upright=seen_upright)


@pytest.fixture(scope="session")
def coded():
    """`coded(width, height)` are pixels that say where they lie."""
    return coded_pixels


@pytest.fixture
def oracle():
    """`oracle({"ship": boxes}, ...)` is a `GeoChat` that knows them."""
    return lambda truth, **options: GeoChat(Oracle(truth, **options))


@pytest.fixture
def write_scene(tmp_path):
    """Write a coded GeoTIFF with a CRS and a geotransform."""

    def write(width, height, crs="EPSG:32631", transform=UTM, name="scene.tif", nodata=None, pixels=None):
        path = tmp_path / name
        place = {"crs": crs, "transform": transform}
        options = {"tiled": True, "blockxsize": 256, "blockysize": 256, "compress": "deflate", "nodata": nodata}
        with rasterio.open(path, "w", "GTiff", width, height, 3, dtype="uint8", **options, **place) as target:
            target.write((coded_pixels(width, height) if pixels is None else pixels).transpose(2, 0, 1))
        return path

    return write
