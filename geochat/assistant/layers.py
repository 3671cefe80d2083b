"""Questions about the features of a vector layer on an image, one by one.

>>> layer = read_vector_layer("fields.gpkg")
>>> for number, result in ask_features(chat.engine, open_image("scene.tif"), layer, "What is this?"):
...     print(number, result)
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import shapely

from geochat.assistant.answer import Answer
from geochat.assistant.batch import answer_each
from geochat.assistant.conversation import Conversation
from geochat.assistant.question import Question
from geochat.engines import Engine
from geochat.errors import GeoChatError, RegionError
from geochat.exports import VectorLayer
from geochat.geometry import Frame, OrientedBox, geometry_to_pixels, transform_geometry
from geochat.imagery import GeoImage

_POLYGONS = ("Polygon", "MultiPolygon")


@dataclass(frozen=True, slots=True)
class Skipped:
    """A feature about which no question can be asked.

    Attributes:
        reason: Why.
    """

    reason: str


def layer_shapes(layer: VectorLayer, frame: Frame) -> list[shapely.Geometry]:
    """Return the polygons of a layer in pixels of the whole image, for one question about all of them.

    Args:
        layer: The layer.
        frame: Frame of the view of the question.

    Raises:
        RegionError: A feature is no polygon or cannot be brought to the image; the message names it.
    """
    shapes = []
    for number, geometry in enumerate(layer.geometries, 1):
        shape = _in_pixels(layer, geometry, frame)
        if isinstance(shape, Skipped):
            raise RegionError(f"{layer.path}, feature {number}: {shape.reason}")
        shapes.append(shape)
    return shapes


def layer_boxes(layer: VectorLayer, frame: Frame) -> list[OrientedBox | Skipped]:
    """Return, for each feature of a layer, the rectangle around its part in the view, in pixels of the whole image.

    Args:
        layer: The layer.
        frame: Frame of the view of the question.

    Raises:
        RegionError: The layer has a CRS and the image has none, or not one of its features can be asked about.
    """
    boxes = [_box(layer, geometry, frame) for geometry in layer.geometries]
    if all(isinstance(box, Skipped) for box in boxes):
        reasons = dict.fromkeys(box.reason for box in boxes if isinstance(box, Skipped))
        raise RegionError(f"no feature of {layer.path} can be asked about: {'; '.join(reasons)}")
    return boxes


def ask_features(
    engine: Engine, image: GeoImage, boxes: Sequence[OrientedBox | Skipped], question: Question
) -> Iterator[tuple[int, Answer | Skipped | GeoChatError]]:
    """Ask a question about each of several regions, several at a time.

    Args:
        engine: The engine to use.
        image: The view.
        boxes: The regions, as `layer_boxes` gives them.
        question: The question about each; its own regions are replaced.

    Yields:
        A region's place in `boxes`, from 0, and its answer or why it has none. Those that end first come first.
    """
    places = [place for place, box in enumerate(boxes) if isinstance(box, OrientedBox)]
    for place, box in enumerate(boxes):
        if isinstance(box, Skipped):
            yield place, box
    questions = (
        replace(question, regions=box, region_frame="pixels", id=f"{question.id}-{place}")
        for place, box in enumerate(boxes)
        if isinstance(box, OrientedBox)
    )
    conversation = Conversation(engine, image)
    for number, result in answer_each(engine, ((conversation, each) for each in questions), {}):
        yield places[number], result


def _box(layer: VectorLayer, geometry: shapely.Geometry | None, frame: Frame) -> OrientedBox | Skipped:
    shape = _in_pixels(layer, geometry, frame)
    if isinstance(shape, Skipped):
        return shape
    width, height = frame.view_size
    view = transform_geometry(shapely.box(0, 0, width, height), frame.view_to_image)
    part = shapely.make_valid(shape).intersection(view)
    if part.area == 0:
        inside = shapely.make_valid(shape).intersects(view)
        return Skipped("it has no area" if inside else "it lies outside what is asked about")
    return OrientedBox.from_polygon(part)


def _in_pixels(layer: VectorLayer, geometry: shapely.Geometry | None, frame: Frame) -> shapely.Geometry | Skipped:
    """Transform a feature to pixels of the whole image.

    Raises:
        RegionError: The layer has a CRS and the image has none.
    """
    if geometry is None or geometry.is_empty:
        return Skipped("it has no geometry")
    if geometry.geom_type not in _POLYGONS:
        return Skipped(f"it is a {geometry.geom_type}; a region is a Polygon or MultiPolygon")
    geometry = shapely.force_2d(geometry)
    if layer.coordinates != "map":
        return geometry if layer.coordinates == "pixels" else shapely.transform(geometry, lambda xy: xy * (1, -1))
    if frame.crs is None or frame.image_to_map is None:
        raise RegionError(
            f"{layer.path} lies in {_short(layer.crs)} and the image has no CRS; georeference the image, or give "
            "regions in pixels"
        )
    try:
        laid = geometry_to_pixels(geometry, layer.crs or frame.crs, frame)
    except GeoChatError as error:
        raise RegionError(f"{layer.path}: {error}") from error
    return Skipped(f"it lies beyond what the CRS {_short(frame.crs)} covers") if laid is None else laid


def _short(crs: str | None) -> str:
    return str(crs) if len(str(crs)) < 40 else "a CRS of its own"
