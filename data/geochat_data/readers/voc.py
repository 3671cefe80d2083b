"""Pascal VOC: an XML file an image, with `bndbox` or, as roLabelImg writes, `robndbox` (centre, sides, radians)."""

from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as Xml  # its parser, expat, bounds how far entities expand

from geochat_data.readers.source import (
    Label,
    Source,
    category_name,
    find_folder,
    image_files,
    labelled_image,
    rectangle_points,
)
from geochat_data.records import LabelledImage, Point


def read_voc(source: Source) -> Iterator[LabelledImage]:
    """The images of `Annotations/`, those that `ImageSets/Main/<split>.txt` lists where there is such a file.

    Raises:
        DataError: There is no folder of annotations or images.
    """
    files = sorted(find_folder(source, "Annotations", "annotations").glob("*.xml"))
    listed = source.path / "ImageSets" / "Main" / f"{source.split}.txt"
    if listed.is_file():
        wanted = {line.split()[0] for line in listed.read_text(encoding="utf-8").splitlines() if line.strip()}
        files = [path for path in files if path.stem in wanted]
    images = image_files(source.images or find_folder(source, "JPEGImages", "images"))
    labels = {path: list(_read(path, source)) for path in files}
    names = {category_name(label.category) for found in labels.values() for label in found}
    for path, found in labels.items():
        if path.stem in images:
            yield from labelled_image(source, images[path.stem], found, categories=names)
        else:
            source.report.skip("image missing or unreadable", str(path))


def _read(path: Path, source: Source) -> Iterator[Label]:
    try:
        root = Xml.parse(path).getroot()
    except (OSError, Xml.ParseError):
        source.report.skip("not XML", str(path))
        return
    for number, item in enumerate(root.iter("object"), start=1):
        where = f"{path}: object {number}"
        try:
            difficult = (item.findtext("difficult") or "0").strip() == "1"
            yield Label(item.findtext("name") or "", _points(item), where, difficult)
        except (KeyError, ValueError):
            source.report.skip("malformed object", where)


def _points(item: Xml.Element) -> list[Point]:
    def numbers(tag: str, *names: str) -> list[float]:
        return [float(item.findtext(f"{tag}/{name}") or "missing") for name in names]

    if item.find("robndbox") is not None:
        return rectangle_points(*numbers("robndbox", "cx", "cy", "w", "h", "angle"))
    left, top, right, bottom = numbers("bndbox", "xmin", "ymin", "xmax", "ymax")
    return [(left, top), (right, top), (right, bottom), (left, bottom)]
