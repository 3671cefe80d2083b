"""COCO instances: one JSON file of images, annotations and categories.

The box is the smallest rectangle around the segmentation's polygons, or around `bbox` where there is none. A crowd,
and a segmentation by run lengths, whose outline would have to be traced, is a doubtful object at its `bbox`.
"""

import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from geochat.errors import DataError
from geochat_data.readers.source import Label, Source, category_name, labelled_image, pairs
from geochat_data.records import LabelledImage, Point


def read_coco(source: Source) -> Iterator[LabelledImage]:
    """The images of an instances file, in its order.

    `file_name` is relative to the folder of images; where none is given, to the first of the usual places, beside
    the file and beside its folder, that holds the first image.

    Raises:
        DataError: The file is missing, is not JSON or has no images.
    """
    try:
        content = json.loads(source.path.read_bytes())
        images, categories = content["images"], {row["id"]: str(row["name"]) for row in content["categories"]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{source.path} is not a COCO instances file: {error!r}; check the path") from error
    labels: dict[Any, list[Label]] = defaultdict(list)
    for number, row in enumerate(content.get("annotations", ())):
        where = f"{source.path}: annotation {row.get('id', number) if isinstance(row, dict) else number}"
        try:
            labels[row["image_id"]].append(_label(row, categories, where))
        except (KeyError, TypeError, ValueError) as error:
            source.report.skip(f"malformed annotation ({type(error).__name__})", where)
    folder = source.images or _image_folder(source.path, images)
    names = {category_name(label.category) for found in labels.values() for label in found}
    for number, row in enumerate(images):
        try:
            path, found = folder / row["file_name"], labels.pop(row["id"], [])
        except (KeyError, TypeError) as error:
            source.report.skip(f"malformed image row ({type(error).__name__})", f"{source.path}: image {number}")
            continue
        yield from labelled_image(source, path, found, categories=names)
    for orphans in labels.values():
        for label in orphans:
            source.report.skip("annotation of an unlisted image", label.where)


def _image_folder(path: Path, images: list[Any]) -> Path:
    places = [path.parent, path.parent / "images", path.parent.parent, path.parent.parent / "images"]
    places.append(path.parent.parent / path.stem.split("_")[-1])  # annotations/instances_val2017.json, val2017/
    first = images[0].get("file_name", "") if images and isinstance(images[0], dict) else ""
    return next((place for place in places if first and (place / first).is_file()), path.parent)


def _label(row: dict[str, Any], categories: dict[Any, str], where: str) -> Label:
    shape = row.get("segmentation")
    outlined = isinstance(shape, list) and any(shape)
    points: list[Point]
    if outlined:
        points = [point for part in shape for point in pairs([float(v) for v in part])]  # type: ignore[union-attr]
    else:
        x, y, width, height = (float(v) for v in row["bbox"])
        points = [(x, y), (x + width, y), (x + width, y + height), (x, y + height)]
    crowd = bool(row.get("iscrowd")) or isinstance(shape, dict)
    return Label(categories[row["category_id"]], points, where, doubtful=crowd)
