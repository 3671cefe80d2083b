"""DOTA text: a file an image, a line an object: eight numbers, the category, whether it is difficult.

Lines such as "imagesource:GoogleEarth" and "gsd:0.14" are the format's own head and are passed over.
Source of the format: "Introduction", captain-whu.github.io/DOTA.
"""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from geochat.errors import DataError
from geochat_data.readers.finding import find_folder, image_files, label_files
from geochat_data.readers.source import Label, Source, Unread, labelled_image, line_labels, pairs
from geochat_data.readers.splitting import require_no_split, split_below, split_folder
from geochat_data.records import LabelledImage

LABEL_FOLDERS = ("labelTxt", "labelTxt-v1.5", "labelTxt-v1.0", "labelTxt-v2.0", "annfiles", "labels")
_UPRIGHT = re.compile(r"Task2|reclabel|hbb", re.IGNORECASE)  # DOTA's second set of labels, boxes that are not turned
_YOLO = frozenset({5, *range(7, 100, 2)})  # numbers in a line
_HEAD = re.compile(r"\s*[A-Za-z]\w*\s*:")


def read_dota(source: Source) -> Iterator[LabelledImage]:
    """The images of a DOTA folder, of `<split>/` in it, or of `<split>/` in both of its folders.

    Raises:
        DataError: There is no folder of labels or of images, the split is not there, or the labels are not DOTA's.
    """
    folder = split_folder(source, lambda folder: any((folder / name).is_dir() for name in LABEL_FOLDERS))
    if folder is not None:
        source = replace(source, path=folder)
    labels = find_folder(source.path, *LABEL_FOLDERS)
    images = source.images or find_folder(source.path, "images")
    if folder is None:
        inner = split_below(source, labels), None if source.images else split_below(source, images)
        labels, images = inner[0] or labels, inner[1] or images
        if not any(inner):
            require_no_split(source)
    yield from _read_pairs(source, images, labels)


def _read_pairs(source: Source, images: Path, folder: Path) -> Iterator[LabelledImage]:
    texts = {Path(s).name: path for s, path in label_files(folder, ".txt").items() if not _UPRIGHT.search(str(path))}
    labels = {stem: list(line_labels(path, _label, _HEAD)) for stem, path in texts.items()}
    names = source.categories(label for found in labels.values() for label in found)
    for stem, path in image_files(images, source.report).items():
        found = labels.pop(Path(stem).name, None)
        if found is None:
            source.report.skip("image without a label file", str(path))
        else:
            yield from labelled_image(source, path, found, categories=names)
    for stem in labels:
        source.report.skip("label file without an image", str(texts[stem]))


def _label(words: list[str], where: str) -> Label | Unread:
    if all(map(_is_number, words)) and len(words) in _YOLO:
        raise DataError(
            f"{where}: {' '.join(words)!r} is not DOTA's `x1 y1 x2 y2 x3 y3 x4 y4 category difficult`; it may be "
            "YOLO's, which `geochat data build yolo` reads"
        )
    numbers, rest = words[:8], words[8:]
    difficult = int(rest.pop()) if len(rest) > 1 and rest[-1].isdecimal() else 0
    category = " ".join(rest) or None
    odd = len(rest) > 1 and any(map(_is_number, rest))
    if category is None or odd or not all(map(_is_number, numbers)):
        return Unread("malformed line", where, rest[0] if rest and not _is_number(rest[0]) else None)
    return Label(category, pairs([float(word) for word in numbers]), where, doubtful=difficult > 0)


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True
