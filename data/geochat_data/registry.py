"""Registry of readers.

A reader is a function from a `DataSource` to records. It finds images and labels and leaves the checks to
`geochat_data.readers.labelled_image`. A program registers its own:

    @READERS.register("mine")
    def read_mine(source: DataSource) -> Iterator[LabelledImage]: ...

and an installed package offers one under the entry-point group "geochat.readers". `geochat data build` and
`geochat eval run own:FORMAT` accept every name that the registry holds. This module imports no reader, so that the
command line can list them at once.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Protocol

from geochat.registry import Registry

if TYPE_CHECKING:
    from geochat_data.readers.source import DataSource
    from geochat_data.records import LabelledImage


class Reader(Protocol):
    """A function that reads the records of a source, one at a time."""

    def __call__(self, source: "DataSource", /) -> "Iterator[LabelledImage]":
        """Read the records; see `geochat_data.readers.labelled_image`."""
        ...


READERS: Registry[Reader] = Registry(
    "reader",
    "geochat.readers",
    {
        "boxes": "geochat_data.readers.boxes:read_boxes",
        "coco": "geochat_data.readers.coco:read_coco",
        "dior": "geochat_data.readers.voc:read_dior",
        "dota": "geochat_data.readers.oriented:read_dota",
        "fair1m": "geochat_data.readers.oriented:read_fair1m",
        "folders": "geochat_data.readers.scene_folders:read_folders",
        "geo": "geochat_data.readers.geo:read_geo",
        "hrsc": "geochat_data.readers.oriented:read_hrsc",
        "ucm": "geochat_data.readers.scene_folders:read_ucm_source",
        "voc": "geochat_data.readers.voc:read_voc",
        "yolo": "geochat_data.readers.yolo:read_yolo",
    },
)
