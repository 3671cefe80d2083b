"""A region of an answer, placed on the image and on the map."""

from dataclasses import dataclass
from typing import Self, cast

from affine import Affine

from geochat.frames import Frame, transform_points
from geochat.regions import OrientedBox, Region

Point = tuple[float, float]
Quadrilateral = tuple[Point, Point, Point, Point]


@dataclass(frozen=True, slots=True)
class GroundedRegion:
    """A box the model wrote, with its corners in every frame; corners run clockwise on screen.

    Attributes:
        phrase: What the box shows, None where the model did not say.
        box: In the model's frame, percent of the square it sees; its angle turns clockwise on screen.
        pixels: Corners (x, y) in pixels of the whole image at full resolution, y down.
        map: Corners (x, y) in the image's CRS, None for an image without one.
        score: How sure the model was of what it wrote, from 0 to 1: the geometric mean of the probabilities of the
            tokens that wrote the coordinates and the phrase. None where the engine gives no probabilities.
    """

    phrase: str | None
    box: OrientedBox
    pixels: Quadrilateral
    map: Quadrilateral | None
    score: float | None = None

    @classmethod
    def place(cls, region: Region, frame: Frame, score: float | None = None) -> Self:
        """Place what the parser read on the image that was asked about."""
        to_map = frame.model_to_map if frame.crs is not None else None
        return cls(
            region.phrase,
            region.box,
            pixels=_corners(region.box, frame.model_to_image),
            map=None if to_map is None else _corners(region.box, to_map),
            score=score,
        )


def _corners(box: OrientedBox, affine: Affine) -> Quadrilateral:
    return cast(Quadrilateral, tuple((x, y) for x, y in transform_points(box.corners(), affine).tolist()))
