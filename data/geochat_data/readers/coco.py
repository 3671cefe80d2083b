"""COCO instances: one JSON file of images, annotations and categories.

The box of an object is the smallest rectangle around its segmentation, polygons or run lengths, or around its `bbox` if
it has none. A crowd is an ignored object, at its `bbox` if it has one.

A folder is read in Roboflow's layout, `<split>/_annotations.coco.json` next to the images, or in COCO's,
`annotations/instances_<split>.json`. Images listed twice are merged; numbers may be text. The file is decoded row by
row, in three passes, so that only the labels are held in memory.
"""

import re
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geochat.errors import DataError
from geochat.files import is_file
from geochat_data.readers.alignment import Size
from geochat_data.readers.json_files import read_json, read_json_items
from geochat_data.readers.layout import choose_split, find_image, require_no_split, usual_split
from geochat_data.readers.source import DataSource, Label, UnreadableLabel, labelled_image, pairs, upright_points
from geochat_data.readers.values import declared_size, flag, number
from geochat_data.records import LabelledImage, Point

_ROBOFLOW = "_annotations.coco.json"
_MALFORMED = (KeyError, TypeError, ValueError, AttributeError, OverflowError)
_LARGEST_MASK = 2**29  # pixels


@dataclass(slots=True)
class _Image:
    path: Path
    declared: Size | None
    labels: list[Label | UnreadableLabel] = field(default_factory=list)


def read_coco(source: DataSource) -> Iterator[LabelledImage]:
    """Read the images of an instances file, in its order.

    `file_name` is relative to the folder of images; if none is given, to the first of the usual places, beside the file
    and beside its folder, that holds the first image.

    Raises:
        DataError: The file is missing, is not JSON, or has no images, annotations or categories.
    """
    path = _find_file(source)
    categories = _categories(_rows(path, "categories"), path)
    images, by_id = _images(_rows(path, "images"), path, source)
    homeless: list[UnreadableLabel] = []  # labels that name no image
    for place, row in enumerate(_rows(path, "annotations")):
        identity = row.get("id", place) if isinstance(row, dict) else place
        image = row.get("image_id") if isinstance(row, dict) else None
        entry = by_id.get(_key(image))
        label = _label(row, categories, f"{path}: annotation {identity}", entry)
        if entry is not None:
            entry.labels.append(label)
        elif image is None:
            homeless.append(UnreadableLabel("annotation that names no image", label.where, label.category))
        else:
            source.report.skip_label("annotation of an unlisted image", label.where)
    names = source.categories([*homeless, *(label for entry in images for label in entry.labels)])
    for lost in homeless:
        source.report.skip_label(lost.reason, lost.where)
    unknown = {name for label in homeless for name in (source.categories([label]) or {None})}
    for entry in images:
        yield from labelled_image(
            source, entry.path, entry.labels, categories=names, unknown=unknown, declared=entry.declared
        )


def _find_file(source: DataSource) -> Path:
    """Find the instances file: the source's own, or that of the split in a folder.

    Raises:
        DataError: A folder has none, or none of the split.
    """
    if source.path.is_file():
        require_no_split(source)
        return source.path
    if (own := source.path / _ROBOFLOW).is_file():
        require_no_split(source)
        return own
    found = {path.parent.name: path for path in sorted(source.path.glob(f"*/{_ROBOFLOW}"))}
    for folder in () if found else (source.path / "annotations", source.path):
        files = sorted(path for path in folder.glob("*.json") if _split_of(path))
        instances = [path for path in files if path.stem.startswith("instances")]
        found = {_split_of(path): path for path in instances or files}
        if found:
            break
    if found and (part := choose_split(source, found)) is not None:
        return part
    raise DataError(
        f"{source.path} holds neither <split>/{_ROBOFLOW} nor annotations/instances_<split>.json; name the JSON file"
    )


def _split_of(path: Path) -> str:
    """Return the part of a file's name that stands for a split."""
    return next((word for word in re.split(r"[^A-Za-z0-9]+", path.stem) if usual_split(word)), "")


def _rows(path: Path, part: str) -> Iterator[Any]:
    """Decode the rows of a part of the file, one at a time.

    Raises:
        DataError: The file cannot be read, is damaged, or the part is not a list.
    """
    empty = True
    for row in read_json_items(path, f"{part}.item"):
        empty = False
        yield row
    if not empty:
        return
    content = read_json(path)
    found = content.get(part) if isinstance(content, dict) else None
    if not isinstance(found, list):
        wrong = "null" if found is None and isinstance(content, dict) and part in content else type(found).__name__
        raise DataError(
            f"{path} is not a COCO instances file: it needs a list `{part}`, "
            f"{'and has none' if found is None and wrong != 'null' else f'which is {wrong}'}; check the path"
        )


def _images(rows: Iterable[Any], path: Path, source: DataSource) -> tuple[list[_Image], dict[Any, _Image]]:
    """The images in order, and by id; rows of one file name are one image."""
    rows = iter(rows)
    first = list(islice(rows, 1))
    folder = source.images or _image_folder(path, first)
    by_path: dict[str, _Image] = {}
    by_id: dict[Any, _Image] = {}
    for place, row in enumerate(chain(first, rows)):
        where = f"{path}: image {place}"
        try:
            image = find_image(folder, _text(row["file_name"]))
            declared, identity = declared_size(row.get("width"), row.get("height")), _key(row["id"])
        except _MALFORMED as error:
            source.report.skip(f"malformed image row ({type(error).__name__})", where)
            continue
        key = Path(image).as_posix()
        if key in by_path:
            source.report.note("image listed twice: its labels are joined", where)
        entry = by_path.setdefault(key, _Image(image, declared))
        if by_id.setdefault(identity, entry) is not entry:
            raise DataError(f"{where}: the id {row['id']!r} belongs to another image too; make ids unique")
        entry.declared = entry.declared or declared
        if declared not in (None, entry.declared):
            raise DataError(f"{where}: {image} is listed with two sizes, {entry.declared} and {declared}; correct one")
    return list(by_path.values()), by_id


