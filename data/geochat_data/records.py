"""The one internal record of labelled imagery that every reader yields and every question builder takes.

Polygons are four corners in pixels of the image as it is shown, turned as its EXIF orientation asks, y down. A rendered
scene carries its pixels; a photograph carries its path and is opened only when it is needed. `labelled` names the
categories whose objects are marked exhaustively, so that "there is none" and "there are three" can be told from "nobody
looked".
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from geochat.errors import ImageError
from geochat.imagery import Scene, Stretch, Window

Point = tuple[float, float]
Polygon = tuple[Point, Point, Point, Point]


@dataclass(frozen=True, slots=True)
class LabelledObject:
    """One object: its category and the corners of its oriented box.

    Attributes:
        category: What it is, singular and in lower case: "airplane".
        polygon: The box's four corners in pixels; those of a truncated object may lie outside the image.
        truncated: Whether the image's border cuts it.
        attributes: Words that describe it, such as its colour.
    """

    category: str
    polygon: Polygon
    truncated: bool = False
    attributes: tuple[str, ...] = ()

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
    """One image and everything known about it.

    Attributes:
        path: The file, or None for a rendered scene.
        width: Width in pixels, after the turn its EXIF orientation asks for.
        height: Height in pixels, likewise.
        objects: The labelled objects.
        ignore: Objects that are doubtful or mostly hidden: neither present nor absent.
        scene: The scene class as words, or None where unknown.
        captions: Descriptions of the image.
        split: "train", "val" or "test".
        labelled: Categories all of whose objects are in `objects` or `ignore`.
        pixels: uint8 (height, width, 3) of a rendered scene or of a window of a larger image.
        name: What to call the image where it has no path.
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

    def opened(self) -> Scene:
        """The image, open but not read: the pixels carried or the file. Close it.

        Raises:
            ImageError: There are neither pixels nor a file that can be opened.
        """
        if self.pixels is not None:
            return Scene.open(self.pixels)
        if self.path is None:
            raise ImageError("this record has neither pixels nor a path; read it again from its source")
        return Scene.open(self.path)

    def open(self) -> Image.Image:
        """The image in RGB, every pixel of it, in the colours a model is shown.

        Raises:
            ImageError: There are neither pixels nor a readable file.
        """
        if self.pixels is not None:
            return Image.fromarray(self.pixels)
        with self.opened() as scene:
            return FullSize(scene).read(scene.window)


class FullSize:
    """Parts of a scene, at full size unless asked otherwise, all in the colours that the whole is shown in."""

    def __init__(self, scene: Scene) -> None:
        """Find the whole's stretch, where its samples need one."""
        self._scene = scene
        self._stretch: Stretch | Literal["auto"] = "auto" if scene.full_scale is not None else scene.read().stretch

    def read(self, window: Window, max_side: int | None = None) -> Image.Image:
        """A window in RGB, black where the image has no data; averaged down to `max_side` where that is given.

        Raises:
            ImageError: It cannot be read.
        """
        side = min(max(window.size), max_side or max(window.size))
        return self._scene.read(window, max_side=side, stretch=self._stretch, allow_blank=True).pil()


def as_polygon(points: Any) -> Polygon:  # noqa: ANN401 - decoded JSON
    """Four (x, y) corners from decoded JSON.

    Raises:
        ValueError: There are not exactly four pairs of finite numbers.
    """
    corners = tuple((float(x), float(y)) for x, y in points)
    if len(corners) != 4 or not np.isfinite(corners).all():
        raise ValueError(f"a polygon needs four finite corners, not {points!r}")
    return corners[0], corners[1], corners[2], corners[3]
