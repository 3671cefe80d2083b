"""The readers by name.

A reader is a function from a `Source` to records: it finds images and labels and leaves the checking to
`labelled_image`. To add one, write it and register it:

    @reader("mine")
    def read_mine(source: Source) -> Iterator[LabelledImage]: ...
"""

from collections.abc import Callable, Iterator
from pathlib import Path

from geochat.errors import DataError
from geochat.files import is_there
from geochat_data.readers.boxes import read_boxes
from geochat_data.readers.coco import read_coco
from geochat_data.readers.dota import read_dota
from geochat_data.readers.fair1m import read_fair1m
from geochat_data.readers.folders import read_folders
from geochat_data.readers.geo import read_geo
from geochat_data.readers.hrsc import read_hrsc
from geochat_data.readers.source import Source
from geochat_data.readers.ucm import read_ucm_source
from geochat_data.readers.voc import read_dior, read_voc
from geochat_data.readers.yolo import read_yolo
from geochat_data.records import LabelledImage

Reader = Callable[[Source], Iterator[LabelledImage]]

READERS: dict[str, Reader] = {
    "boxes": read_boxes,
    "coco": read_coco,
    "dior": read_dior,
    "dota": read_dota,
    "fair1m": read_fair1m,
    "folders": read_folders,
    "geo": read_geo,
    "hrsc": read_hrsc,
    "ucm": read_ucm_source,
    "voc": read_voc,
    "yolo": read_yolo,
}


def reader(name: str) -> Callable[[Reader], Reader]:
    """Register a reader under a name, in the place of another of that name."""

    def register(function: Reader) -> Reader:
        READERS[name] = function
        return function

    return register


def read(name: str, source: Source) -> Iterator[LabelledImage]:
    """The records of a source, by the reader of that name.

    Raises:
        DataError: There is no such reader, the source cannot be read or holds no image that can be used, or the report
            is strict and something is amiss.
    """
    if name not in READERS:
        raise DataError(f"no reader is called {name!r}; choose one of {', '.join(sorted(READERS))}")
    if not is_there(source.path):
        raise DataError(f"{source.path} does not exist; check the path")
    if source.images is not None and not is_there(source.images):
        raise DataError(f"{source.images} does not exist; check --images")
    return _read_some(READERS[name], source)


def _read_some(function: Reader, source: Source) -> Iterator[LabelledImage]:
    """The records, of which there must be one; a second of an image, which may contradict the first, is not used."""
    seen: set[Path] = set()
    count = 0
    for record in function(source):
        if record.path is not None and record.path in seen:
            source.report.used -= 1
            source.report.skip("image that was read before", str(record.path))
            continue
        if record.path is not None:
            seen.add(record.path)
        count += 1
        yield record
    if not count:
        beside = f", images in {source.images}" if source.images else ""
        raise DataError(f"{source.path} holds no image that can be used{beside} ({source.report}); check the paths")
