"""How labels lie on their image: which way up it was when they were drawn, and how large.

A picture whose EXIF orientation turns it has two sizes: as stored and as shown. Annotation tools differ in which of
them they draw on, and the size a label file declares says which. Where it does not say - none is declared, or both are
equal, as they are for squares and half turns - labels are taken to lie on the picture as shown, as OpenCV, CVAT and
Roboflow show it; this is noted. Labels in shares of the sides are read so, too.

A declared size of another scale scales the labels if the ratios of the sides agree within 1 %, or within the rounding
of one pixel. Any other size belongs to another picture.
"""

from dataclasses import dataclass
from pathlib import Path

from affine import Affine

from geochat.errors import DataError
from geochat.imagery.orientation import Orientation
from geochat.imagery.sources import open_source
from geochat_data.readers.report import Report

RATIO = 0.01
AS_SHOWN = "turned image whose labels do not say which way up: taken as shown"
TURNED = "turned image whose labels lie on it as stored: turned with it"
SCALED = "image of another scale than its labels declare: scaled with it"
Size = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Placement:
    """How the numbers of a label file become pixels of the image as shown.

    Attributes:
        size: (width, height) of the image as shown, in pixels.
        to_image: The numbers to these pixels.
        notes: What is worth saying about it.
    """

    size: tuple[int, int]
    to_image: Affine
    notes: tuple[str, ...] = ()


def read_orientation(path: Path) -> Orientation:
    """The turn an image file asks for and its size as stored, from its header.

    Raises:
        ImageError: It is missing, or its header is damaged.
    """
    source = open_source(path)
    try:
        return Orientation(source.facts.orientation, source.facts.size)
    finally:
        source.close()


def place(orientation: Orientation, declared: Size | None = None, *, shares: bool = False) -> Placement:
    """Find how labels lie on an image.

    Args:
        orientation: The image's.
        declared: The (width, height) their file says the image has.
        shares: Whether they are shares of the sides, in place of pixels.

    Raises:
        DataError: The declared size is that of another picture.
    """
    shown, stored = orientation.size, orientation.stored_size
    unsaid = (AS_SHOWN,) if orientation.tag in range(2, 9) and (declared is None or shown == stored) else ()
    if shares:
        return Placement(shown, Affine.scale(*shown), unsaid)
    if declared is None or declared == shown:
        return Placement(shown, Affine.identity(), unsaid)
    to_shown = ~orientation.to_stored
    if declared == stored:
        return Placement(shown, to_shown, (TURNED,))
    if _agree(declared, shown):
        return Placement(shown, _scale(declared, shown), (SCALED, *unsaid))
    if _agree(declared, stored):
        return Placement(shown, to_shown @ _scale(declared, stored), (SCALED, TURNED))
    sizes = " or ".join(f"{width} x {height}" for width, height in dict.fromkeys((shown, stored)))
    raise DataError(f"its labels are for {declared[0]:g} x {declared[1]:g} pixels, the image has {sizes}")


def placement_of(path: Path, declared: Size | None, report: Report, *, shares: bool = False) -> Placement | None:
    """How labels lie on an image file; None, counted, where their declared size is that of another picture.

    Raises:
        ImageError: The image is missing, or its header is damaged.
        DataError: The report is strict and the size is that of another picture.
    """
    orientation = read_orientation(path)
    try:
        placement = place(orientation, declared, shares=shares)
    except DataError as error:
        report.skip("image of another size than its labels declare", f"{path}: {error}")
        return None
    for note in placement.notes:
        report.note(note, str(path))
    return placement


def _agree(declared: Size, size: Size) -> bool:
    """Whether one size is the other, scaled."""
    left, right = size[0] * declared[1], size[1] * declared[0]
    return abs(left - right) <= max(RATIO * max(left, right), *declared)


def _scale(declared: Size, size: Size) -> Affine:
    return Affine.scale(size[0] / declared[0], size[1] / declared[1])
