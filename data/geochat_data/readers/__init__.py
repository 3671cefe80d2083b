"""Readers: labelled imagery on disk in, `LabelledImage` records out.

`read(name, source)` reads any format of `READERS`, with one account (`Report`) of everything that could not be used.
"""

from geochat_data.readers.folders import class_names
from geochat_data.readers.jsonl import read_jsonl
from geochat_data.readers.registry import READERS, Reader, read, reader
from geochat_data.readers.report import Report
from geochat_data.readers.source import Label, Source, Unread, check_labels, labelled_image
from geochat_data.readers.tiles import read_tiles
from geochat_data.readers.ucm import UCM_CATEGORIES, UCM_SCENES, read_ucm

__all__ = [
    "READERS",
    "UCM_CATEGORIES",
    "UCM_SCENES",
    "Label",
    "Reader",
    "Report",
    "Source",
    "Unread",
    "check_labels",
    "class_names",
    "labelled_image",
    "read",
    "read_jsonl",
    "read_tiles",
    "read_ucm",
    "reader",
]
