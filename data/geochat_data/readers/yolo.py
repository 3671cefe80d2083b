"""YOLO and YOLO-OBB: a text file an image, numbers as shares of its sides.

A line is the class index and four corners (OBB), or the class index, centre, width and height. The names of the classes
are in `data.yaml` (`names`, a list or a mapping) or, one a line, in `classes.txt`.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from geochat.errors import DataError, ImageError
from geochat.imagery import image_size
from geochat_data.readers.source import (
    Label,
    Source,
    category_name,
    find_folder,
    image_files,
    labelled_image,
    pairs,
    rectangle_points,
)
from geochat_data.records import LabelledImage, Point


def read_yolo(source: Source) -> Iterator[LabelledImage]:
    """The images of `images/<split>/` with the labels of `labels/<split>/`; the split's folders may be left out.

    Raises:
        DataError: A folder or the names of the classes are missing.
    """
    classes = _classes(source.path)
    texts = find_folder(source, f"labels/{source.split}", "labels")
    images = source.images or find_folder(source, f"images/{source.split}", "images")
    names = [category_name(name) for name in classes.values()]
    for stem, path in image_files(images).items():
        labels = list(_read(texts / f"{stem}.txt", path, classes, source))
        yield from labelled_image(source, path, labels, categories=names)


def _classes(folder: Path) -> dict[int, str]:
    if (plain := folder / "classes.txt").is_file():
        return dict(enumerate(plain.read_text(encoding="utf-8").split("\n")))
    try:
        names: Any = yaml.safe_load((folder / "data.yaml").read_text(encoding="utf-8"))["names"]
        return {int(k): str(v) for k, v in (names.items() if isinstance(names, dict) else enumerate(names))}
    except (OSError, yaml.YAMLError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(f"{folder} names no classes ({error}); add data.yaml with `names`, or classes.txt") from error


def _read(text: Path, image: Path, classes: dict[int, str], source: Source) -> Iterator[Label]:
    if not text.is_file():  # the format's way to say that there is nothing
        return
    try:
        width, height = image_size(image)
    except ImageError:
        return  # counted where the record is made
    for number, line in enumerate(text.read_text(encoding="utf-8", errors="replace").splitlines(), start=1):
        where = f"{text}:{number}"
        if not line.strip():
            continue
        try:
            index, *numbers = line.split()
            points = _points([float(word) for word in numbers])
            yield Label(classes[int(index)], [(x * width, y * height) for x, y in points], where)
        except (ValueError, KeyError):
            source.report.skip("malformed line", where)


def _points(values: list[float]) -> list[Point]:
    if len(values) == 8:
        return pairs(values)
    if len(values) == 4:
        return rectangle_points(*values)
    raise ValueError(f"{len(values)} numbers are neither corners nor a box")
