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
SHIPS = (
    (100, 100, 160, 130),
    (300, 250, 360, 280, 30),
    (500, 100, 560, 130),
    (500, 130, 560, 160),
    (10, 10, 700, 50, 3),
)
TANKS = ((250, 250, 300, 300), (850, 650, 899, 699))


FINE = replace(GEOCHAT, name="fine", decimals=4)


@pytest.fixture(scope="module", autouse=True)
def fine_dialect():
    """A dialect that writes boxes to a ten-thousandth, registered while these tests run."""
    DIALECTS.register("fine", FINE)
    yield
    DIALECTS.unregister("fine")


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


def scatter(rng, size, extents, count=16, placed=()):
    """Boxes (N, 5) of objects on a scene that do not overlap, many of them touching another.

    Args:
        rng: Draws them.
        size: (width, height) of the scene.
        extents: Shortest and longest, narrowest and widest.
        count: How many, where there is room.
        placed: Boxes that are there already.
    """
    (shortest, longest), (narrowest, widest) = extents
    found = [np.array(box, float) for box in placed]
    shapes = list(shapely.polygons(box_corners(np.array(found).reshape(-1, 5))))
    for _ in range(count * 8):
        if len(found) >= count:
            break
        if found and rng.uniform() < 0.4:
            box = found[rng.integers(len(found))].copy()
            turn, along, across = np.radians(box[4]), box[2] - box[0], box[3] - box[1]
            beside = (np.cos(turn) * along, np.sin(turn) * along), (-np.sin(turn) * across, np.cos(turn) * across)
            box[:4] += np.tile(beside[rng.integers(2)], 2)
        else:
            center, half = rng.uniform((0, 0), size), rng.uniform((shortest, narrowest), (longest, widest)) / 2
            box = np.array([*(center - half), *(center + half), rng.choice([0, 90, rng.uniform(0, 180)])])
        shape = shapely.Polygon(box_corners(box[None])[0])
        if (
            shapely.box(0, 0, *size).contains(shape)
            and not (shapely.area(shapely.intersection(shapes, shape)) > 1e-6).any()
        ):
            found.append(box)
            shapes.append(shape)
    return np.array(found).reshape(-1, 5)


def require_each_once(found, known, iou):
    """Require precision and recall 1: boxes (N, 5) match known ones (N, 5) one to one, each by an overlap."""
    true = shapely.polygons(box_corners(known))
    tree = shapely.STRtree(true)
    best = {}
    for shape in shapely.polygons(box_corners(found)):
        near = tree.query(shape)
        shared = shapely.area(shapely.intersection(true[near], shape, grid_size=1e-6))
        overlaps = shared / (shapely.area(true[near]) + shape.area - shared)
        assert len(near), "an object where there is none"
        assert overlaps.max() >= iou, f"an object overlaps the nearest one by {overlaps.max():.3f}"
        best.setdefault(int(near[overlaps.argmax()]), []).append(shape)
    assert sorted(best) == list(range(len(known)))
    assert all(len(shapes) == 1 for shapes in best.values())


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


class Judge(Oracle):
    """An engine that names what a region shows most of, and says whether the middle of a window shows a thing."""

    def answer(self, request):
        picture, text = request.images[0], request.messages[-1].text
        left, top = origin(picture)
        frame = Frame(picture.size, model=self.info.frame)
        asked = self.info.dialect.parse(text).regions
        box = asked[0].shape.transform(frame.between("model", "view")).polygon() if asked else None
        shape = shapely.affinity.translate(
            box or shapely.box(0, 0, *picture.size).buffer(-picture.width / 4), left, top
        )
        self.asked.append(((left, top, *picture.size), text))
        if self.failing((left, top), text):
            raise GeoChatError(f"the model failed at {left}, {top}")
        shown = {
            phrase: shapely.area(shapely.intersection(shape, shapely.polygons(box_corners(boxes)))).sum()
            for phrase, (boxes, _) in self.truth.items()
        }
        if asked:
            best = max(shown, key=shown.get)
            return f"a small {best}" if shown[best] > shape.area / 3 else "grass"
        return "Yes." if any(area > 1 and phrase in text for phrase, area in shown.items()) else "No."


@pytest.fixture(scope="session")
def truth():
    """Functions about known objects: `boxes`, `scatter`, `seen`, `seen_upright`, `require_each_once`."""
    return SimpleNamespace(
        boxes=boxes, scatter=scatter, seen=seen, seen_upright=seen_upright, require_each_once=require_each_once
    )


@pytest.fixture
def known():
    """Five ships, one of them longer than a window of 256 pixels, and two tanks on a scene of 900 x 700 pixels."""
    return {"ship": boxes(*SHIPS), "tank": boxes(*TANKS)}


@pytest.fixture(scope="session")
def coded():
    """`coded(width, height)` are pixels that say where they lie."""
    return coded_pixels


@pytest.fixture
def oracle():
    """`oracle({"ship": boxes}, ...)` is a `GeoChat` that knows them."""
    return lambda truth, **options: GeoChat(Oracle(truth, **options))


@pytest.fixture
def judge():
    """`judge({"ship": boxes}, ...)` is an engine that knows them and is asked about candidates."""
    return Judge


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
