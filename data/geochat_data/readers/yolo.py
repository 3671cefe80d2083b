"""YOLO, YOLO-OBB and YOLO segmentation: one text file per image, with fractions of the sides of the displayed image.

A line is the number of a class, then centre, width and height (4 numbers), the corners of a turned box, or the points
of an outline (6 numbers and more); the box is the smallest rectangle around them. An empty file says that the image
holds no object; an image without a file was not labelled, so nothing is known of it.

Three layouts are read: `images/<split>/` beside `labels/<split>/` (Ultralytics), `<split>/images/` beside
`<split>/labels/` (Roboflow), and the entries `train`, `val` and `test` of `data.yaml`: a folder, several, or a text
file of image paths. For an `images` folder named there, labels lie in the `labels` folder in its place.
Source of the formats: Ultralytics' documentation, "Object detection", "OBB" and "Instance segmentation" datasets.
"""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from geochat.errors import DataError
from geochat_data.readers.layout import (
    choose_split,
    find_folder,
    find_image,
    find_image_files,
    find_label_files,
    line_labels,
    require_no_split,
    split_below,
    split_folder,
    usual_split,
)
from geochat_data.readers.source import DataSource, Label, UnreadableLabel, labelled_image, pairs, rectangle_points
from geochat_data.readers.values import list_of, named, read_category_names, read_text
from geochat_data.records import LabelledImage, Point

_MALFORMED = "malformed line: neither `class x y width height` nor `class x1 y1 x2 y2 x3 y3 ...` in shares of the sides"
_LARGEST = 10  # shares of a side; greater numbers are malformed
_NAME_FILES = ("classes.txt", "labels/classes.txt", "obj.names")
Pairs = Iterator[tuple[Path, Path | None]]


def read_yolo(source: DataSource) -> Iterator[LabelledImage]:
    """Read the images of a folder, or of the folder of a `data.yaml`.

    Raises:
        DataError: A folder, the split or the names of the classes are missing, or no image has a label file.
    """
    classes, found = _find_files(source)
    names = frozenset(classes.values())
    for image, text in found:
        labels = list(line_labels(text, partial(_label, classes))) if text else []
        if text is None:
            source.report.note("image without a label file: nothing is known of it", str(image))
        yield from labelled_image(source, image, labels, categories=names, unknown=() if text else (None,), shares=True)


def _label(classes: dict[int, str], words: list[str], where: str) -> Label | UnreadableLabel:
    category = None
    try:
        if not (index := float(words[0])).is_integer():
            return UnreadableLabel("line whose class is not a whole number", where)
        category = classes.get(int(index))
        numbers = [float(word) for word in words[1:]]
    except (ValueError, OverflowError):
        return UnreadableLabel(_MALFORMED, where, category)
    if category is None:
        return UnreadableLabel("class without a name", where)
    points = _points(numbers)
    if points is None:
        return UnreadableLabel(_MALFORMED, where, category)
    return Label(category, points, where)


def _points(values: list[float]) -> list[Point] | None:
    if len(values) % 2 or len(values) < 4 or any(abs(value) > _LARGEST for value in values):
        return None
    if len(values) == 4:
        return rectangle_points(*values) if min(values[2:]) >= 0 else None
    return pairs(values)


def _find_files(source: DataSource) -> tuple[dict[int, str], Pairs]:
    """Find the classes by number, and each image with its label file, or None if it has none.

    Raises:
        DataError: Folders, the split or the names of the classes are missing, or a class is a number without a name.
    """
    described = _description(source.path)
    if not source.path.is_dir():
        source = replace(source, path=source.path.parent)
    return _classes(source, described), _image_label_pairs(source, described)


