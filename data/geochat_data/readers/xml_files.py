"""Label files in XML, one an image: what Pascal VOC, DIOR, HRSC2016 and FAIR1M have in common."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as Xml  # its parser, expat, bounds how far entities expand

from geochat.errors import DataError
from geochat_data.readers.finding import label_files, read_text
from geochat_data.readers.placing import Size
from geochat_data.readers.source import Label, Source, Unread, labelled_image
from geochat_data.readers.splitting import choose
from geochat_data.readers.values import declared_size, flag
from geochat_data.records import LabelledImage, Point

Element = Xml.Element


@dataclass(frozen=True, slots=True)
class XmlFormat:
    """Where a format's files say what.

    Attributes:
        objects: The path of an object's element.
        category: The category of an object, None where it has none.
        points: Points of an object; raises ValueError where they cannot be read.
        size: The paths of the image's width and height.
    """

    objects: str
    category: Callable[[Element], str | None]
    points: Callable[[Element], list[Point]]
    size: tuple[str, str] = ("size/width", "size/height")


def read_xml_files(
    source: Source, texts: Iterable[Path], images: Mapping[str, Path], form: XmlFormat
) -> Iterator[LabelledImage]:
    """The images of label files, by their names without suffix.

    Raises:
        DataError: A category is a number without a name, or the report is strict and something is left out.
    """
    read = {path: _read(path, form) for path in texts}
    names = source.categories(label for _, labels in read.values() for label in labels)
    for path, (declared, labels) in read.items():
        if path.stem in images:
            yield from labelled_image(source, images[path.stem], labels, categories=names, declared=declared)
        else:
            source.report.skip("image missing or unreadable", str(path))


def listed(source: Source, texts: Mapping[str, Path], lists: Path) -> list[Path] | None:
    """The label files that the split's list in a folder names; None where there are no lists.

    Raises:
        DataError: There are lists, but not of that split, or it cannot be read.
    """
    chosen = choose(source, {path.stem: path for path in sorted(lists.glob("*.txt"))})
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
    """The XML files below a folder.

    Raises:
        DataError: There are none.
    """
    if found := label_files(folder, ".xml"):
        return found
    raise DataError(f"{folder} holds no XML file; check the path and the format")


def note_unlabelled(source: Source, texts: Mapping[str, Path], images: Mapping[str, Path]) -> None:
    """Note the images that no label file is about."""
    labelled = {path.stem for path in texts.values()}
    for stem, image in images.items():
        if stem not in labelled:
            source.report.note("image without a label file: left out", str(image))


def numbers_at(item: Element, *paths: str) -> list[float]:
    """The numbers at some paths below an element.

    Raises:
        ValueError: One is missing or no number.
    """
    return [float(item.findtext(path) or "missing") for path in paths]


def text_at(path: str) -> Callable[[Element], str | None]:
    """A reader of the text at a path below an element."""
    return lambda item: item.findtext(path)


def _read(path: Path, form: XmlFormat) -> tuple[Size | None, list[Label | Unread]]:
    try:
        root = Xml.parse(path).getroot()
    except (OSError, Xml.ParseError, ValueError, LookupError):
        return None, [Unread("not XML", str(path))]
    labels = [_label(item, form, f"{path}: object {n}") for n, item in enumerate(root.iterfind(form.objects), start=1)]
    try:
        return declared_size(*(root.findtext(tag) for tag in form.size)), labels
    except ValueError:
        return None, [Unread("image size that cannot be read", str(path))]


def _label(item: Element, form: XmlFormat, where: str) -> Label | Unread:
    category = form.category(item)
    try:
        return Label(category, form.points(item), where, doubtful=flag(item.findtext("difficult")))
    except ValueError:
        return Unread("malformed object", where, category)
