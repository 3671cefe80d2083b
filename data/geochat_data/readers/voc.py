"""Pascal VOC and DIOR, and the XML label files, one per image, that they share with HRSC2016 and FAIR1M.

An object has a `bndbox`, or a turned box as `robndbox`: the centre, sides and radians of roLabelImg, or the four
corners of DIOR-R (Cheng et al. 2022, "Anchor-Free Oriented Proposal Generator for Object Detection"; tags as mmrotate's
`datasets/dior.py` reads them).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as Xml  # expat, its parser, bounds entity expansion

from geochat.errors import DataError
from geochat_data.readers.alignment import Size
from geochat_data.readers.layout import (
    choose_split,
    find_folder,
    find_image_files,
    find_label_files,
    require_no_split,
    split_folder,
)
from geochat_data.readers.source import (
    DataSource,
    Label,
    UnreadableLabel,
    labelled_image,
    pairs,
    rectangle_points,
    upright_points,
)
from geochat_data.readers.values import category_name, declared_size, flag, read_text
from geochat_data.records import LabelledImage, Point

Element = Xml.Element
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


@dataclass(frozen=True, slots=True)
class XmlFormat:
    """Paths and conversions of one XML format.

    Attributes:
        objects: The path of an object's element.
        category: Returns the category of an object, None if it has none.
        points: Returns the points of an object; raises ValueError if they are malformed.
        size: The paths of the image's width and height.
    """

    objects: str
    category: Callable[[Element], str | None]
    points: Callable[[Element], list[Point]]
    size: tuple[str, str] = ("size/width", "size/height")


def read_xml_files(
    source: DataSource, texts: Iterable[Path], images: Mapping[str, Path], form: XmlFormat
) -> Iterator[LabelledImage]:
    """Read the images of label files; an image has the name of its file, without suffix.

    Raises:
        DataError: A category is a number without a name, or the report is strict and something is left out.
    """
    read = {path: _read_xml(path, form) for path in texts}
    names = source.categories(label for _, labels in read.values() for label in labels)
    for path, (declared, labels) in read.items():
        if path.stem in images:
            yield from labelled_image(source, images[path.stem], labels, categories=names, declared=declared)
        else:
            source.report.skip("image missing or unreadable", str(path))


def files_of_split(source: DataSource, texts: Mapping[str, Path], lists: Path) -> list[Path] | None:
    """Find the label files on the split's list in the folder `lists`; None if there are no lists.

    Raises:
        DataError: There are lists of other splits only, or the list cannot be read.
    """
    chosen = choose_split(source, {path.stem: path for path in sorted(lists.glob("*.txt"))})
    if chosen is None:
        return None
    try:
        names = [line.split()[0] for line in read_text(chosen).splitlines() if line.strip()]
    except (OSError, ValueError) as error:
        raise DataError(f"{chosen} cannot be read: {error}; correct it") from error
    by_name = {Path(stem).name: path for stem, path in texts.items()}
    found = [by_name.get(name) or by_name.get(Path(name).stem) for name in names]
    for name, path in zip(names, found, strict=True):
        if path is None:
            source.report.skip("image without a label file", f"{chosen}: {name}")
    return list(dict.fromkeys(path for path in found if path is not None))


def xml_files(folder: Path) -> dict[str, Path]:
    """Find the XML files below a folder.

    Raises:
        DataError: There are none.
    """
    if found := find_label_files(folder, ".xml"):
        return found
    raise DataError(f"{folder} holds no XML file; check the path and the format")


def note_unlabelled(source: DataSource, texts: Mapping[str, Path], images: Mapping[str, Path]) -> None:
    """Note the images without a label file."""
    labelled = {path.stem for path in texts.values()}
    for stem, image in images.items():
        if stem not in labelled:
            source.report.note("image without a label file: left out", str(image))


def numbers_at(item: Element, *paths: str) -> list[float]:
    """Read the numbers at some paths below an element.

    Raises:
        ValueError: One is missing or not a number.
    """
    return [float(item.findtext(path) or "missing") for path in paths]


def text_at(path: str) -> Callable[[Element], str | None]:
    """Make a function that reads the text at a path below an element."""
    return lambda item: item.findtext(path)


def _read_xml(path: Path, form: XmlFormat) -> tuple[Size | None, list[Label | UnreadableLabel]]:
    try:
        root = Xml.parse(path).getroot()
    except (OSError, Xml.ParseError, ValueError, LookupError):
        return None, [UnreadableLabel("not XML", str(path))]
    labels = [_label(item, form, f"{path}: object {n}") for n, item in enumerate(root.iterfind(form.objects), start=1)]
    try:
        return declared_size(*(root.findtext(tag) for tag in form.size)), labels
    except ValueError:
        return None, [UnreadableLabel("malformed image size", str(path))]


def _label(item: Element, form: XmlFormat, where: str) -> Label | UnreadableLabel:
    category = form.category(item)
    try:
        return Label(category, form.points(item), where, ignore=flag(item.findtext("difficult")))
    except ValueError:
        return UnreadableLabel("malformed object", where, category)


def _box_points(item: Element) -> list[Point]:
    turned = item.find("robndbox")
    if turned is None:
        return upright_points(*numbers_at(item, *(f"bndbox/{side}" for side in ("xmin", "ymin", "xmax", "ymax"))))
    if turned.find("cx") is not None:
        return rectangle_points(*numbers_at(turned, "cx", "cy", "w", "h", "angle"))
    return pairs(numbers_at(turned, *_CORNERS))


def _dior_category(item: Element) -> str | None:
    name = category_name(item.findtext("name") or "")
    return _DIOR_NAMES.get(name, name)


VOC = XmlFormat("object", text_at("name"), _box_points)
DIOR = XmlFormat("object", _dior_category, _box_points)


def read_voc(source: DataSource) -> Iterator[LabelledImage]:
    """Read the images on the list `ImageSets/Main/<split>.txt`, or those of `<split>/` with images and XML files.

    Raises:
        DataError: There is no folder of annotations or images, or the split does not exist.
    """
    mixed = split_folder(source, _is_mixed)
    if mixed is None and _is_mixed(source.path):
        mixed = source.path
        require_no_split(source)
    texts = mixed or find_folder(source.path, *_ANNOTATIONS)
    images = source.images or mixed or find_folder(source.path, *_IMAGES)
    yield from _read(source, texts, [images], VOC, mixed=mixed is not None)


def read_dior(source: DataSource) -> Iterator[LabelledImage]:
    """Read the images of DIOR or DIOR-R as published; oriented boxes are preferred.

    Raises:
        DataError: There is no folder of annotations or images, or the split does not exist.
    """
    texts = find_folder(source.path, *_ANNOTATIONS)
    folders = [source.path / name for name in _DIOR_IMAGES if (source.path / name).is_dir()]
    if source.images:
        folders = [source.images]
    yield from _read(source, texts, folders or [find_folder(source.path, *_DIOR_IMAGES, *_IMAGES)], DIOR)


def _is_mixed(folder: Path) -> bool:
    """Return whether images and XML files lie in one folder, as in Roboflow's export."""
    return any(path.suffix.lower() == ".xml" for path in folder.iterdir())


def _read(
    source: DataSource, folder: Path, folders: list[Path], form: XmlFormat, *, mixed: bool = False
) -> Iterator[LabelledImage]:
    texts = xml_files(folder)
    images = {Path(s).name: path for each in folders for s, path in find_image_files(each, source.report).items()}
    chosen = None if mixed else files_of_split(source, texts, source.path / "ImageSets" / "Main")
    if chosen is None:
        if not mixed:
            require_no_split(source)
        note_unlabelled(source, texts, images)
    yield from read_xml_files(source, list(texts.values()) if chosen is None else chosen, images, form)