def _description(path: Path) -> dict[str, Any]:
    """Read `data.yaml`, or the only YAML file; empty if there is none.

    Raises:
        DataError: The file cannot be read.
    """
    found = [path]
    if path.is_dir():
        found = sorted(file for file in path.iterdir() if file.suffix.lower() in (".yaml", ".yml"))
        found = [file for file in found if file.name.lower() == "data.yaml"] or found
    if len(found) != 1:
        return {}
    try:
        content = yaml.safe_load(read_text(found[0]))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise DataError(f"{found[0]} cannot be read: {error}; correct it") from error
    if not isinstance(content, dict):
        raise DataError(f"{found[0]} does not describe a data set; it needs `names`")
    return content


def _classes(source: DataSource, described: dict[str, Any]) -> dict[int, str]:
    root = source.path
    plain = next((root / name for name in _NAME_FILES if (root / name).is_file()), None)
    try:
        if plain is not None:
            table = {int(number): name for number, name in read_category_names(plain).items()}
        else:
            names = described["names"]
            rows = names.items() if isinstance(names, dict) else enumerate(list_of(names))
            table = {int(number): str(name) for number, name in rows}
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{root} names no classes ({error!r}); add data.yaml with `names`, or classes.txt, one name per line"
        ) from error
    words = {number: named(name, source.names, f"{root}: class {number}") for number, name in table.items()}
    return {number: name for number, name in words.items() if name is not None}


def _image_label_pairs(source: DataSource, described: dict[str, Any]) -> Pairs:
    root = source.path
    folder = split_folder(source, lambda folder: (folder / "images").is_dir() and (folder / "labels").is_dir())
    if folder is not None:
        return _paired(source, source.images or folder / "images", folder / "labels")
    if (root / "labels").is_dir():
        images = source.images or find_folder(root, "images")
        inner = split_below(source, root / "labels"), None if source.images else split_below(source, images)
        if not any(inner):
            require_no_split(source)
        return _paired(source, inner[1] or images, inner[0] or root / "labels")
    entries = {str(key): entry for key, entry in described.items() if usual_split(str(key)) and entry}
    if (entry := choose_split(source, entries)) is None:
        raise DataError(
            f"{root} has an unknown layout: looked for images/ beside labels/, for <split>/images/ beside "
            "<split>/labels/, and for `train` or `val` in data.yaml; check the path and the format"
        )
    return _described(source, described.get("path"), entry if isinstance(entry, list) else [entry])


def _paired(source: DataSource, images: Path, labels: Path) -> Pairs:
    """Pair the images of one folder with the label files of another."""
    texts = {stem: path for stem, path in find_label_files(labels, ".txt").items() if path.name != "classes.txt"}
    found = find_image_files(images, source.report)
    if not texts.keys() & found.keys():
        raise DataError(
            f"{labels} holds no label file of any image of {images}, such as {next(iter(found), 'IMAGE')}.txt; "
            f"check --images and --split"
        )
    for stem, path in found.items():
        yield path, texts.pop(stem, None)
    for path in texts.values():
        source.report.skip("label file without an image", str(path))


def _described(source: DataSource, base: Any, entries: list[Any]) -> Pairs:  # noqa: ANN401 - decoded YAML
    """Find the images that entries of `data.yaml` name."""
    places = [source.path / str(base or ""), source.path]
    for entry in entries:
        name = str(entry)
        tried = [place / text for text in (name, name.lstrip("./")) for place in places]
        path = next((path for path in tried if path.exists()), None)
        if path is None:
            raise DataError(f"data.yaml names {name}, and neither {tried[0]} nor {tried[-1]} exists; correct it")
        if path.is_dir():
            yield from _paired(source, source.images or path, _labels_of(path))
            continue
        for line in filter(None, map(str.strip, read_text(path).splitlines())):
            image = find_image(path.parent, line)
            label = _labels_of(image.parent) / f"{image.stem}.txt"
            yield image, label if label.is_file() else None


def _labels_of(images: Path) -> Path:
    """The folder of labels of a folder of images: the last `images` of its path becomes `labels`."""
    parts = list(images.parts)
    if "images" not in parts:
        return images
    place = len(parts) - 1 - parts[::-1].index("images")
    return Path(*parts[:place], "labels", *parts[place + 1 :])
