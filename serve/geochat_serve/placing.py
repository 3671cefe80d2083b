"""Regions from what a browser or a user sends: checked numbers, GeoJSON, longitude and latitude."""

import json
from collections.abc import Mapping
from typing import Any

from geochat.assistant.region_input import pixel_boxes
from geochat.errors import ImageError, RegionError
from geochat.geometry import OrientedBox
from geochat.imagery import GeoImage, Window

MOST = 200
_FARTHEST = 1e8  # pixels, metres and degrees alike: nothing on an image is farther out


def read_boxes(values: Any) -> tuple[OrientedBox, ...]:  # noqa: ANN401 - decoded JSON
    """Boxes (x1, y1, x2, y2, θ) in pixels of the whole image.

    Raises:
        RegionError: They are no such list, or too many.
    """
    if not isinstance(values, list) or len(values) > MOST:
        raise RegionError(f"regions are a list of up to {MOST}")
    return tuple(_box(value) for value in values)


def read_window(values: Any, image: GeoImage) -> Window | None:  # noqa: ANN401 - decoded JSON
    """A window from numbers (column, row, width, height), cut to the image; None where it is the whole.

    Raises:
        RegionError: It holds no pixel of the image.
    """
    if values is None:
        return None
    if not isinstance(values, list) or len(values) != 4 or not all(_is_number(value) for value in values):
        raise RegionError("the view is no window of four numbers; reload the page")
    left, top, width, height = values
    try:
        window = Window.covering((left, top, left + width, top + height)).clip((image.width, image.height))
    except ImageError:
        window = None
    if window is None:
        raise RegionError("nothing of the image is in view; fit it first (F)")
    return None if window == Window.whole((image.width, image.height)) else window


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
        try:
            boxes = pixel_boxes(_geojson(text), image.frame)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, RecursionError) as error:
            raise RegionError(
                "a part of the text is no GeoJSON; paste a geometry, a feature or a collection"
            ) from error
    else:
        in_pixels = text.lower().startswith("px") or image.place.map_crs is None
        numbers = _numbers(text.lower().removeprefix("px"))
        boxes = pixel_boxes(numbers, image.frame, "pixels" if in_pixels else "geographic")
    if not boxes:
        raise RegionError("the text holds no region; paste GeoJSON or four numbers")
    if len(boxes) > MOST:
        raise RegionError(f"{len(boxes)} regions are too many; paste up to {MOST}")
    return tuple(boxes)


def _geojson(text: str) -> Mapping[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise RegionError(f"the text is not GeoJSON ({error}); paste the whole object") from error
    _require_near(value)
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
    _require_near(numbers)
    return numbers


def _require_near(value: Any) -> None:  # noqa: ANN401 - decoded JSON
    """Refuse numbers with which nothing can be computed.

    Raises:
        RegionError: There is one.
    """
    pending = [value]
    while pending:
        part = pending.pop()
        if isinstance(part, int | float) and not isinstance(part, bool) and not _is_number(part):
            raise RegionError(f"a coordinate is no number up to {_FARTHEST:,.0f}; correct it")
        if isinstance(part, dict | list | tuple):
            named = part.items() if isinstance(part, dict) else enumerate(part)
            pending.extend(value for name, value in named if name not in ("properties", "id"))


def _box(value: Any) -> OrientedBox:  # noqa: ANN401 - decoded JSON
    if not isinstance(value, list) or len(value) != 5 or not all(_is_number(number) for number in value):
        raise RegionError(f"a region is five numbers up to {_FARTHEST:,.0f}: x1, y1, x2, y2 and an angle")
    return OrientedBox(*(float(number) for number in value))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= _FARTHEST
