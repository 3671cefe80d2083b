"""JSON lines of labelled images: `image`, `objects`, and optionally `ignore`, `scene`, `captions`.

An object has a `category`, a `polygon` of four corners in pixels, and may be `truncated` or `difficult`.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from geochat_data.readers.jsonl import read_jsonl
from geochat_data.readers.report import Report
from geochat_data.readers.source import Label, Source, category_name, labelled_image
from geochat_data.records import LabelledImage


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
    names = set(_categories(path)) if source.exhaustive else set[str]()
    for where, row in read_jsonl(path, source.report):
        try:
            image = folder / str(row["image"])
            labels = [
                *_labels(row.get("objects", ()), where, source.report),
                *_labels(row.get("ignore", ()), where, source.report, doubtful=True),
            ]
            scene = None if row.get("scene") is None else category_name(str(row["scene"]))
            captions = tuple(str(caption) for caption in row.get("captions", ()))
        except (KeyError, TypeError, ValueError) as error:
            source.report.skip(f"malformed row ({type(error).__name__})", where)
            continue
        yield from labelled_image(source, image, labels, categories=names, scene=scene, captions=captions)


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
