"""UC Merced land use: one folder a class, human captions and oriented boxes beside it.

`captions.jsonl` (Qu et al. 2016, UCM-captions) lists every image; `boxes.jsonl` holds those of four classes,
in each of which only the class's own objects are marked. A baseball photograph may show a tennis court nobody
marked, so what an image is said to label exhaustively is its own category and what its scene cannot hold:
natural and farmed land holds none of the four, airplanes stand on airports alone.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from geochat.errors import ImageError
from geochat_data.readers.jsonl import lay, read_jsonl, read_objects
from geochat_data.readers.placing import Size, placement_of
from geochat_data.readers.report import Report
from geochat_data.readers.source import Source
from geochat_data.readers.splitting import choose
from geochat_data.readers.values import declared_size
from geochat_data.records import LabelledImage, LabelledObject

UCM_CATEGORIES = frozenset({"airplane", "storage tank", "tennis court", "baseball diamond"})
_LABELLED = {
    "airplane": frozenset({"airplane", "tennis court", "baseball diamond"}),
    "storagetanks": frozenset({"storage tank", "airplane", "baseball diamond"}),
    "tenniscourt": frozenset({"tennis court", "airplane"}),
    "baseballdiamond": frozenset({"baseball diamond", "airplane"}),
}
_UNMARKED = {
    "runway": frozenset[str](),
    **dict.fromkeys(("agricultural", "beach", "chaparral", "forest", "river"), UCM_CATEGORIES),
}
SCENE_NAMES = {
    "baseballdiamond": "baseball diamond",
    "denseresidential": "dense residential",
    "golfcourse": "golf course",
    "mediumresidential": "medium residential",
    "mobilehomepark": "mobile home park",
    "parkinglot": "parking lot",
    "sparseresidential": "sparse residential",
    "storagetanks": "storage tanks",
    "tenniscourt": "tennis court",
}
UCM_SCENES = (
    "agricultural", "airplane", "baseball diamond", "beach", "buildings", "chaparral", "dense residential",
    "forest", "freeway", "golf course", "harbor", "intersection", "medium residential", "mobile home park",
    "overpass", "parking lot", "river", "runway", "sparse residential", "storage tanks", "tennis court",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Boxes:
    """What `boxes.jsonl` says of one image."""

    objects: tuple[LabelledObject, ...]
    ignore: tuple[LabelledObject, ...]
    declared: Size | None = None
    damaged: bool = False


def read_ucm(
    folder: Path, split: str, *, leave_out: frozenset[str] = frozenset(), report: Report | None = None
) -> Iterator[LabelledImage]:
    """The images of one split, in the captions file's order.

    Args:
        folder: Holds `train/`, `test/`, `captions.jsonl` and, optionally, `boxes.jsonl`.
        split: "train" or "test".
        leave_out: File names to pass over, such as "airplane68.jpg".
        report: Counts what was used and what was skipped.

    Raises:
        DataError: The captions file cannot be read.
    """
    report = Report() if report is None else report
    boxes = _read_boxes(folder / "boxes.jsonl", report)
    for where, row in read_jsonl(folder / "captions.jsonl", report):
        if row.get("split") != split:
            continue
        try:
            image = _labelled(folder, row, boxes, report)
        except (KeyError, TypeError, ValueError) as error:
            report.skip(f"malformed row ({type(error).__name__})", where)
        except ImageError:
            report.skip("image missing or unreadable", where)
        else:
            if image is None:
                continue
            if image.path is not None and image.path.name in leave_out:
                report.skip("left out on request", image.path.name, wanted=True)
                continue
            report.used += 1
            yield image


def read_ucm_source(source: Source) -> Iterator[LabelledImage]:
    """The images of the source's split; `val` is not among UC Merced's.

    Raises:
        DataError: The captions file cannot be read or has no such split.
    """
    rows = read_jsonl(source.path / "captions.jsonl", Report())
    splits = {str(row["split"]): str(row["split"]) for _, row in rows if "split" in row}
    split = choose(source, splits)
    yield from read_ucm(source.path, split or source.split, report=source.report)


def _read_boxes(path: Path, report: Report) -> dict[str | None, _Boxes]:
    """The boxes by image; under None those of a damaged line that names no image."""
    if not path.exists():
        return {}
    boxes: dict[str | None, _Boxes] = {}
    for where, row in read_jsonl(path, report):
        name = str(row["image"]) if "image" in row else None
        known = boxes.get(name, _Boxes((), ()))
        try:
            objects, ignore = read_objects(row["objects"]), read_objects(row.get("ignore", ()))
            declared = declared_size(row.get("width"), row.get("height")) or known.declared
            damaged = known.damaged or name is None
            boxes[name] = _Boxes((*known.objects, *objects), (*known.ignore, *ignore), declared, damaged)
        except (KeyError, TypeError, ValueError) as error:
            report.skip_label(f"malformed boxes ({type(error).__name__})", where)
            boxes[name] = replace(known, damaged=True)
    return boxes


def _labelled(
    folder: Path, row: dict[str, Any], boxes: dict[str | None, _Boxes], report: Report
) -> LabelledImage | None:
    name, scene = str(row["image"]), str(row["scene"])
    found = boxes.get(name, _Boxes((), ()))
    if (placement := placement_of(folder / name, found.declared, report)) is None:
        return None
    objects, lost = lay(found.objects, placement)
    ignore, also_lost = lay(found.ignore, placement)
    for category in lost | also_lost:
        report.skip_label("box without area or outside the image", f"{name}: {category}")
    unknown = found.damaged or None in boxes
    report.unknown_in_image({None} if unknown else lost | also_lost)
    labelled = _labelled_categories(scene, name in boxes) - lost - also_lost
    return LabelledImage(
        path=folder / name,
        width=placement.size[0],
        height=placement.size[1],
        objects=objects,
        ignore=ignore,
        scene=SCENE_NAMES.get(scene, scene),
        captions=tuple(str(caption) for caption in row["captions"]),
        split=str(row["split"]),
        labelled=frozenset() if unknown else labelled,
    )


def _labelled_categories(scene: str, marked: bool) -> frozenset[str]:
    if scene in _LABELLED:
        return _LABELLED[scene] if marked else frozenset()
    return _UNMARKED.get(scene, frozenset({"airplane"}))
