"""JSON lines of labelled images: `image`, `objects`, and optionally `ignore`, `scene`, `captions`.

An object has a `category`, a `polygon` of four corners in pixels, and may be `difficult`. `labelled` may list the
categories all of whose objects are marked; where it is missing these are the file's.
"""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from geochat.errors import DataError
from geochat_data.readers.jsonl import read_jsonl
from geochat_data.readers.report import Report
from geochat_data.readers.source import Label, Source, category_name, labelled_image
from geochat_data.records import LabelledImage, LabelledObject


def read_boxes(source: Source) -> Iterator[LabelledImage]:
    """The images of a file, or of `<split>.jsonl` or `boxes.jsonl` in a folder; names are relative to its folder.

    Raises:
        DataError: The file cannot be read.
    """
    path = source.path
    if path.is_dir():
        named = path / f"{source.split}.jsonl"
        path = named if named.is_file() else path / "boxes.jsonl"
    folder = source.images or path.parent
    names = frozenset(_categories(path)) if source.exhaustive else frozenset[str]()
    for where, row in read_jsonl(path, source.report):
        try:
            image = folder / str(row["image"])
            labels = [
                *_labels(row.get("objects", ()), where, source.report),
                *_labels(row.get("ignore", ()), where, source.report, doubtful=True),
            ]
            scene = None if row.get("scene") is None else category_name(str(row["scene"]))
            captions = tuple(str(caption) for caption in row.get("captions", ()))
            known = frozenset(map(str, row["labelled"])) if "labelled" in row else names
        except (KeyError, TypeError, ValueError) as error:
            source.report.skip(f"malformed row ({type(error).__name__})", where)
            continue
        yield from labelled_image(source, image, labels, categories=known, scene=scene, captions=captions)


def write_boxes(folder: Path, records: Iterable[LabelledImage]) -> int:
    """Write records as PNG files beside a `boxes.jsonl`; returns how many.

    Raises:
        DataError: The folder cannot be written to.
    """
    count = 0
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "boxes.jsonl").open("w", encoding="utf-8") as lines:
            for count, record in enumerate(records, start=1):
                name = f"{record.name or 'image'}-{count:06d}.png"
                record.open().save(folder / name)
                row: dict[str, Any] = {"image": name, "objects": _rows(record.objects), "ignore": _rows(record.ignore)}
                row |= {"scene": record.scene, "captions": record.captions, "labelled": sorted(record.labelled)}
                lines.write(json.dumps(row) + "\n")
    except OSError as error:
        raise DataError(f"{folder} cannot be written to: {error.strerror}; choose another") from error
    return count


def _rows(objects: Iterable[LabelledObject]) -> list[dict[str, Any]]:
    return [
        {"category": item.category, "polygon": [[round(v, 2) for v in corner] for corner in item.polygon]}
        for item in objects
    ]


def _labels(rows: Iterable[Any], where: str, report: Report, *, doubtful: bool = False) -> Iterator[Label]:
    for number, row in enumerate(rows, start=1):
        place = f"{where}: object {number}"
        try:
            points = [(float(x), float(y)) for x, y in row["polygon"]]
            yield Label(str(row["category"]), points, place, doubtful or bool(row.get("difficult", False)))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            report.skip(f"malformed object ({type(error).__name__})", place)


def _categories(path: Path) -> Iterator[str]:
    for _, row in read_jsonl(path, Report()):
        for item in row.get("objects") or ():
            if isinstance(item, dict) and "category" in item:
                yield category_name(str(item["category"]))
