"""Map tiles with labelled objects: images in one folder beside a `boxes.jsonl` that names them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from geochat.errors import ImageError
from geochat.imagery import image_size
from geochat_data.readers.jsonl import read_jsonl, read_objects
from geochat_data.readers.report import Report
from geochat_data.records import LabelledImage


def read_tiles(
    folder: Path,
    *,
    split: str = "train",
    labelled: frozenset[str] = frozenset({"building"}),
    report: Report | None = None,
) -> Iterator[LabelledImage]:
    """The tiles that `folder/boxes.jsonl` lists, in its order.

    Args:
        folder: Holds the images and `boxes.jsonl`.
        split: The split written into the records.
        labelled: Categories the labels cover exhaustively.
        report: Counts what was used and what was skipped.

    Raises:
        DataError: `boxes.jsonl` cannot be read.
    """
    report = Report() if report is None else report
    for where, row in read_jsonl(folder / "boxes.jsonl", report):
        try:
            image = _labelled(folder, row, split, labelled)
        except (KeyError, TypeError, ValueError) as error:
            report.skip(f"malformed row ({type(error).__name__})", where)
        except ImageError:
            report.skip("image missing or unreadable", where)
        else:
            report.used += 1
            yield image


def _labelled(folder: Path, row: dict[str, Any], split: str, labelled: frozenset[str]) -> LabelledImage:
    path = folder / str(row["image"])
    width, height = image_size(path)
    return LabelledImage(
        path=path,
        width=width,
        height=height,
        objects=read_objects(row["objects"]),
        ignore=read_objects(row.get("ignore", ())),
        split=split,
        labelled=labelled,
    )
