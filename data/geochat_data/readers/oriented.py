"""DOTA, HRSC2016 and FAIR1M: data sets of oriented boxes.

DOTA has one text file per image and one line per object: eight numbers, the category, and whether it is difficult.
Lines such as "imagesource:GoogleEarth" and "gsd:0.14" are its header. Source of the format: "Introduction",
captain-whu.github.io/DOTA.

HRSC2016 (Liu et al. 2017, "A High Resolution Optical Satellite Image Dataset for Ship Recognition and Some New
Baselines") has one XML file per image. A box is a centre, sides and radians clockwise on screen (`mbox_cx`, ...), as
mmrotate's `datasets/hrsc.py` reads it. `Class_ID` is a number of a tree of kinds of ship; without names for these
(`--names "100000002=aircraft carrier,..."`) every object is a ship.

FAIR1M (Sun et al. 2022, "FAIR1M: A benchmark dataset for fine-grained object recognition in high-resolution remote
sensing imagery") has one XML file per image; tags and folders as torchgeo's `datasets/fair1m.py` reads them. An object
has its name below `possibleresult` and five points "x,y", the last equal to the first. Points that are not pixels
(`coordinate`) and objects with several possible names are not read.
"""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from geochat.errors import DataError
from geochat_data.readers.layout import (
    find_folder,
    find_image_files,
    find_label_files,
    line_labels,
    require_no_split,
    split_below,
    split_folder,
)
from geochat_data.readers.source import DataSource, Label, UnreadableLabel, labelled_image, pairs, rectangle_points
from geochat_data.readers.voc import (
    Element,
    XmlFormat,
    files_of_split,
    note_unlabelled,
    numbers_at,
    read_xml_files,
    xml_files,
)
from geochat_data.records import LabelledImage, Point

_DOTA_LABELS = ("labelTxt", "labelTxt-v1.5", "labelTxt-v1.0", "labelTxt-v2.0", "annfiles", "labels")
_AXIS_ALIGNED = re.compile(r"Task2|reclabel|hbb", re.IGNORECASE)  # DOTA's second set of labels, axis-aligned boxes
_YOLO_LENGTHS = frozenset({5, *range(7, 100, 2)})  # words of a line
_HEADER = re.compile(r"\s*[A-Za-z]\w*\s*:")
_HRSC_IMAGES = ("AllImages", "images")
_HRSC_BOX = ("mbox_cx", "mbox_cy", "mbox_w", "mbox_h", "mbox_ang")
_FAIR1M_LABELS = ("labelXml", "labelXmls", "labelxml", "labelxmls")


def read_dota(source: DataSource) -> Iterator[LabelledImage]:
    """Read the images of a DOTA folder, of `<split>/` in it, or of `<split>/` in both of its folders.

    Raises:
        DataError: There is no folder of labels or of images, the split does not exist, or the labels are not DOTA's.
    """
    folder = split_folder(source, lambda folder: any((folder / name).is_dir() for name in _DOTA_LABELS))
    if folder is not None:
        source = replace(source, path=folder)
    labels = find_folder(source.path, *_DOTA_LABELS)
    images = source.images or find_folder(source.path, "images")
    if folder is None:
        inner = split_below(source, labels), None if source.images else split_below(source, images)
        labels, images = inner[0] or labels, inner[1] or images
        if not any(inner):
            require_no_split(source)
    yield from _read_dota(source, images, labels)


def _read_dota(source: DataSource, images: Path, folder: Path) -> Iterator[LabelledImage]:
    texts = {
        Path(s).name: path
        for s, path in find_label_files(folder, ".txt").items()
        if not _AXIS_ALIGNED.search(str(path))
    }
    labels = {stem: list(line_labels(path, _dota_label, _HEADER)) for stem, path in texts.items()}
    names = source.categories(label for found in labels.values() for label in found)
    for stem, path in find_image_files(images, source.report).items():
        found = labels.pop(Path(stem).name, None)
        if found is None:
            source.report.skip("image without a label file", str(path))
        else:
            yield from labelled_image(source, path, found, categories=names)
    for stem in labels:
        source.report.skip("label file without an image", str(texts[stem]))


