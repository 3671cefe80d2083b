"""Areas with dates, which select items of a STAC file."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import shapely
from shapely.errors import ShapelyError
from shapely.geometry import shape

from geochat.errors import RegionError
from geochat.imagery.stac import ListedItem

_FIRST, _LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
_DAY = 10  # characters of a date
_OPEN = ("", "..")  # no end of an interval


@dataclass(frozen=True, slots=True)
class Area:
    """Area and time range of the scenes to search.

    Attributes:
        ground: In longitude and latitude.
        begin: The first moment.
        end: The first moment after it.
    """

    ground: shapely.Geometry
    begin: datetime
    end: datetime

    def holds(self, item: ListedItem) -> bool:
        """Return whether an item intersects the area and the time range."""
        if item.geometry is None or not shapely.intersects(self.ground, shape(item.geometry)):
            return False
        unlimited = self.begin == _FIRST and self.end == _LAST
        return unlimited or (item.datetime is not None and self.begin <= _time(item.datetime) < self.end)


def read_areas(path: Path) -> list[Area]:
    """Read the areas of a GeoJSON file. The time range of a feature without dates is unlimited.

    Args:
        path: GeoJSON in longitude and latitude; a feature's `datetime` is a day, a time or an interval, or it has
            `start_datetime` and `end_datetime`.

    Raises:
        RegionError: It cannot be read, or holds none.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        features = document["features"] if document["type"] == "FeatureCollection" else [document]
        areas = [Area(shape(each["geometry"]), *_interval(each.get("properties") or {})) for each in features]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, ShapelyError) as error:
        raise RegionError(
            f"{path} cannot be read as GeoJSON of areas with dates ({error}); write dates as 2024-05-01, or "
            "2024-05-01/2024-06-30"
        ) from error
    if not areas:
        raise RegionError(f"{path} holds no area; leave it out to take every scene")
    return areas


def _interval(properties: dict[str, Any]) -> tuple[datetime, datetime]:
    """Return the time range of an area, its end excluded; a date covers the whole day."""
    told = properties.get("datetime")
    begin, _, end = str(told or "").partition("/")
    if told:
        end = end or begin
    else:
        begin, end = str(properties.get("start_datetime") or ""), str(properties.get("end_datetime") or "")
    first = _FIRST if begin in _OPEN else _time(begin)
    last = _LAST if end in _OPEN else _time(end) + (timedelta(days=1) if len(end) == _DAY else timedelta.resolution)
    return first, last


def _time(text: str) -> datetime:
    time = datetime.fromisoformat(text)
    return time if time.tzinfo is not None else time.replace(tzinfo=UTC)
