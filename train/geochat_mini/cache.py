"""Decoded images in memory-mapped files.

Two cores cannot decode JPEGs during training. A cache is a folder of parts, each a file of raw pixels and one of
labels; a part is written to a temporary name and renamed, so a killed run makes only the missing ones. Mapped pages are
shared by all processes and dropped by the system when memory is short.
"""

import json
import logging
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from geochat.errors import DataError
from geochat_data.records import LabelledImage, LabelledObject, as_polygon

_LOG = logging.getLogger(__name__)
_PIXELS, _LABELS = "pixels.bin", "labels.jsonl"


def cached(
    folder: Path, parts: int, make: Callable[[int], Iterable[LabelledImage]], *, what: str = "images"
) -> tuple[LabelledImage, ...]:
    """Return the images of all parts; `make(number)` creates missing parts.

    Args:
        folder: Folder of the parts, one folder each.
        parts: Number of parts.
        make: Makes one part; called in order, for missing parts only.
        what: Names the images in the log.

    Raises:
        DataError: The folder cannot be written to, or a part is damaged.
    """
    found: list[LabelledImage] = []
    for number in range(parts):
        place = folder / f"{number:04d}"
        if not place.is_dir():
            _write(place, make(number))
            _LOG.info("cached part %d of %d of %s", number + 1, parts, what)
        found += _read(place)
    return tuple(found)


def _write(place: Path, images: Iterable[LabelledImage]) -> None:
    draft = place.with_name(f"{place.name}.draft")
    shutil.rmtree(draft, ignore_errors=True)
    try:
        draft.mkdir(parents=True)
        start = 0
        with (draft / _PIXELS).open("wb") as pixels, (draft / _LABELS).open("w", encoding="utf-8") as labels:
            for image in images:
                data = np.ascontiguousarray(image.pixels if image.pixels is not None else np.asarray(image.open()))
                pixels.write(data.tobytes())
                labels.write(json.dumps({"start": start, **_row(image)}) + "\n")
                start += data.nbytes
        draft.rename(place)
    except OSError as error:
        raise DataError(f"{place} cannot be written: {error}; free space or choose another folder") from error


def _read(place: Path) -> Iterator[LabelledImage]:
    try:
        rows = [json.loads(line) for line in (place / _LABELS).read_text(encoding="utf-8").splitlines()]
        if not rows:
            return
        mapped = np.memmap(place / _PIXELS, np.uint8, mode="r")
        for row in rows:
            image, start = _image(row), row["start"]
            size = image.width * image.height * 3
            yield replace(image, pixels=mapped[start : start + size].reshape(image.height, image.width, 3))
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"{place} is damaged: {error}; remove it to have it made again") from error


def _row(image: LabelledImage) -> dict[str, Any]:
    row = {name: getattr(image, name) for name in ("name", "width", "height", "scene", "captions", "split")}
    things = {"objects": _objects(image.objects), "ignore": _objects(image.ignore)}
    return {**row, **things, "labelled": sorted(image.labelled)}


def _objects(objects: Iterable[LabelledObject]) -> list[list[Any]]:
    return [
        [thing.category, [[round(v, 2) for v in corner] for corner in thing.polygon], thing.truncated, thing.attributes]
        for thing in objects
    ]


def _image(row: dict[str, Any]) -> LabelledImage:
    return LabelledImage(
        path=None,
        width=row["width"],
        height=row["height"],
        objects=_read_objects(row["objects"]),
        ignore=_read_objects(row["ignore"]),
        scene=row["scene"],
        captions=tuple(row["captions"]),
        split=row["split"],
        labelled=frozenset(row["labelled"]),
        name=row["name"],
    )


def _read_objects(rows: list[list[Any]]) -> tuple[LabelledObject, ...]:
    return tuple(
        LabelledObject(category, as_polygon(polygon), truncated, tuple(attributes))
        for category, polygon, truncated, attributes in rows
    )
