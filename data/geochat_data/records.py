"""Record of a labelled image, which every reader yields and every question builder takes.

Polygons are four corners in pixels of the displayed image (after EXIF orientation), y down. A rendered scene carries
its pixels; a photograph carries its path and is opened only when needed. `labelled` names the exhaustively labelled
categories, which separates "there is none" and "there are three" from "not labelled".
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from geochat.errors import ImageError
from geochat.geometry import OrientedBox
from geochat.imagery import Scene, Stretch, Window

Point = tuple[float, float]
Polygon = tuple[Point, Point, Point, Point]


@dataclass(frozen=True, slots=True)
class LabelledObject:
    """One object: its category and the corners of its oriented box.

    Attributes:
        category: The name of its kind, singular and in lower case: "airplane".
        polygon: The box's four corners in pixels; those of a truncated object may lie outside the image.
        truncated: Whether the image's border cuts it.
        attributes: Words that describe it, such as its colour.
    """

    category: str
    polygon: Polygon
    truncated: bool = False
    attributes: tuple[str, ...] = ()

    @property
    def box(self) -> OrientedBox:
        """The oriented box of the corners, in pixels."""
        return OrientedBox.from_polygon(self.polygon)

    @property
    def center(self) -> Point:
        """The centre of the box, in pixels."""
        return sum(x for x, _ in self.polygon) / 4, sum(y for _, y in self.polygon) / 4

    @property
    def area(self) -> float:
        """The area of the box in square pixels, by the shoelace formula."""
        pairs = zip(self.polygon, self.polygon[1:] + self.polygon[:1], strict=True)
        return abs(sum(x1 * y2 - x2 * y1 for (x1, y1), (x2, y2) in pairs)) / 2


@dataclass(frozen=True, slots=True)
class LabelledImage:
    """One image and its labels.

    Attributes:
        path: The file, or None for a rendered scene.
        width: Width in pixels, after the turn its EXIF orientation asks for.
        height: Height in pixels, likewise.
        objects: The labelled objects.
        ignore: Objects that are difficult or mostly hidden: neither present nor absent.
        scene: The scene class as words, or None if unknown.
        captions: Descriptions of the image.
        split: "train", "val" or "test".
        labelled: Categories whose objects are all in `objects` or `ignore`.
        pixels: uint8 (height, width, 3) of a rendered scene or of a window of a larger image.
        name: Name of an image without a path.
    """

    path: Path | None
    width: int
    height: int
    objects: tuple[LabelledObject, ...] = ()
    ignore: tuple[LabelledObject, ...] = ()
    scene: str | None = None
    captions: tuple[str, ...] = ()
    split: str = "train"
    labelled: frozenset[str] = frozenset()
    pixels: NDArray[np.uint8] | None = field(default=None, compare=False, repr=False)
    name: str | None = None

    def open_scene(self) -> Scene:
        """Open the image, its pixels or its file, without reading it; the caller closes it.

        Raises:
            ImageError: There are neither pixels nor a file that can be opened.
        """
        if self.pixels is not None:
            return Scene.open(self.pixels)
        if self.path is None:
            raise ImageError("this record has neither pixels nor a path; read it from its source again")
        return Scene.open(self.path)

    def open(self) -> Image.Image:
        """Read the whole image in RGB, in the colours a model is shown.

        Raises:
            ImageError: There are neither pixels nor a readable file.
        """
        if self.pixels is not None:
            return Image.fromarray(self.pixels)
        with self.open_scene() as scene:
            return WindowReader(scene).read(scene.window)


class WindowReader:
    """Reader of windows of a scene, at full size by default, all with the stretch of the whole scene."""

    def __init__(self, scene: Scene) -> None:
        """Find the stretch of the whole scene, if its samples need one."""
        self._scene = scene
        self._stretch: Stretch | Literal["auto"] = "auto" if scene.full_scale is not None else scene.read().stretch

    def read(self, window: Window, max_side: int | None = None) -> Image.Image:
        """Read a window in RGB, black where the image has no data, averaged down to `max_side` if that is given.

        Raises:
            ImageError: It cannot be read.
        """
        side = min(max(window.size), max_side or max(window.size))
        return self._scene.read(window, max_side=side, stretch=self._stretch, allow_blank=True).pil()


def as_polygon(points: Any) -> Polygon:  # noqa: ANN401 - decoded JSON
    """Convert four (x, y) corners of decoded JSON.

    Raises:
        ValueError: There are not exactly four pairs of finite numbers.
    """
    corners = tuple((float(x), float(y)) for x, y in points)
    if len(corners) != 4 or not np.isfinite(corners).all():
        raise ValueError(f"a polygon needs four finite corners, not {points!r}")
    return corners[0], corners[1], corners[2], corners[3]
