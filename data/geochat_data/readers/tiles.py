"""Map tiles with labelled objects: images in one folder beside a `boxes.jsonl` that names them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from geochat.errors import ImageError
from geochat_data.readers.jsonl import lay, read_jsonl, read_objects
from geochat_data.readers.placing import placement_of
from geochat_data.readers.report import Report
from geochat_data.readers.values import declared_size
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
            image = _labelled(folder, row, split, labelled, report)
        except (KeyError, TypeError, ValueError) as error:
            report.skip(f"malformed row ({type(error).__name__})", where)
        except ImageError:
            report.skip("image missing or unreadable", where)
        else:
            if image is not None:
                report.used += 1
                yield image


def _labelled(
    folder: Path, row: dict[str, Any], split: str, labelled: frozenset[str], report: Report
) -> LabelledImage | None:
    path = folder / str(row["image"])
    declared = declared_size(row.get("width"), row.get("height"))
    if (placement := placement_of(path, declared, report)) is None:
        return None
    objects, lost = lay(read_objects(row["objects"]), placement)
    ignore, also_lost = lay(read_objects(row.get("ignore", ())), placement)
    for category in lost | also_lost:
        report.skip_label("box without area or outside the image", f"{path}: {category}")
    report.unknown_in_image(lost | also_lost)
    return LabelledImage(
        path=path,
        width=placement.size[0],
        height=placement.size[1],
        objects=objects,
        ignore=ignore,
        split=split,
        labelled=labelled - lost - also_lost,
    )
