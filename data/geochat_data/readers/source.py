"""Source of labelled imagery that every reader is given, and the checks that all labels go through.

A reader finds images and labels. This module opens the header of each image, aligns the labels with the displayed
image, makes oriented boxes of their shapes, and skips unusable labels with a count and a message. Objects cut by more
than half by the image's border, and those marked difficult, become `ignore`: neither present nor absent.

Unknown is not absent: if a label is skipped, the number of objects of its category in the image is unknown; if its
category is unknown, the number is unknown for every category. Such categories are not in the record's `labelled`.
"""

import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from shapely import Polygon as Shape
from shapely import box as rectangle

from geochat.errors import ImageError, RegionError
from geochat.geometry import OrientedBox
from geochat_data.readers.alignment import Alignment, Size, align_file
from geochat_data.readers.report import Report
from geochat_data.readers.values import named
from geochat_data.records import LabelledImage, LabelledObject, Point, as_polygon

LEAST_VISIBLE = 0.5  # share of a box inside the image for its object to count
LEAST_SIDE = 1.0  # pixels
UNLABELLED_REGIONS = frozenset({"ignore", "ignored", "ignored regions", "dontcare", "don't care", "dont care"})
"""Names that data sets give to regions in which nothing was labelled."""


@dataclass(frozen=True, slots=True)
class DataSource:
    """Place of labelled imagery, and the options for reading it.

    Attributes:
        path: The label file, or the folder of the data set.
        images: The folder of images if it is not in the format's usual place; for GeoJSON the raster.
        split: The split to read, if the format has several; it is written into the records.
        exhaustive: Whether every object of every category is labelled, so that absence may be asked about.
        window: Side of the windows that large rasters are cut into, in pixels.
        column: The attribute that holds the category, for GeoJSON and GeoPackage; None tries the usual names.
        report: Counts used and skipped items.
        names: Names of categories by what the labels hold instead, such as a number.
        split_asked: Whether the caller asked for `split`; a data set without splits then refuses.
    """

    path: Path
    images: Path | None = None
    split: str = "train"
    exhaustive: bool = True
    window: int = 512
    column: str | None = None
    report: Report = field(default_factory=Report)
    names: Mapping[str, str] = field(default_factory=dict)
    split_asked: bool = False

    def labelled(
        self, categories: Iterable[str], ignored: Iterable[LabelledObject] = (), unknown: Collection[str | None] = ()
    ) -> frozenset[str]:
        """The categories of the data set of which all objects in an image are known.

        There are none if the labels are not exhaustive, if a region of the image was left unlabelled, or if `unknown`,
        the categories of labels that are not used, holds None, which stands for any.
        """
        incomplete = None in unknown or any(item.category in UNLABELLED_REGIONS for item in ignored)
        known = frozenset(categories) - UNLABELLED_REGIONS - {name for name in unknown if name is not None}
        return known if self.exhaustive and not incomplete else frozenset()

    def categories(self, labels: Iterable["Label | UnreadableLabel"]) -> frozenset[str]:
        """The categories of labels, unreadable ones included.

        Raises:
            DataError: One is a number without a name.
        """
        found = (named(label.category, self.names, label.where) for label in labels)
        return frozenset(name for name in found if name is not None)


@dataclass(frozen=True, slots=True)
class Label:
    """One label as a file holds it, before the checks.

    Attributes:
        category: Its name, as written.
        points: Points (N, 2) whose smallest rectangle is the object's box, in pixels or in shares of the sides.
        where: Its place, for messages.
        ignore: Whether the object is neither present nor absent: difficult, a crowd.
    """

    category: str | None
    points: Sequence[Point] | NDArray[np.float64]
    where: str
    ignore: bool = False


@dataclass(frozen=True, slots=True)
class UnreadableLabel:
    """A label that cannot be used; its category becomes unknown in its image.

    Attributes:
        reason: The reason, in the same words for all of its kind.
        where: Its place, for messages.
        category: Its name, as written; None if it cannot be told, which makes every category unknown.
    """

    reason: str
    where: str
    category: str | None = None


@dataclass(frozen=True, slots=True)
class CheckedLabels:
    """The labels of an image after the checks.

    Attributes:
        objects: Objects that count.
        ignored: Objects that are neither present nor absent.
        unknown: Categories of labels that are not used; None stands for any.
    """

    objects: tuple[LabelledObject, ...]
    ignored: tuple[LabelledObject, ...]
    unknown: frozenset[str | None]


