"""Regions from what a browser or a user sends: checked numbers, GeoJSON, longitude and latitude."""

import json
import math
from collections.abc import Mapping
from typing import Any

from geochat.assistant.asking import model_boxes
from geochat.errors import RegionError
from geochat.imagery import GeoImage
from geochat.regions import OrientedBox

MOST = 200


def read_boxes(values: Any) -> tuple[OrientedBox, ...]:  # noqa: ANN401 - decoded JSON
    """Boxes (x1, y1, x2, y2, θ) in pixels of the whole image.

    Raises:
        RegionError: They are no such list, or too many.
    """
    if not isinstance(values, list) or len(values) > MOST:
        raise RegionError(f"regions are a list of up to {MOST}")
    return tuple(_box(value) for value in values)


def read_window(values: Any, image: GeoImage) -> tuple[int, int, int, int] | None:  # noqa: ANN401 - decoded JSON
    """A window (column, row, width, height), cut to the image; None where it is the whole.

    Raises:
        RegionError: It holds no pixel of the image.
    """
    if values is None:
        return None
    if not isinstance(values, list) or len(values) != 4 or not all(_is_number(value) for value in values):
        raise RegionError("the view is no window of four numbers; reload the page")
    left, top = max(0, math.floor(values[0])), max(0, math.floor(values[1]))
    right = min(image.width, math.ceil(values[0] + values[2]))
    bottom = min(image.height, math.ceil(values[1] + values[3]))
    if right <= left or bottom <= top:
        raise RegionError("nothing of the image is in view; fit it first (F)")
    window = left, top, right - left, bottom - top
    return None if window == (0, 0, image.width, image.height) else window


def read_places(text: str, image: GeoImage) -> tuple[OrientedBox, ...]:
    """Boxes in pixels of the whole image, from GeoJSON or from numbers.

    Args:
        text: GeoJSON; or `west, south, east, north` in degrees for a georeferenced image; or, after `px`, `x1, y1,
            x2, y2` and perhaps an angle in pixels.
        image: What they lie on.

    Raises:
        RegionError: It is none of these, or lies outside the image.
    """
    text = text.strip()
    if text.startswith("{"):
        regions: Any = _geojson(text)
        boxes = model_boxes(regions, image.frame)
    else:
        in_pixels = text.lower().startswith("px") or image.frame.image_to_map is None or image.crs is None
        numbers = _numbers(text.lower().removeprefix("px"))
        boxes = model_boxes(numbers, image.frame, "pixels" if in_pixels else "geographic")
    if not boxes:
        raise RegionError("the text holds no region; paste GeoJSON or four numbers")
    if len(boxes) > MOST:
        raise RegionError(f"{len(boxes)} regions are too many; paste up to {MOST}")
    return tuple(box.transform(image.frame.between("model", "image")) for box in boxes)


def _geojson(text: str) -> Mapping[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise RegionError(f"the text is not GeoJSON ({error}); paste the whole object") from error
    if not isinstance(value, dict):
        raise RegionError("the text is not a GeoJSON object; paste a geometry, a feature or a collection")
    return value


def _numbers(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.replace(",", " ").split())
    except ValueError:
        raise RegionError(
            "paste GeoJSON, or four numbers: west, south, east, north in degrees; px x1, y1, x2, y2 in pixels"
        ) from None


def _box(value: Any) -> OrientedBox:  # noqa: ANN401 - decoded JSON
    if not isinstance(value, list) or len(value) != 5 or not all(_is_number(number) for number in value):
        raise RegionError("a region is five numbers: x1, y1, x2, y2 and an angle")
    return OrientedBox(*(float(number) for number in value))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
