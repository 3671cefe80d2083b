"""Scene classification data: folders of classes, as in AID and EuroSAT, and UC Merced with its captions and boxes.

UC Merced land use has one folder a class. `captions.jsonl` (Qu et al. 2016, UCM-captions) lists every image;
`boxes.jsonl` holds the boxes of images of four classes, in each of which only the class's own objects are labelled. A
baseball photograph may show an unlabelled tennis court, so the exhaustively labelled categories of an image are its own
and those that its scene cannot contain: natural and farmed land contains none of the four, airplanes stand on airports
only.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from shapely import Polygon as Shape
from shapely import box as rectangle

from geochat.errors import DataError, ImageError
from geochat_data.readers.alignment import Alignment, Size, align_file
from geochat_data.readers.json_files import read_jsonl
from geochat_data.readers.layout import choose_split, list_images, require_no_split
from geochat_data.readers.report import Report
from geochat_data.readers.source import DataSource, labelled_image
from geochat_data.readers.values import declared_size, flag, named
from geochat_data.records import LabelledImage, LabelledObject, as_polygon

UCM_CATEGORIES = frozenset({"airplane", "storage tank", "tennis court", "baseball diamond"})
_LABELLED = {
    "airplane": frozenset({"airplane", "tennis court", "baseball diamond"}),
    "storagetanks": frozenset({"storage tank", "airplane", "baseball diamond"}),
    "tenniscourt": frozenset({"tennis court", "airplane"}),
    "baseballdiamond": frozenset({"baseball diamond", "airplane"}),
}
_WITHOUT_BOXES = {
    "runway": frozenset[str](),
    **dict.fromkeys(("agricultural", "beach", "chaparral", "forest", "river"), UCM_CATEGORIES),
}
_SCENE_NAMES = {
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
_LEAST_AREA = 1.0  # square pixels


def read_folders(source: DataSource) -> Iterator[LabelledImage]:
    """Read the images below `<split>/<class>/` or `<class>/`, by class and name.

    Raises:
        DataError: There is no folder of images, the split does not exist, or a class is a number without a name.
    """
    for folder in _class_folders(source):
        scene = named(folder.name, source.names, str(folder))
        for path in list_images(folder):
            yield from labelled_image(source, path, (), scene=scene)


def class_names(source: DataSource) -> tuple[str, ...]:
    """List the scene classes of a folder of classes.

    Raises:
        DataError: There is no folder of images, the split does not exist, or a class is a number without a name.
    """
    found = (named(folder.name, source.names, str(folder)) for folder in _class_folders(source))
    return tuple(name for name in found if name is not None)


def _class_folders(source: DataSource) -> list[Path]:
    if not source.path.is_dir():
        raise DataError(f"{source.path} is not a folder; give the folder whose folders are the classes")
    folders = {folder.name: folder for folder in sorted(source.path.iterdir()) if folder.is_dir()}
    splits = {name: folder for name, folder in folders.items() if any(inner.is_dir() for inner in folder.iterdir())}
    root = choose_split(source, splits)
    if root is None:
        require_no_split(source)
    classes = sorted(folder for folder in (root or source.path).iterdir() if folder.is_dir())
    if not classes:
        raise DataError(f"{source.path} holds no folders; give the folder whose folders are the classes")
    return classes


@dataclass(frozen=True, slots=True)
class _Boxes:
    """Content of `boxes.jsonl` about one image."""

    objects: tuple[LabelledObject, ...]
    ignore: tuple[LabelledObject, ...]
    declared: Size | None = None
    damaged: bool = False


def read_ucm(
    folder: Path, split: str, *, leave_out: frozenset[str] = frozenset(), report: Report | None = None
) -> Iterator[LabelledImage]:
    """Read the images of one split, in the order of the captions file.

    Args:
        folder: Holds `train/`, `test/`, `captions.jsonl` and, optionally, `boxes.jsonl`.
        split: "train" or "test".
        leave_out: File names to skip, such as "airplane68.jpg".
        report: Counts used and skipped items.

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


def read_ucm_source(source: DataSource) -> Iterator[LabelledImage]:
    """Read the images of the source's split; UC Merced has no `val`.

    Raises:
        DataError: The captions file cannot be read or has no such split.
    """
    rows = read_jsonl(source.path / "captions.jsonl", Report())
    splits = {str(row["split"]): str(row["split"]) for _, row in rows if "split" in row}
    split = choose_split(source, splits)
    yield from read_ucm(source.path, split or source.split, report=source.report)


def _read_boxes(path: Path, report: Report) -> dict[str | None, _Boxes]:
    """Read the boxes by image; under None those of a damaged line that names no image."""
    if not path.exists():
        return {}
    boxes: dict[str | None, _Boxes] = {}
    for where, row in read_jsonl(path, report):
        name = str(row["image"]) if "image" in row else None
        known = boxes.get(name, _Boxes((), ()))
        try:
            objects, ignore = _objects(row["objects"]), _objects(row.get("ignore", ()))
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
    if (alignment := align_file(folder / name, found.declared, report)) is None:
        return None
    objects, lost = _aligned(found.objects, alignment)
    ignore, also_lost = _aligned(found.ignore, alignment)
    for category in lost | also_lost:
        report.skip_label("box without area or outside the image", f"{name}: {category}")
    unknown = found.damaged or None in boxes
    report.unknown_in_image({None} if unknown else lost | also_lost)
    labelled = _labelled_categories(scene, has_boxes=name in boxes) - lost - also_lost
    return LabelledImage(
        path=folder / name,
        width=alignment.size[0],
        height=alignment.size[1],
        objects=objects,
        ignore=ignore,
        scene=_SCENE_NAMES.get(scene, scene),
        captions=tuple(str(caption) for caption in row["captions"]),
        split=str(row["split"]),
        labelled=frozenset() if unknown else labelled,
    )


def _labelled_categories(scene: str, *, has_boxes: bool) -> frozenset[str]:
    if scene in _LABELLED:
        return _LABELLED[scene] if has_boxes else frozenset()
    return _WITHOUT_BOXES.get(scene, frozenset({"airplane"}))


def _objects(rows: Any) -> tuple[LabelledObject, ...]:  # noqa: ANN401 - decoded JSON
    """Convert the decoded list of objects of one row.

    Raises:
        KeyError, TypeError, ValueError: A field is missing or malformed.
    """
    return tuple(
        LabelledObject(str(row["category"]), as_polygon(row["polygon"]), flag(row.get("truncated"))) for row in rows
    )


def _aligned(
    objects: Iterable[LabelledObject], alignment: Alignment
) -> tuple[tuple[LabelledObject, ...], frozenset[str]]:
    """Align objects with the image; returns them, and the categories of those without area or outside it.

    Polygons are otherwise as in the file, without duplicates.
    """
    frame = rectangle(0, 0, *alignment.size)
    kept: dict[LabelledObject, None] = {}
    lost: set[str] = set()
    for item in objects:
        moved = item
        if not alignment.to_image.is_identity:
            moved = replace(item, polygon=as_polygon([alignment.to_image @ corner for corner in item.polygon]))
        if moved.area < _LEAST_AREA or Shape(moved.polygon).convex_hull.intersection(frame).area <= 0:
            lost.add(item.category)
        else:
            kept[moved] = None
    return tuple(kept), frozenset(lost)
