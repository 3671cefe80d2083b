"""HRSC2016: ships with turned boxes, an XML file an image.

Source: Liu et al. 2017, "A High Resolution Optical Satellite Image Dataset for Ship Recognition and Some New
Baselines". A box is a centre, sides and radians clockwise on screen (`mbox_cx`, ...), as mmrotate's `datasets/hrsc.py`
reads it. `Class_ID` is a number of a tree of kinds of ship; without names for these
(`--names "100000002=aircraft carrier,..."`) all are ships.
"""

from collections.abc import Iterator
from pathlib import Path

from geochat_data.readers.finding import find_folder, image_files
from geochat_data.readers.source import Source, rectangle_points
from geochat_data.readers.splitting import require_no_split, split_folder
from geochat_data.readers.xml_files import Element, XmlFormat, listed, numbers_at, read_xml_files, xml_files
from geochat_data.records import LabelledImage, Point

_IMAGES = ("AllImages", "images")
_SIDES = ("mbox_cx", "mbox_cy", "mbox_w", "mbox_h", "mbox_ang")


def read_hrsc(source: Source) -> Iterator[LabelledImage]:
    """The images of `FullDataSet/` that `ImageSets/<split>.txt` lists, or of `Train/` or `Test/` with both folders.

    Raises:
        DataError: There is no folder of annotations or images, or the split is not there.
    """
    whole = source.path / "FullDataSet"
    folder = whole if whole.is_dir() else split_folder(source, _holds_annotations)
    root = folder or source.path
    texts = xml_files(find_folder(root, "Annotations"))
    images = image_files(source.images or find_folder(root, *_IMAGES), source.report)
    chosen = listed(source, texts, source.path / "ImageSets") if folder in (whole, None) else None
    if chosen is None:
        if folder in (whole, None):
            require_no_split(source)
        chosen = list(texts.values())
    size = ("Img_SizeWidth", "Img_SizeHeight")
    form = XmlFormat("HRSC_Objects/HRSC_Object", _class_id if source.names else _ship, _points, size)
    yield from read_xml_files(source, chosen, {Path(stem).name: path for stem, path in images.items()}, form)


def _holds_annotations(folder: Path) -> bool:
    return (folder / "Annotations").is_dir()


def _points(item: Element) -> list[Point]:
    return rectangle_points(*numbers_at(item, *_SIDES))


def _class_id(item: Element) -> str | None:
    return item.findtext("Class_ID")


def _ship(_item: Element) -> str:
    return "ship"
