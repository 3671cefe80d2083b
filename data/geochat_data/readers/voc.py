"""Pascal VOC and what is written like it: an XML file an image, with `bndbox`, or with a turned box as `robndbox`.

`robndbox` is the centre, sides and radians of roLabelImg, or the four corners of DIOR-R (Cheng et al. 2022,
"Anchor-Free Oriented Proposal Generator for Object Detection"; tags as mmrotate's `datasets/dior.py` reads them).
"""

from collections.abc import Iterator
from pathlib import Path

from geochat_data.readers.categories import category_name
from geochat_data.readers.finding import find_folder, image_files
from geochat_data.readers.source import Source, pairs, rectangle_points, upright_points
from geochat_data.readers.splitting import require_no_split, split_folder
from geochat_data.readers.xml_files import (
    Element,
    XmlFormat,
    listed,
    note_unlabelled,
    numbers_at,
    read_xml_files,
    text_at,
    xml_files,
)
from geochat_data.records import LabelledImage, Point

_ANNOTATIONS = (
    "Annotations/Oriented Bounding Boxes",
    "Annotations/Oriented_Bounding_Boxes",
    "Annotations/Horizontal Bounding Boxes",
    "Annotations",
    "annotations",
)
_IMAGES = ("JPEGImages", "images")
_DIOR_IMAGES = ("JPEGImages-trainval", "JPEGImages-test")
_CORNERS = [
    f"{axis}_{corner}" for corner in ("left_top", "right_top", "right_bottom", "left_bottom") for axis in ("x", "y")
]
_DIOR_NAMES = {
    "baseballfield": "baseball field",
    "basketballcourt": "basketball court",
    "golffield": "golf field",
    "groundtrackfield": "ground track field",
    "storagetank": "storage tank",
    "tenniscourt": "tennis court",
    "trainstation": "train station",
}


def _points(item: Element) -> list[Point]:
    turned = item.find("robndbox")
    if turned is None:
        return upright_points(*numbers_at(item, *(f"bndbox/{side}" for side in ("xmin", "ymin", "xmax", "ymax"))))
    if turned.find("cx") is not None:
        return rectangle_points(*numbers_at(turned, "cx", "cy", "w", "h", "angle"))
    return pairs(numbers_at(turned, *_CORNERS))


def _dior_category(item: Element) -> str | None:
    name = category_name(item.findtext("name") or "")
    return _DIOR_NAMES.get(name, name)


VOC = XmlFormat("object", text_at("name"), _points)
DIOR = XmlFormat("object", _dior_category, _points)


def read_voc(source: Source) -> Iterator[LabelledImage]:
    """The images of `Annotations/` that `ImageSets/Main/<split>.txt` lists, or of `<split>/` with images and XML files.

    Raises:
        DataError: There is no folder of annotations or images, or the split is not there.
    """
    mixed = split_folder(source, _is_mixed)
    if mixed is None and _is_mixed(source.path):
        mixed = source.path
        require_no_split(source)
    texts = mixed or find_folder(source.path, *_ANNOTATIONS)
    images = source.images or mixed or find_folder(source.path, *_IMAGES)
    yield from _read(source, texts, [images], VOC, mixed=mixed is not None)


def read_dior(source: Source) -> Iterator[LabelledImage]:
    """The images of DIOR and DIOR-R as they are published; turned boxes where there are any.

    Raises:
        DataError: There is no folder of annotations or images, or the split is not there.
    """
    texts = find_folder(source.path, *_ANNOTATIONS)
    folders = [source.path / name for name in _DIOR_IMAGES if (source.path / name).is_dir()]
    if source.images:
        folders = [source.images]
    yield from _read(source, texts, folders or [find_folder(source.path, *_DIOR_IMAGES, *_IMAGES)], DIOR)


def _is_mixed(folder: Path) -> bool:
    """Whether images and XML files lie side by side, as in Roboflow's export."""
    return any(path.suffix.lower() == ".xml" for path in folder.iterdir())


def _read(
    source: Source, folder: Path, folders: list[Path], form: XmlFormat, *, mixed: bool = False
) -> Iterator[LabelledImage]:
    texts = xml_files(folder)
    images = {Path(s).name: path for each in folders for s, path in image_files(each, source.report).items()}
    chosen = None if mixed else listed(source, texts, source.path / "ImageSets" / "Main")
    if chosen is None:
        if not mixed:
            require_no_split(source)
        note_unlabelled(source, texts, images)
    yield from read_xml_files(source, list(texts.values()) if chosen is None else chosen, images, form)
