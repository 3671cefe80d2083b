"""Readers: labelled imagery on disk in, `LabelledImage` records out.

`read(name, source)` reads any format in the registry `READERS`, with one report of everything that cannot be used.
`source` holds the checks that all labels go through, `alignment` the orientation and scale of labels, `layout` folders,
files and splits, `values` the values of label files; the other modules are the formats.
"""

from collections.abc import Iterator
from pathlib import Path

from geochat.errors import DataError
from geochat.files import is_there
from geochat_data.readers.json_files import read_jsonl
from geochat_data.readers.report import Report
from geochat_data.readers.scene_folders import UCM_CATEGORIES, UCM_SCENES, class_names, read_ucm
from geochat_data.readers.source import DataSource, Label, UnreadableLabel, check_labels, labelled_image
from geochat_data.records import LabelledImage
from geochat_data.registry import READERS, Reader

__all__ = [
    "READERS",
    "UCM_CATEGORIES",
    "UCM_SCENES",
    "DataSource",
    "Label",
    "Reader",
    "Report",
    "UnreadableLabel",
    "check_labels",
    "class_names",
    "labelled_image",
    "read",
    "read_jsonl",
    "read_ucm",
]


def read(name: str, source: DataSource) -> Iterator[LabelledImage]:
    """Read the records of a source with the reader of that name.

    Raises:
        SettingsError: There is no such reader.
        DataError: The source cannot be read or holds no usable image, or the report is strict and something is wrong.
    """
    reader = READERS[name]
    if not is_there(source.path):
        raise DataError(f"{source.path} does not exist; check the path")
    if source.images is not None and not is_there(source.images):
        raise DataError(f"{source.images} does not exist; check --images")
    return _distinct(reader, source)


def _distinct(reader: Reader, source: DataSource) -> Iterator[LabelledImage]:
    """The records, at least one; a second record of an image could contradict the first and is skipped."""
    seen: set[Path] = set()
    count = 0
    for record in reader(source):
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
        raise DataError(f"{source.path} holds no usable image{beside} ({source.report}); check the paths")