def labelled_image(
    source: DataSource,
    path: Path,
    labels: Iterable[Label | UnreadableLabel],
    *,
    categories: Collection[str] = (),
    unknown: Collection[str | None] = (),
    declared: Size | None = None,
    shares: bool = False,
    scene: str | None = None,
    captions: tuple[str, ...] = (),
) -> Iterator[LabelledImage]:
    """Make the record of one image with its usable labels; an image that cannot be used is counted and skipped.

    Args:
        source: Its report counts.
        path: The image.
        labels: All labels of the image, unreadable ones included.
        categories: Categories of which every object is labelled.
        unknown: Categories already known to be incomplete; None stands for any.
        declared: The (width, height) of the image according to the label file; see `alignment`.
        shares: Whether the labels' points are shares of the image's sides.
        scene: The scene class.
        captions: Descriptions.

    Raises:
        DataError: A category is a number without a name, or the report is strict and something is left out.
    """
    try:
        alignment = align_file(path, declared, source.report, shares=shares)
    except ImageError:
        source.report.skip("image missing or unreadable", str(path))
        return
    if alignment is None:
        return
    checked = check_labels(labels, alignment, source)
    lost = checked.unknown | frozenset(unknown)
    source.report.unknown_in_image(lost)
    source.report.used += 1
    yield LabelledImage(
        path=path,
        width=alignment.size[0],
        height=alignment.size[1],
        objects=checked.objects,
        ignore=checked.ignored,
        scene=scene,
        captions=captions,
        split=source.split,
        labelled=source.labelled(categories, checked.ignored, lost),
    )


def check_labels(labels: Iterable[Label | UnreadableLabel], alignment: Alignment, source: DataSource) -> CheckedLabels:
    """Sort labels into objects, ignored objects and labels that cannot be used, which are counted.

    Labels that agree to a hundredth of a pixel are one object.

    Raises:
        DataError: A category is a number without a name, or the report is strict and a label cannot be used.
    """
    objects: list[LabelledObject] = []
    ignored: list[LabelledObject] = []
    unknown: set[str | None] = set()
    seen: set[tuple[object, ...]] = set()
    for label in labels:
        category = named(label.category, source.names, label.where)
        found = label.reason if isinstance(label, UnreadableLabel) else _object(label, category, alignment)
        if isinstance(found, str):
            source.report.skip_label(found, label.where)
            unknown.add(category)
            continue
        item, ignore = found
        key = (item.category, ignore, *sorted((round(x, 2), round(y, 2)) for x, y in item.polygon))
        if key in seen:
            source.report.note("duplicate label", label.where)
            continue
        seen.add(key)
        (ignored if ignore else objects).append(item)
    return CheckedLabels(tuple(objects), tuple(ignored), frozenset(unknown))


def _object(label: Label, category: str | None, alignment: Alignment) -> tuple[LabelledObject, bool] | str:
    """The object of a label and whether it is ignored, or the reason it cannot be used."""
    if category is None:
        return "label without a category"
    try:
        box = OrientedBox.from_polygon([alignment.to_image @ (float(x), float(y)) for x, y in label.points])
    except (RegionError, ValueError, OverflowError):
        return "box with a missing or infinite number"
    if min(box.width, box.height) < LEAST_SIDE:
        return "degenerate box"
    inside = Shape(box.corners()).intersection(rectangle(0, 0, *alignment.size)).area / box.area
    if inside <= 0:
        return "box outside the image"
    item = LabelledObject(category, as_polygon(box.corners()), truncated=inside < 0.98)
    return item, label.ignore or inside < LEAST_VISIBLE or category in UNLABELLED_REGIONS


def rectangle_points(x: float, y: float, width: float, height: float, radians: float = 0.0) -> list[Point]:
    """Corners of a rectangle given by its centre, turned clockwise on screen."""
    cos, sin = math.cos(radians), math.sin(radians)
    half = [(-width / 2, -height / 2), (width / 2, -height / 2), (width / 2, height / 2), (-width / 2, height / 2)]
    return [(x + a * cos - b * sin, y + a * sin + b * cos) for a, b in half]


def upright_points(left: float, top: float, right: float, bottom: float) -> list[Point]:
    """Corners of an axis-aligned rectangle."""
    return [(left, top), (right, top), (right, bottom), (left, bottom)]


def pairs(numbers: Sequence[float]) -> list[Point]:
    """Points of the flat sequence x, y, x, y, ..."""
    return list(zip(numbers[::2], numbers[1::2], strict=True))
