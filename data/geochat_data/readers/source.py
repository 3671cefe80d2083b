"""What every reader is given, and the checks all their labels go through.

A reader finds images and labels; this module opens each image's header, makes oriented boxes of whatever shape
the labels have, and leaves out, counted and named, what cannot be used. Boxes cut by the border by more than half, and
those the labels call difficult, become `ignore`: neither present nor absent.
"""

import math
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from shapely import Polygon as Shape
from shapely import box as rectangle

from geochat.errors import DataError, ImageError, RegionError
from geochat.geometry import OrientedBox
from geochat.imagery import image_size
from geochat_data.readers.report import Report
from geochat_data.records import LabelledImage, LabelledObject, Point, as_polygon

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp", ".bmp", ".jp2"})
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
    """

    path: Path
    images: Path | None = None
    split: str = "train"
    exhaustive: bool = True
    window: int = 512
    column: str | None = None
    report: Report = field(default_factory=Report)

    def labelled(self, categories: Iterable[str], doubtful: Iterable[LabelledObject] = ()) -> frozenset[str]:
        """Those of the data set's categories whose absence from an image is known: all, or none.

        None where the labels are not exhaustive, or where a region of the image was left unlooked at.
        """
        unlooked = any(item.category in UNNAMED for item in doubtful)
        return frozenset(categories) - UNNAMED if self.exhaustive and not unlooked else frozenset()


@dataclass(frozen=True, slots=True)
class Label:
    """One label as a file has it, not yet checked.

    Attributes:
        category: Its name, as written.
        points: Any points whose smallest rectangle is the object's box, in pixels.
        where: For messages.
        doubtful: Whether it is neither present nor absent: difficult, a crowd.
    """

    category: str
    points: Sequence[Point]
    where: str
    doubtful: bool = False


def labelled_image(
    source: Source,
    path: Path,
    labels: Iterable[Label],
    *,
    categories: Collection[str] = (),
    scene: str | None = None,
    captions: tuple[str, ...] = (),
) -> Iterator[LabelledImage]:
    """The record of one image with its usable labels; nothing, counted, where the image cannot be read."""
    try:
        width, height = image_size(path)
    except ImageError:
        source.report.skip("image missing or unreadable", str(path))
        return
    objects, ignore = check_labels(labels, width, height, source.report)
    source.report.used += 1
    yield LabelledImage(
        path=path,
        width=width,
        height=height,
        objects=objects,
        ignore=ignore,
        scene=scene,
        captions=captions,
        split=source.split,
        labelled=source.labelled(categories, ignore),
    )


def check_labels(
    labels: Iterable[Label], width: int, height: int, report: Report
) -> tuple[tuple[LabelledObject, ...], tuple[LabelledObject, ...]]:
    """The objects and the doubtful ones; degenerate boxes and those outside the image are left out and counted."""
    objects: list[LabelledObject] = []
    doubtful: list[LabelledObject] = []
    frame = rectangle(0, 0, width, height)
    for label in labels:
        try:
            box = OrientedBox.from_polygon(label.points)
        except (RegionError, ValueError):
            report.skip("box with a missing or infinite number", label.where)
            continue
        if min(box.width, box.height) < LEAST_SIDE:
            report.skip("degenerate box", label.where)
            continue
        inside = Shape(box.corners()).intersection(frame).area / box.area
        if inside <= 0:
            report.skip("box outside the image", label.where)
            continue
        item = LabelledObject(category_name(label.category), as_polygon(box.corners()), truncated=inside < 0.98)
        unsure = label.doubtful or inside < LEAST_VISIBLE or item.category in UNNAMED
        (doubtful if unsure else objects).append(item)
    return tuple(objects), tuple(doubtful)


def category_name(text: str) -> str:
    """A category as words: "Storage-Tank" and "storage_tank" are both "storage tank"."""
    return " ".join(text.replace("_", " ").replace("-", " ").lower().split())


def rectangle_points(x: float, y: float, width: float, height: float, radians: float = 0.0) -> list[Point]:
    """Corners of a rectangle given by its centre, turned clockwise on screen."""
    cos, sin = math.cos(radians), math.sin(radians)
    half = [(-width / 2, -height / 2), (width / 2, -height / 2), (width / 2, height / 2), (-width / 2, height / 2)]
    return [(x + a * cos - b * sin, y + a * sin + b * cos) for a, b in half]


def pairs(numbers: Sequence[float]) -> list[Point]:
    """x, y, x, y, ... as points."""
    return list(zip(numbers[::2], numbers[1::2], strict=True))


def find_folder(source: Source, *names: str) -> Path:
    """The first of the folders that exists below the source's.

    Raises:
        DataError: None does.
    """
    for name in names:
        if (folder := source.path / name).is_dir():
            return folder
    raise DataError(f"{source.path} holds none of the folders {', '.join(names)}; check the path and the format")


def image_files(folder: Path) -> dict[str, Path]:
    """Image files below a folder by their path without suffix, relative to it.

    Raises:
        DataError: There is no such folder.
    """
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder of images; give another with --images")
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES)
    return {path.relative_to(folder).with_suffix("").as_posix(): path for path in found}
