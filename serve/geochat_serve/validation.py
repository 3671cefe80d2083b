"""Validation of what clients send: event data, text, regions, windows."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import gradio as gr
import shapely
from shapely.errors import ShapelyError

from geochat.assistant.layers import layer_shapes
from geochat.assistant.region_input import pixel_boxes
from geochat.errors import GeoChatError, ImageError, RegionError
from geochat.exports import PIXELS, VectorLayer
from geochat.geometry import OrientedBox
from geochat.geometry.geographic import WGS84
from geochat.imagery import COMPOSITES, BandChoice, GeoImage, Window
from geochat_serve.open_scene import OpenScene

MAX_REGIONS = 200
_MAX_QUESTION = 8000
_MALFORMED = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, RecursionError, ShapelyError)
_MAX_COORDINATE = 1e8  # in pixels, metres or degrees; nothing on an image is farther out


def clean(text: str) -> str:
    """Replace lone surrogates, which JSON can hold and UTF-8 cannot, by question marks."""
    return text.encode("utf-8", "replace").decode()


def event_data(event: gr.EventData) -> dict[str, Any]:
    """Return the data that the page sent with an event.

    Raises:
        GeoChatError: It is not an object.
    """
    if not isinstance(event._data, dict):
        raise GeoChatError("the page sent malformed data; reload it")
    return event._data


def read_question(text: str | None) -> str:
    """Return the text of a question.

    Raises:
        GeoChatError: It is too long.
    """
    if text is not None and len(text) > _MAX_QUESTION:
        raise GeoChatError(f"the text has {len(text):,} characters; shorten it to {_MAX_QUESTION:,}")
    return clean(text or "")


def read_bands(text: str, names: Sequence[str] = ()) -> BandChoice:
    """Return a choice of bands from what a user typed; the image checks names and numbers.

    Args:
        text: A display, numbers, or names of bands separated by commas.
        names: Names of the image's bands, "" where one has none.

    Raises:
        GeoChatError: It starts like a list of numbers but is not one.
    """
    text = (text or "auto").strip()
    known = {name.strip().lower(): number for number, name in reversed([*enumerate(names, 1)]) if name}
    wanted = [part.strip().lower() for part in text.split(",")]
    if text != "auto" and text not in COMPOSITES and all(part in known for part in wanted):
        return tuple(known[part] for part in wanted)
    if not text[:1].isdecimal():
        return text
    try:
        return tuple(int(part) for part in text.replace(",", " ").split())
    except ValueError:
        raise GeoChatError(f"bands {text!r} are not numbers; type one or three, such as 4,3,2") from None


def read_viewer(
    state: str, scene: OpenScene | None, *, visible_only: bool
) -> tuple[tuple[OrientedBox, ...], Window | None]:
    """Return the regions and the window of the viewer's state; empty if the state is of another scene.

    Args:
        state: JSON of `scene`, `regions` and `window`.
        scene: The open scene.
        visible_only: Whether to use the window.

    Raises:
        GeoChatError: The state is malformed.
    """
    try:
        value = json.loads(state) if state else {}
    except ValueError as error:
        raise GeoChatError("the page sent malformed data; reload it") from error
    if scene is None or not isinstance(value, dict) or value.get("scene") != scene.id:
        return (), None
    window = read_window(value.get("window"), scene.overview) if visible_only else None
    return read_boxes(value.get("regions", [])), window


def read_boxes(values: Any) -> tuple[OrientedBox, ...]:  # noqa: ANN401 - decoded JSON
    """Return boxes (x1, y1, x2, y2[, θ]) in pixels of the whole image.

    Raises:
        RegionError: The value is not such a list, or too long.
    """
    if not isinstance(values, list) or len(values) > MAX_REGIONS:
        raise RegionError(f"regions must be a list of up to {MAX_REGIONS} boxes")
    return tuple(_box(value) for value in values)


def read_window(values: Any, image: GeoImage) -> Window | None:  # noqa: ANN401 - decoded JSON
    """Return a window (column, row, width, height), clipped to the image; None if it is the whole image.

    Raises:
        RegionError: The value is malformed or outside the image.
    """
    if values is None:
        return None
    if not isinstance(values, list) or len(values) != 4 or not all(is_coordinate(value) for value in values):
        raise RegionError("a window must be four numbers: column, row, width, height")
    left, top, width, height = values
    try:
        window = Window.covering((left, top, left + width, top + height)).clip((image.width, image.height))
    except ImageError:
        window = None
    if window is None:
        raise RegionError("the image is out of view; fit it to the view first (F)")
    return None if window == Window.whole((image.width, image.height)) else window


def read_places(text: str, image: GeoImage) -> tuple[OrientedBox, ...]:
    """Return boxes in pixels of the whole image, from GeoJSON or from numbers.

    Args:
        text: GeoJSON; or `west, south, east, north` in degrees, for a georeferenced image; or `px` and
            `x1, y1, x2, y2`, optionally with an angle, in pixels.
        image: The image.

    Raises:
        RegionError: The text is none of these, or lies outside the image.
    """
    text = text.strip()
    if text.startswith("{"):
        boxes = _geojson_boxes(_geojson(text), image)
    else:
        in_pixels = text.lower().startswith("px") or image.place.map_crs is None
        numbers = _numbers(text.lower().removeprefix("px"))
        boxes = pixel_boxes(numbers, image.frame, "pixels" if in_pixels else "geographic")
    if not boxes:
        raise RegionError("the text has no region; paste GeoJSON or four numbers")
    if len(boxes) > MAX_REGIONS:
        raise RegionError(f"the text has {len(boxes)} regions; paste up to {MAX_REGIONS}")
    return tuple(boxes)


def read_regions(value: Any, image: GeoImage) -> tuple[OrientedBox, ...]:  # noqa: ANN401 - decoded JSON
    """Return boxes in pixels of the whole image, from GeoJSON or from boxes as in `read_boxes`.

    Raises:
        RegionError: The value is neither, too long, or outside the image.
    """
    if not isinstance(value, dict):
        return read_boxes(value)
    _check_coordinates(value)
    boxes = _geojson_boxes(value, image)
    if len(boxes) > MAX_REGIONS:
        raise RegionError(f"the GeoJSON has {len(boxes)} regions; send up to {MAX_REGIONS}")
    return tuple(boxes)


def read_polygons(value: Mapping[str, Any], image: GeoImage) -> list[shapely.Geometry]:
    """Return the polygons of a GeoJSON object in pixels of the whole image.

    Args:
        value: A geometry, feature or collection: in pixels if it has this project's mark, else in degrees.
        image: The image.

    Raises:
        RegionError: It is malformed, has other geometries or too many, or cannot be brought to the image.
    """
    _check_coordinates(value)
    try:
        features = value["features"] if value.get("type") == "FeatureCollection" else [value]
        if len(features) > MAX_REGIONS:
            raise RegionError(f"the GeoJSON has {len(features)} features; send up to {MAX_REGIONS}")
        geometries = [part["geometry"] if part.get("type") == "Feature" else part for part in features]
        shapes = tuple(shapely.make_valid(shapely.geometry.shape(geometry)) for geometry in geometries)
        marks = [value.get("geochat"), *(part.get("properties") for part in features)]
        in_pixels = any(isinstance(mark, Mapping) and mark.get("coordinates") == PIXELS for mark in marks)
    except _MALFORMED as error:
        raise RegionError("the area is not valid GeoJSON; send a geometry, a feature or a collection") from error
    crs = None if in_pixels else WGS84
    layer = VectorLayer(Path("the area"), "area", shapes, {}, "pixels" if in_pixels else "map", crs)
    return layer_shapes(layer, image.frame)


def _geojson_boxes(value: Mapping[str, Any], image: GeoImage) -> list[OrientedBox]:
    try:
        return pixel_boxes(value, image.frame)
    except _MALFORMED as error:
        raise RegionError("the text is not valid GeoJSON; give a geometry, a feature or a collection") from error


def _geojson(text: str) -> Mapping[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise RegionError(f"the text is not GeoJSON ({error}); paste the whole object") from error
    _check_coordinates(value)
    if not isinstance(value, dict):
        raise RegionError("the text is not a GeoJSON object; paste a geometry, a feature or a collection")
    return value


def _numbers(text: str) -> tuple[float, ...]:
    try:
        numbers = tuple(float(part) for part in text.replace(",", " ").split())
    except ValueError:
        raise RegionError(
            "paste GeoJSON, or four numbers: west, south, east, north in degrees; px x1, y1, x2, y2 in pixels"
        ) from None
    _check_coordinates(numbers)
    return numbers


def _check_coordinates(value: Any) -> None:  # noqa: ANN401 - decoded JSON
    """Check the numbers of a GeoJSON object, properties and ids aside.

    Raises:
        RegionError: One is infinite, not a number, or too large.
    """
    pending = [value]
    while pending:
        part = pending.pop()
        if isinstance(part, int | float) and not isinstance(part, bool) and not is_coordinate(part):
            raise RegionError(f"a coordinate is not a number up to {_MAX_COORDINATE:,.0f}; correct it")
        if isinstance(part, dict | list | tuple):
            named = part.items() if isinstance(part, dict) else enumerate(part)
            pending.extend(value for name, value in named if name not in ("properties", "id"))


def _box(value: Any) -> OrientedBox:  # noqa: ANN401 - decoded JSON
    if not isinstance(value, list) or len(value) not in (4, 5) or not all(is_coordinate(number) for number in value):
        raise RegionError(
            f"a region must be four or five numbers up to {_MAX_COORDINATE:,.0f}: x1, y1, x2, y2[, angle]"
        )
    return OrientedBox(*(float(number) for number in value))


def is_coordinate(value: object) -> bool:
    """Return whether a value is a number that may be a coordinate."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= _MAX_COORDINATE