def _categories(rows: Iterable[Any], path: Path) -> dict[Any, str]:
    try:
        return {_key(row["id"]): str(row["name"]) for row in rows}
    except _MALFORMED as error:
        raise DataError(f"{path}: each of its categories needs an `id` and a `name` ({error!r}); add them") from error


def _image_folder(path: Path, rows: list[Any]) -> Path:
    """The first of the usual folders of images that holds the image of the first row."""
    places = [path.parent, path.parent / "images", path.parent.parent, path.parent.parent / "images"]
    places.append(path.parent.parent / path.stem.split("_")[-1])  # annotations/instances_val2017.json, val2017/
    first = rows[0].get("file_name") if rows and isinstance(rows[0], dict) else None
    name = first if isinstance(first, str) else ""
    return next((place for place in places if name and is_file(find_image(place, name))), path.parent)


def _label(row: Any, categories: dict[Any, str], where: str, image: _Image | None) -> Label | UnreadableLabel:  # noqa: ANN401
    """The label of a row, or the reason it has none."""
    category = None
    try:
        category = categories[_key(row["category_id"])]
        shape, box = row.get("segmentation"), row.get("bbox")
        crowd = flag(row.get("iscrowd"))
        if isinstance(shape, dict) and not (crowd and box):
            points, size = _mask_points(shape, image.declared if image else None)
            if image is not None:
                image.declared = size
        elif isinstance(shape, list) and any(shape):
            points = [point for part in shape for point in pairs([number(v) for v in part])]
        else:
            x, y, width, height = (number(v) for v in box)
            if min(width, height) < 0:
                return UnreadableLabel("box with a negative side", where, category)
            points = upright_points(x, y, x + width, y + height)
    except DataError as error:
        return UnreadableLabel(str(error), where, category)
    except _MALFORMED as error:
        return UnreadableLabel(f"malformed annotation ({type(error).__name__})", where, category)
    return Label(category, np.array(points), where, ignore=crowd)  # a seventh of the memory of tuples


def _key(identity: Any) -> Any:  # noqa: ANN401 - decoded JSON
    """An id that is equal for a number and its text."""
    if isinstance(identity, float) and identity.is_integer():
        identity = int(identity)
    return None if identity is None else str(identity).strip()


def _text(value: Any) -> str:  # noqa: ANN401 - decoded JSON
    if not isinstance(value, str) or not value.strip():
        raise TypeError(f"{value!r} is not a name")
    return value


def _mask_points(mask: dict[str, Any], declared: Size | None) -> tuple[list[Point], Size]:
    """Find the ends of each row of a run-length mask, whose hull is that of its pixels, and its (width, height).

    Args:
        mask: `size` (height, width) and `counts`, a list or compressed text.
        declared: The (width, height) of its image, which the mask must have; None if none is declared.

    Raises:
        DataError: pycocotools is missing, or the mask is damaged, empty or of another size than its image; the message
            is the same for all masks of the kind.
    """
    try:
        height, width = (int(side) for side in mask["size"])
    except (KeyError, TypeError, ValueError) as error:
        raise DataError("run-length mask without a size") from error
    if (width, height) != (declared or (width, height)):
        raise DataError("run-length mask of another size than its image declares")
    pixels = _decode_mask(mask.get("counts"), height, width)
    if pixels is None:
        raise DataError("damaged run-length mask")
    rows = np.flatnonzero(pixels.any(axis=1))
    if not len(rows):
        raise DataError("empty run-length mask")
    left = pixels[rows].argmax(axis=1)
    right = width - pixels[rows][:, ::-1].argmax(axis=1)
    points = [
        (float(x), float(row + below))
        for row, first, last in zip(rows, left, right, strict=True)
        for x in (first, last)
        for below in (0, 1)
    ]
    return points, (width, height)


def _decode_mask(counts: Any, height: int, width: int) -> NDArray[np.uint8] | None:  # noqa: ANN401 - decoded JSON
    """The mask (height, width) of 0 and 1; None if the runs do not fill it."""
    try:
        from pycocotools import mask as rle  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise DataError("run-length mask, which needs pycocotools (`pip install geochat[data]`)") from error
    if not 0 < width * height <= _LARGEST_MASK:
        return None
    pixels: NDArray[np.uint8] | None = None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # pycocotools' arrays are of NumPy 1
            if isinstance(counts, list):
                if sum(counts) == height * width and min(counts) >= 0:
                    pixels = rle.decode(rle.frPyObjects({"size": [height, width], "counts": counts}, height, width))
            else:
                packed = counts.encode()
                found = rle.decode({"size": [height, width], "counts": packed})
                # Decoding a text that is too short leaves the rest of the mask undefined.
                pixels = found if rle.encode(np.asfortranarray(found))["counts"] == packed else None
    except (TypeError, ValueError, AttributeError, OverflowError):
        return None
    return pixels
