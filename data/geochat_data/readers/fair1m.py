"""FAIR1M: fine-grained objects with turned boxes, an XML file an image.

Source: Sun et al. 2022, "FAIR1M: A benchmark dataset for fine-grained object recognition in high-resolution remote
sensing imagery"; tags and folders as torchgeo's `datasets/fair1m.py` reads them. An object has its name below
`possibleresult` and five points "x,y", the last of which is the first again. Points that are no pixels (`coordinate`),
and objects with several possible names, are not read.
"""

from collections.abc import Iterator
from pathlib import Path

from geochat.errors import DataError
from geochat_data.readers.finding import image_files
from geochat_data.readers.source import Source
from geochat_data.readers.splitting import require_no_split, split_folder
from geochat_data.readers.xml_files import Element, XmlFormat, note_unlabelled, read_xml_files, xml_files
from geochat_data.records import LabelledImage, Point

_LABELS = ("labelXml", "labelXmls", "labelxml", "labelxmls")


def read_fair1m(source: Source) -> Iterator[LabelledImage]:
    """The images of `images/` beside `labelXml/`, of such folders in parts (`part1/`, ...), and of those in `<split>/`.

    Raises:
        DataError: There is no folder of annotations or images, or the split is not there.
    """
    root = split_folder(source, lambda folder: bool(_parts(folder)))
    if root is None:
        root = source.path
        if _parts(root):
            require_no_split(source)
    parts = _parts(root)
    if not parts:
        raise DataError(f"{root} holds no folder {' or '.join(_LABELS[:2])}, nor do its folders; check the path")
    for labels in parts:
        texts = xml_files(labels)
        images = image_files(source.images or labels.parent / "images", source.report)
        by_name = {Path(stem).name: path for stem, path in images.items()}
        note_unlabelled(source, texts, by_name)
        yield from read_xml_files(source, list(texts.values()), by_name, FAIR1M)


def _parts(folder: Path) -> list[Path]:
    """The folders of labels in a folder or, where it has none, in those below it."""
    own = [folder / name for name in _LABELS if (folder / name).is_dir()]
    inner = (below / name for below in sorted(folder.iterdir()) for name in _LABELS)
    return own[:1] or [path for path in inner if path.is_dir()]


def _category(item: Element) -> str | None:
    names = [element.text for element in item.iterfind("possibleresult/name")]
    return names[0] if len(names) == 1 else None


def _points(item: Element) -> list[Point]:
    kind = (item.findtext("coordinate") or "pixel").strip().lower()
    points = [tuple(map(float, (element.text or "").split(","))) for element in item.iterfind("points/point")]
    if kind != "pixel" or len(points) < 3:
        raise ValueError(f"{len(points)} points in {kind}")
    return [(x, y) for x, y in points]


FAIR1M = XmlFormat("objects/object", _category, _points)