def _dota_label(words: list[str], where: str) -> Label | UnreadableLabel:
    if all(map(_is_number, words)) and len(words) in _YOLO_LENGTHS:
        raise DataError(
            f"{where}: {' '.join(words)!r} is not DOTA's `x1 y1 x2 y2 x3 y3 x4 y4 category difficult`; it may be "
            "YOLO's, which `geochat data build yolo` reads"
        )
    numbers, rest = words[:8], words[8:]
    difficult = int(rest.pop()) if len(rest) > 1 and rest[-1].isdecimal() else 0
    category = " ".join(rest) or None
    odd = len(rest) > 1 and any(map(_is_number, rest))
    if category is None or odd or not all(map(_is_number, numbers)):
        return UnreadableLabel("malformed line", where, rest[0] if rest and not _is_number(rest[0]) else None)
    return Label(category, pairs([float(word) for word in numbers]), where, ignore=difficult > 0)


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def read_hrsc(source: DataSource) -> Iterator[LabelledImage]:
    """Read the images of `FullDataSet/` on the list `ImageSets/<split>.txt`, or those of `Train/` or `Test/`.

    Raises:
        DataError: There is no folder of annotations or images, or the split does not exist.
    """
    whole = source.path / "FullDataSet"
    folder = whole if whole.is_dir() else split_folder(source, _holds_annotations)
    root = folder or source.path
    texts = xml_files(find_folder(root, "Annotations"))
    images = find_image_files(source.images or find_folder(root, *_HRSC_IMAGES), source.report)
    chosen = files_of_split(source, texts, source.path / "ImageSets") if folder in (whole, None) else None
    if chosen is None:
        if folder in (whole, None):
            require_no_split(source)
        chosen = list(texts.values())
    size = ("Img_SizeWidth", "Img_SizeHeight")
    form = XmlFormat("HRSC_Objects/HRSC_Object", _class_id if source.names else _ship, _hrsc_points, size)
    yield from read_xml_files(source, chosen, {Path(stem).name: path for stem, path in images.items()}, form)


def _holds_annotations(folder: Path) -> bool:
    return (folder / "Annotations").is_dir()


def _hrsc_points(item: Element) -> list[Point]:
    return rectangle_points(*numbers_at(item, *_HRSC_BOX))


def _class_id(item: Element) -> str | None:
    return item.findtext("Class_ID")


def _ship(_item: Element) -> str:
    return "ship"


def _fair1m_category(item: Element) -> str | None:
    names = [element.text for element in item.iterfind("possibleresult/name")]
    return names[0] if len(names) == 1 else None


def _fair1m_points(item: Element) -> list[Point]:
    kind = (item.findtext("coordinate") or "pixel").strip().lower()
    points = [tuple(map(float, (element.text or "").split(","))) for element in item.iterfind("points/point")]
    if kind != "pixel" or len(points) < 3:
        raise ValueError(f"{len(points)} points in {kind}")
    return [(x, y) for x, y in points]


FAIR1M = XmlFormat("objects/object", _fair1m_category, _fair1m_points)


def read_fair1m(source: DataSource) -> Iterator[LabelledImage]:
    """Read the images of `images/` next to `labelXml/`, of such folders in parts (`part1/`, ...), or of `<split>/`.

    Raises:
        DataError: There is no folder of annotations or images, or the split does not exist.
    """
    root = split_folder(source, lambda folder: bool(_label_folders(folder)))
    if root is None:
        root = source.path
        if _label_folders(root):
            require_no_split(source)
    parts = _label_folders(root)
    if not parts:
        raise DataError(f"{root} holds no folder {' or '.join(_FAIR1M_LABELS[:2])}, nor do its folders; check the path")
    for labels in parts:
        texts = xml_files(labels)
        images = find_image_files(source.images or labels.parent / "images", source.report)
        by_name = {Path(stem).name: path for stem, path in images.items()}
        note_unlabelled(source, texts, by_name)
        yield from read_xml_files(source, list(texts.values()), by_name, FAIR1M)


def _label_folders(folder: Path) -> list[Path]:
    """Find the folders of labels in a folder or, if it has none, in the folders below it."""
    own = [folder / name for name in _FAIR1M_LABELS if (folder / name).is_dir()]
    inner = (below / name for below in sorted(folder.iterdir()) for name in _FAIR1M_LABELS)
    return own[:1] or [path for path in inner if path.is_dir()]
