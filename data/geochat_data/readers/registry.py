"""The readers by name.

A reader is a function from a `Source` to records: it finds images and labels and leaves the checking to
`labelled_image`. To add one, write it and register it:

    @reader("mine")
    def read_mine(source: Source) -> Iterator[LabelledImage]: ...
"""

from collections.abc import Callable, Iterator

from geochat.errors import DataError
from geochat_data.readers.boxes import read_boxes
from geochat_data.readers.coco import read_coco
from geochat_data.readers.dota import read_dota
from geochat_data.readers.folders import read_folders
from geochat_data.readers.geo import read_geo
from geochat_data.readers.source import Source
from geochat_data.readers.ucm import read_ucm
from geochat_data.readers.voc import read_voc
from geochat_data.readers.yolo import read_yolo
from geochat_data.records import LabelledImage

Reader = Callable[[Source], Iterator[LabelledImage]]


def _read_ucm(source: Source) -> Iterator[LabelledImage]:
    return read_ucm(source.path, source.split, report=source.report)


READERS: dict[str, Reader] = {
    "boxes": read_boxes,
    "coco": read_coco,
    "dota": read_dota,
    "folders": read_folders,
    "geo": read_geo,
    "ucm": _read_ucm,
    "voc": read_voc,
    "yolo": read_yolo,
}


def reader(name: str) -> Callable[[Reader], Reader]:
    """Registers a reader under a name, in the place of another of that name."""

    def register(function: Reader) -> Reader:
        READERS[name] = function
        return function

    return register


def read(name: str, source: Source) -> Iterator[LabelledImage]:
    """The records of a source, by the reader of that name.

    Raises:
        DataError: There is no such reader, the source cannot be read, or the report is strict and something is amiss.
    """
    if name not in READERS:
        raise DataError(f"no reader is called {name!r}; choose one of {', '.join(sorted(READERS))}")
    if not source.path.exists():
        raise DataError(f"{source.path} does not exist; check the path")
    return READERS[name](source)
