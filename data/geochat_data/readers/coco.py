"""COCO instances: one JSON file of images, annotations and categories.

The box is the smallest rectangle around the segmentation, polygons or run lengths, or around `bbox` where there is
none. A crowd is a doubtful object, at its `bbox` where it has one.

A folder is read as Roboflow exports it, `<split>/_annotations.coco.json` beside the images, or as COCO is published,
`annotations/instances_<split>.json`. Images listed twice are one; numbers may be written as text.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from geochat.errors import DataError
from geochat.files import is_file
from geochat_data.readers.finding import find_image
from geochat_data.readers.masks import mask_points
from geochat_data.readers.placing import Size
from geochat_data.readers.source import Label, Source, Unread, labelled_image, pairs, upright_points
from geochat_data.readers.splitting import choose, meaning, require_no_split
from geochat_data.readers.values import declared_size, flag, number
from geochat_data.records import LabelledImage

_ROBOFLOW = "_annotations.coco.json"
_MALFORMED = (KeyError, TypeError, ValueError, AttributeError, OverflowError)


@dataclass(slots=True)
class _Image:
    path: Path
    declared: Size | None
    labels: list[Label | Unread] = field(default_factory=list)


def read_coco(source: Source) -> Iterator[LabelledImage]:
    """The images of an instances file, in its order.

    `file_name` is relative to the folder of images; where none is given, to the first of the usual places, beside
    the file and beside its folder, that holds the first image.

    Raises:
        DataError: The file is missing, is not JSON, or has no images, annotations or categories.
    """
    path = _find_file(source)
    content = _decoded(path)
    images, by_id = _images(content["images"], path, source)
    categories = _categories(content["categories"], path)
    nowhere: list[Label | Unread] = []  # labels of nobody knows which image
    for place, row in enumerate(content["annotations"]):
        identity = row.get("id", place) if isinstance(row, dict) else place
        image = row.get("image_id") if isinstance(row, dict) else None
        entry = by_id.get(_key(image))
        label = _label(row, categories, f"{path}: annotation {identity}", entry)
        if entry is not None:
            entry.labels.append(label)
        elif image is None:
            nowhere.append(Unread("annotation that names no image", label.where, label.category))
        else:
            source.report.skip_label("annotation of an unlisted image", label.where)
    names = source.categories([*nowhere, *(label for entry in images for label in entry.labels)])
    for lost in nowhere:
        source.report.skip_label("annotation that names no image", lost.where)
    unknown = {name for label in nowhere for name in (source.categories([label]) or {None})}
    for entry in images:
        yield from labelled_image(
            source, entry.path, entry.labels, categories=names, unknown=unknown, declared=entry.declared
        )


def _find_file(source: Source) -> Path:
    """The instances file: the source's own, or that of the split in a folder.

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
    if found and (part := choose(source, found)) is not None:
        return part
    raise DataError(
        f"{source.path} holds neither <split>/{_ROBOFLOW} nor annotations/instances_<split>.json; name the JSON file"
    )


def _split_of(path: Path) -> str:
    """The word of a file's name that is a split's."""
    return next((word for word in re.split(r"[^A-Za-z0-9]+", path.stem) if meaning(word)), "")


def _decoded(path: Path) -> dict[str, list[Any]]:
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path} is not a COCO instances file: {error}; check the path") from error
    for part in ("images", "annotations", "categories"):
        found = content.get(part) if isinstance(content, dict) else None
        if not isinstance(found, list):
            wrong = "null" if found is None and isinstance(content, dict) and part in content else type(found).__name__
            raise DataError(
                f"{path} is not a COCO instances file: a list `{part}` is needed, "
                f"{'none is there' if found is None and wrong != 'null' else f'it is {wrong}'}; check the path"
            )
    return content  # type: ignore[no-any-return]


def _images(rows: list[Any], path: Path, source: Source) -> tuple[list[_Image], dict[Any, _Image]]:
    """The images in order, and by id; rows of one file name are one image."""
    folder = source.images or _image_folder(path, rows)
    by_path: dict[str, _Image] = {}
    by_id: dict[Any, _Image] = {}
    for place, row in enumerate(rows):
        where = f"{path}: image {place}"
        try:
            image = find_image(folder, _text(row["file_name"]))
            declared, identity = declared_size(row.get("width"), row.get("height")), _key(row["id"])
        except _MALFORMED as error:
            source.report.skip(f"malformed image row ({type(error).__name__})", where)
            continue
        key = Path(image).as_posix()
        if key in by_path:
            source.report.note("image that is listed twice: its labels taken together", where)
        entry = by_path.setdefault(key, _Image(image, declared))
        if by_id.setdefault(identity, entry) is not entry:
            raise DataError(f"{where}: the id {row['id']!r} is that of another image too; give each its own")
        entry.declared = entry.declared or declared
        if declared not in (None, entry.declared):
            raise DataError(f"{where}: {image} is listed with two sizes, {entry.declared} and {declared}; correct one")
    return list(by_path.values()), by_id


def _categories(rows: list[Any], path: Path) -> dict[Any, str]:
    try:
        return {_key(row["id"]): str(row["name"]) for row in rows}
    except _MALFORMED as error:
        raise DataError(f"{path}: its categories need an `id` and a `name` each ({error!r}); correct them") from error


def _image_folder(path: Path, rows: list[Any]) -> Path:
    places = [path.parent, path.parent / "images", path.parent.parent, path.parent.parent / "images"]
    places.append(path.parent.parent / path.stem.split("_")[-1])  # annotations/instances_val2017.json, val2017/
    first = rows[0].get("file_name") if rows and isinstance(rows[0], dict) else None
    name = first if isinstance(first, str) else ""
    return next((place for place in places if name and is_file(find_image(place, name))), path.parent)


def _label(row: Any, categories: dict[Any, str], where: str, image: _Image | None) -> Label | Unread:  # noqa: ANN401
    """The label of a row, or why it has none."""
    category = None
    try:
        category = categories[_key(row["category_id"])]
        shape, box = row.get("segmentation"), row.get("bbox")
        crowd = flag(row.get("iscrowd"))
        if isinstance(shape, dict) and not (crowd and box):
            points, size = mask_points(shape, image.declared if image else None)
            if image is not None:
                image.declared = size
        elif isinstance(shape, list) and any(shape):
            points = [point for part in shape for point in pairs([number(v) for v in part])]
        else:
            x, y, width, height = (number(v) for v in box)
            if min(width, height) < 0:
                return Unread("box with a negative side", where, category)
            points = upright_points(x, y, x + width, y + height)
    except DataError as error:
        return Unread(str(error), where, category)
    except _MALFORMED as error:
        return Unread(f"malformed annotation ({type(error).__name__})", where, category)
    return Label(category, points, where, doubtful=crowd)


def _key(identity: Any) -> Any:  # noqa: ANN401 - decoded JSON
    """An id that is the same whether it was written as a number or as text."""
    if isinstance(identity, float) and identity.is_integer():
        identity = int(identity)
    return None if identity is None else str(identity).strip()


def _text(value: Any) -> str:  # noqa: ANN401 - decoded JSON
    if not isinstance(value, str) or not value.strip():
        raise TypeError(f"{value!r} is no name")
    return value
