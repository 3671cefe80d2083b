"""Alignment of labels with their image: its orientation and scale when they were drawn.

An image with an EXIF orientation has two sizes: as stored and as displayed. Annotation tools differ in which of them
they use; the size declared in a label file shows which. If none is declared, or both are equal, as for squares and
rotations by 180 degrees, labels refer to the image as displayed, as in OpenCV, CVAT and Roboflow, and this is noted.
The same applies to labels in fractions of the sides.

A declared size of another scale scales the labels if the aspect ratios agree within 1 %, or within the rounding of one
pixel. Any other size belongs to another image.
"""

from dataclasses import dataclass
from pathlib import Path

from affine import Affine

from geochat.errors import DataError
from geochat.imagery.orientation import Orientation
from geochat.imagery.sources import open_source
from geochat_data.readers.report import Report

RATIO = 0.01  # greatest relative difference of two aspect ratios that count as equal
AS_SHOWN = "turned image whose labels declare no orientation: taken as shown"
TURNED = "turned image whose labels lie on it as stored: turned with it"
SCALED = "image of another scale than its labels declare: labels scaled"
Size = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Alignment:
    """The map from the numbers of a label file to pixels of the image as displayed.

    Attributes:
        size: (width, height) of the image as shown, in pixels.
        to_image: The numbers to these pixels.
        notes: Remarks for the report.
    """

    size: tuple[int, int]
    to_image: Affine
    notes: tuple[str, ...] = ()


def read_orientation(path: Path) -> Orientation:
    """Read the EXIF orientation of an image file and its size as stored, from its header.

    Raises:
        ImageError: The file is missing, or its header is damaged.
    """
    source = open_source(path)
    try:
        return Orientation(source.facts.orientation, source.facts.size)
    finally:
        source.close()


def align(orientation: Orientation, declared: Size | None = None, *, shares: bool = False) -> Alignment:
    """Find how labels lie on an image.

    Args:
        orientation: The image's.
        declared: The (width, height) of the image according to the label file.
        shares: Whether the labels are shares of the sides instead of pixels.

    Raises:
        DataError: The declared size belongs to another image.
    """
    shown, stored = orientation.size, orientation.stored_size
    ambiguous = (AS_SHOWN,) if orientation.tag in range(2, 9) and (declared is None or shown == stored) else ()
    if shares:
        return Alignment(shown, Affine.scale(*shown), ambiguous)
    if declared is None or declared == shown:
        return Alignment(shown, Affine.identity(), ambiguous)
    to_shown = ~orientation.to_stored
    if declared == stored:
        return Alignment(shown, to_shown, (TURNED,))
    if _same_ratio(declared, shown):
        return Alignment(shown, _scale(declared, shown), (SCALED, *ambiguous))
    if _same_ratio(declared, stored):
        return Alignment(shown, to_shown @ _scale(declared, stored), (SCALED, TURNED))
    sizes = " or ".join(f"{width} x {height}" for width, height in dict.fromkeys((shown, stored)))
    raise DataError(f"its labels are for {declared[0]:g} x {declared[1]:g} pixels, the image has {sizes}")


def align_file(path: Path, declared: Size | None, report: Report, *, shares: bool = False) -> Alignment | None:
    """Find how labels lie on an image file; None, counted, if their declared size belongs to another image.

    Raises:
        ImageError: The image is missing, or its header is damaged.
        DataError: The report is strict and the size belongs to another image.
    """
    orientation = read_orientation(path)
    try:
        alignment = align(orientation, declared, shares=shares)
    except DataError as error:
        report.skip("image of another size than its labels declare", f"{path}: {error}")
        return None
    for note in alignment.notes:
        report.note(note, str(path))
    return alignment


def _same_ratio(declared: Size, size: Size) -> bool:
    left, right = size[0] * declared[1], size[1] * declared[0]
    return abs(left - right) <= max(RATIO * max(left, right), *declared)


def _scale(declared: Size, size: Size) -> Affine:
    return Affine.scale(size[0] / declared[0], size[1] / declared[1])
