"""Where the images and labels of a YOLO data set lie, and what its classes are called.

Three layouts are in use: `images/<split>/` beside `labels/<split>/` (Ultralytics), `<split>/images/` beside
`<split>/labels/` (Roboflow), and whatever the entries `train`, `val` and `test` of `data.yaml` name: a folder, several,
or a text file of image paths. Below an `images` folder named there, labels lie in `labels` in its place.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from geochat.errors import DataError
from geochat_data.readers.categories import list_of, named, read_names
from geochat_data.readers.finding import find_folder, find_image, image_files, label_files, read_text
from geochat_data.readers.source import Source
from geochat_data.readers.splitting import choose, meaning, require_no_split, split_below, split_folder

_NAMES = ("classes.txt", "labels/classes.txt", "obj.names")
Pairs = Iterator[tuple[Path, Path | None]]


def read_layout(source: Source) -> tuple[dict[int, str], Pairs]:
    """The classes by number, and each image with its label file, None where it has none.

    Raises:
        DataError: Folders, the split or the names of the classes are missing, or a class is called by a number.
    """
    described = _description(source.path)
    if not source.path.is_dir():
        source = replace(source, path=source.path.parent)
    return _classes(source, described), _pairs(source, described)


def _description(path: Path) -> dict[str, Any]:
    """The content of `data.yaml`, or of the only YAML file there is; empty where there is none.

    Raises:
        DataError: It cannot be read.
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
        raise DataError(f"{found[0]} describes no data set; it needs `names`")
    return content


def _classes(source: Source, described: dict[str, Any]) -> dict[int, str]:
    root = source.path
    plain = next((root / name for name in _NAMES if (root / name).is_file()), None)
    try:
        if plain is not None:
            table = {int(number): name for number, name in read_names(plain).items()}
        else:
            names = described["names"]
            rows = names.items() if isinstance(names, dict) else enumerate(list_of(names))
            table = {int(number): str(name) for number, name in rows}
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{root} names no classes ({error!r}); add data.yaml with `names`, or classes.txt, one name a line"
        ) from error
    words = {number: named(name, source.names, f"{root}: class {number}") for number, name in table.items()}
    return {number: name for number, name in words.items() if name is not None}


def _pairs(source: Source, described: dict[str, Any]) -> Pairs:
    root = source.path
    folder = split_folder(source, lambda folder: (folder / "images").is_dir() and (folder / "labels").is_dir())
    if folder is not None:
        return _beside(source, source.images or folder / "images", folder / "labels")
    if (root / "labels").is_dir():
        images = source.images or find_folder(root, "images")
        inner = split_below(source, root / "labels"), None if source.images else split_below(source, images)
        if not any(inner):
            require_no_split(source)
        return _beside(source, inner[1] or images, inner[0] or root / "labels")
    entries = {str(key): entry for key, entry in described.items() if meaning(str(key)) and entry}
    if (entry := choose(source, entries)) is None:
        raise DataError(
            f"{root} is laid out in no way known: looked for images/ beside labels/, for <split>/images/ beside "
            "<split>/labels/, and for `train` or `val` in data.yaml; check the path and the format"
        )
    return _described(source, described.get("path"), entry if isinstance(entry, list) else [entry])


def _beside(source: Source, images: Path, labels: Path) -> Pairs:
    """The images of one folder with the label files of another."""
    texts = {stem: path for stem, path in label_files(labels, ".txt").items() if path.name != "classes.txt"}
    found = image_files(images, source.report)
    if not texts.keys() & found.keys():
        raise DataError(
            f"{labels} holds no label file of any image of {images}; looked for {next(iter(found), 'IMAGE')}.txt and "
            f"the like, check --images and --split"
        )
    for stem, path in found.items():
        yield path, texts.pop(stem, None)
    for path in texts.values():
        source.report.skip("label file without an image", str(path))


def _described(source: Source, base: Any, entries: list[Any]) -> Pairs:  # noqa: ANN401 - decoded YAML
    """The images that entries of `data.yaml` name."""
    places = [source.path / str(base or ""), source.path]
    for entry in entries:
        name = str(entry)
        tried = [place / text for text in (name, name.lstrip("./")) for place in places]
        path = next((path for path in tried if path.exists()), None)
        if path is None:
            raise DataError(f"data.yaml names {name}, which is not at {tried[0]} or {tried[-1]}; correct it")
        if path.is_dir():
            yield from _beside(source, source.images or path, _labels_of(path))
            continue
        for line in filter(None, map(str.strip, read_text(path).splitlines())):
            image = find_image(path.parent, line)
            label = _labels_of(image.parent) / f"{image.stem}.txt"
            yield image, label if label.is_file() else None


def _labels_of(images: Path) -> Path:
    """The folder of labels for a folder of images: `labels` in place of the last `images` of its path."""
    parts = list(images.parts)
    if "images" not in parts:
        return images
    place = len(parts) - 1 - parts[::-1].index("images")
    return Path(*parts[:place], "labels", *parts[place + 1 :])
