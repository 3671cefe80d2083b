"""What every reader is given, and the checks all their labels go through.

A reader finds images and labels; this module opens each image's header, lays the labels on the image as shown, makes
oriented boxes of whatever shape they have, and leaves out, counted and named, what cannot be used. Boxes cut by the
border by more than half, and those the labels call difficult, become `ignore`: neither present nor absent.

Unknown is not absent: where a label is left out, nobody knows how many objects of its category the image holds, nor of
any category where the label's own cannot be told. Such categories are not among the record's `labelled`.
"""

import math
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from shapely import Polygon as Shape
from shapely import box as rectangle

from geochat.errors import ImageError, RegionError
from geochat.geometry import OrientedBox
from geochat_data.readers.categories import named
from geochat_data.readers.finding import read_text
from geochat_data.readers.placing import Placement, Size, placement_of
from geochat_data.readers.report import Report
from geochat_data.records import LabelledImage, LabelledObject, Point, as_polygon

LEAST_VISIBLE = 0.5  # of a box, inside the image, for its object to count
LEAST_SIDE = 1.0  # pixels
UNNAMED = frozenset({"ignore", "ignored", "ignored regions", "dontcare", "don't care", "dont care"})
"""What data sets call regions in which nothing was labelled."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where labelled imagery lies and how to read it.

    Attributes:
        path: The label file, or the folder of the data set.
        images: The folder of images where it is not where the format puts it; for GeoJSON the raster.
        split: The split to read where the format knows several, and what is written into the records.
        exhaustive: Whether every object of every category is labelled, so that absence may be asked about.
        window: Side of the windows large rasters are cut into, in pixels.
        column: The attribute that holds the category, for GeoJSON and GeoPackage; None looks for the usual names.
        report: Counts what was used and what was skipped.
        names: What categories are called, by what the labels have in their place, such as a number.
        split_asked: Whether `split` is somebody's wish, which a data set without splits cannot fulfil.
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
        self, categories: Iterable[str], doubtful: Iterable[LabelledObject] = (), unknown: Collection[str | None] = ()
    ) -> frozenset[str]:
        """Those of the data set's categories all of whose objects in an image are known.

        None where the labels are not exhaustive, where a region of the image was left unlooked at, or where `unknown`,
        the categories of labels that are not used, holds None, which is any.
        """
        unlooked = None in unknown or any(item.category in UNNAMED for item in doubtful)
        known = frozenset(categories) - UNNAMED - {name for name in unknown if name is not None}
        return known if self.exhaustive and not unlooked else frozenset()

    def categories(self, labels: Iterable["Label | Unread"]) -> frozenset[str]:
        """The categories of labels, unread ones included.

        Raises:
            DataError: One is a number without a name.
        """
        found = (named(label.category, self.names, label.where) for label in labels)
        return frozenset(name for name in found if name is not None)


@dataclass(frozen=True, slots=True)
class Label:
    """One label as a file has it, not yet checked.

    Attributes:
        category: Its name, as written.
        points: Any points whose smallest rectangle is the object's box, in pixels or in shares of the sides.
        where: For messages.
        doubtful: Whether it is neither present nor absent: difficult, a crowd.
    """

    category: str | None
    points: Sequence[Point]
    where: str
    doubtful: bool = False


@dataclass(frozen=True, slots=True)
class Unread:
    """A label that cannot be used, which makes its category unknown in its image.

    Attributes:
        reason: Why, in words that are the same for all of its kind.
        where: Which, for messages.
        category: Its name, as written; None where that cannot be told, which makes every category unknown.
    """

    reason: str
    where: str
    category: str | None = None


@dataclass(frozen=True, slots=True)
class Checked:
    """The labels of an image after the checks.

    Attributes:
        objects: Those that count.
        doubtful: Those that are neither present nor absent.
        unknown: The categories of those that are not used; None stands for any.
    """

    objects: tuple[LabelledObject, ...]
    doubtful: tuple[LabelledObject, ...]
    unknown: frozenset[str | None]


def labelled_image(
    source: Source,
    path: Path,
    labels: Iterable[Label | Unread],
    *,
    categories: Collection[str] = (),
    unknown: Collection[str | None] = (),
    declared: Size | None = None,
    shares: bool = False,
    scene: str | None = None,
    captions: tuple[str, ...] = (),
) -> Iterator[LabelledImage]:
    """The record of one image with its usable labels; nothing, counted, where image and labels do not go together.

    Args:
        source: Whose report counts.
        path: The image.
        labels: All there are about it, those that could not be read included.
        categories: Those whose every object is labelled.
        unknown: Those of which it is known already that not every object is; None is any.
        declared: The (width, height) the label file says the image has; see `placing`.
        shares: Whether the labels' points are shares of the image's sides.
        scene: The scene class.
        captions: Descriptions.

    Raises:
        DataError: A category is a number without a name, or the report is strict and something is left out.
    """
    try:
        placement = placement_of(path, declared, source.report, shares=shares)
    except ImageError:
        source.report.skip("image missing or unreadable", str(path))
        return
    if placement is None:
        return
    checked = check_labels(labels, placement, source)
    lost = checked.unknown | frozenset(unknown)
    source.report.unknown_in_image(lost)
    source.report.used += 1
    yield LabelledImage(
        path=path,
        width=placement.size[0],
        height=placement.size[1],
        objects=checked.objects,
        ignore=checked.doubtful,
        scene=scene,
        captions=captions,
        split=source.split,
        labelled=source.labelled(categories, checked.doubtful, lost),
    )


def check_labels(labels: Iterable[Label | Unread], placement: Placement, source: Source) -> Checked:
    """Sort labels into objects, doubtful objects and those that cannot be used, which are counted.

    A label that is there twice, to a hundredth of a pixel, is one object.

    Raises:
        DataError: A category is a number without a name, or the report is strict and a label cannot be used.
    """
    objects: list[LabelledObject] = []
    doubtful: list[LabelledObject] = []
    unknown: set[str | None] = set()
    seen: set[tuple[object, ...]] = set()
    for label in labels:
        category = named(label.category, source.names, label.where)
        found = label.reason if isinstance(label, Unread) else _item(label, category, placement)
        if isinstance(found, str):
            source.report.skip_label(found, label.where)
            unknown.add(category)
            continue
        item, unsure = found
        key = (item.category, unsure, *sorted((round(x, 2), round(y, 2)) for x, y in item.polygon))
        if key in seen:
            source.report.note("label that is there twice", label.where)
            continue
        seen.add(key)
        (doubtful if unsure else objects).append(item)
    return Checked(tuple(objects), tuple(doubtful), frozenset(unknown))


def _item(label: Label, category: str | None, placement: Placement) -> tuple[LabelledObject, bool] | str:
    """The object of a label and whether it is doubtful, else why it cannot be used."""
    if category is None:
        return "label without a category"
    try:
        box = OrientedBox.from_polygon([placement.to_image @ (float(x), float(y)) for x, y in label.points])
    except (RegionError, ValueError, OverflowError):
        return "box with a missing or infinite number"
    if min(box.width, box.height) < LEAST_SIDE:
        return "degenerate box"
    inside = Shape(box.corners()).intersection(rectangle(0, 0, *placement.size)).area / box.area
    if inside <= 0:
        return "box outside the image"
    item = LabelledObject(category, as_polygon(box.corners()), truncated=inside < 0.98)
    return item, label.doubtful or inside < LEAST_VISIBLE or category in UNNAMED


def rectangle_points(x: float, y: float, width: float, height: float, radians: float = 0.0) -> list[Point]:
    """Corners of a rectangle given by its centre, turned clockwise on screen."""
    cos, sin = math.cos(radians), math.sin(radians)
    half = [(-width / 2, -height / 2), (width / 2, -height / 2), (width / 2, height / 2), (-width / 2, height / 2)]
    return [(x + a * cos - b * sin, y + a * sin + b * cos) for a, b in half]


def upright_points(left: float, top: float, right: float, bottom: float) -> list[Point]:
    """Corners of a rectangle whose sides run along the image's."""
    return [(left, top), (right, top), (right, bottom), (left, bottom)]


def pairs(numbers: Sequence[float]) -> list[Point]:
    """x, y, x, y, ... as points."""
    return list(zip(numbers[::2], numbers[1::2], strict=True))


def line_labels(
    path: Path, label: Callable[[list[str], str], Label | Unread], head: re.Pattern[str] | None = None
) -> Iterator[Label | Unread]:
    """The labels of a text file with one a line; of a file that cannot be read, that.

    Args:
        path: The file.
        label: Makes a label of a line's words and its place.
        head: Matches lines that are no labels; None where there are no such lines.
    """
    try:
        lines = read_text(path).splitlines()
    except (OSError, ValueError):
        yield Unread("label file that cannot be read", str(path))
        return
    for number, line in enumerate(lines, start=1):
        if (words := line.split()) and not (head and head.match(line)):
            yield label(words, f"{path}:{number}")
