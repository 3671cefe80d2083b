"""Regions of answers: geometries on the image, with derived map coordinates."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Self

import shapely
from shapely.geometry.base import BaseGeometry

from geochat.dialects import Region
from geochat.dialects.shapes import corners_of
from geochat.geometry import Frame, ImagePlace, OrientedBox, transform_geometry

Point = tuple[float, float]
Role = Literal["found", "asked"]

PROPERTIES = ("phrase", "score", "role", "answer", "as_asked", "width_m", "height_m", "area_m2")
"""Properties of every exported region, in this order."""


@dataclass(frozen=True)
class GroundedRegion:
    """A region in pixels of the whole image, found by the model or given in the question.

    Attributes:
        phrase: The model's name for it, None if it gave none.
        geometry: The region's box in pixels of the whole image at full resolution, y down, as it was written: it may
            reach beyond the image. Of what was not written as a box, the smallest rectangle around it.
        place: The image it lies on.
        box: What the model wrote, in its own numbers (for GeoChat percent of the square it sees); the angle turns
            clockwise on screen. None for a region that was not written by a model, and for a point.
        score: From 0 to 1: of a calibrated checkpoint, the probability that the box is right; of others, how sure the
            model was of what it wrote, the geometric mean of the probabilities of the tokens that wrote the coordinates
            and the phrase. None where the engine gives no probabilities.
        role: "found" by the model, or "asked" about.
        as_asked: Whether `phrase` names the requested object; None if unknown.
        answer: Of a region asked about: the answer in words.
        attributes: Of a region asked about: what its vector layer says of it.
        written: The point or polygon in pixels, where that is what was written.
    """

    phrase: str | None
    geometry: OrientedBox
    place: ImagePlace
    box: OrientedBox | None = None
    score: float | None = None
    role: Role = "found"
    as_asked: bool | None = None
    answer: str | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)
    written: BaseGeometry | None = None

    @classmethod
    def placed(cls, region: Region, frame: Frame, place: ImagePlace, score: float | None = None) -> Self:
        """Convert a region written about a view to image coordinates.

        Args:
            region: As the dialect read it.
            frame: Frame of the view, with the model's frame.
            place: The image the view shows a part of.
            score: Confidence of the model.
        """
        if region.geometry is None:
            return cls(region.phrase, region.box.transform(frame.model_to_image), place, region.box, score)
        shape = transform_geometry(region.geometry, frame.model_to_image)
        box = None if isinstance(shape, shapely.Point) else region.box
        return cls(region.phrase, OrientedBox.from_polygon(shape), place, box, score, written=shape)

    @property
    def shape(self) -> BaseGeometry:
        """The region as written, as a shapely polygon or point in pixels."""
        return self.geometry.polygon() if self.written is None else self.written

    @property
    def pixels(self) -> tuple[Point, ...]:
        """Corners (x, y) in pixels of the whole image, as written, clockwise on screen for boxes; one for a point."""
        return self.geometry.corners() if self.written is None else corners_of(self.written)

    @property
    def map(self) -> tuple[Point, ...] | None:
        """Corners (x, y) in the image's CRS, as written; None without a CRS."""
        return self._on_map(self.pixels)

    @property
    def outline(self) -> tuple[Point, ...]:
        """Corners in pixels of the part inside the image, clockwise on screen; empty if there is none."""
        return outline_of(self.shape, self.place)

    @property
    def map_outline(self) -> tuple[Point, ...] | None:
        """Corners of `outline` in the image's CRS; None without a CRS."""
        return self._on_map(self.outline)

    @property
    def ground_size(self) -> tuple[float, float, float] | None:
        """Metres along the first and second side of the box, and square metres; None for a point or outside the CRS."""
        return None if isinstance(self.written, shapely.Point) else self.place.ground_size(self.geometry.corners())

    def _on_map(self, points: tuple[Point, ...]) -> tuple[Point, ...] | None:
        on_map = self.place.to_map(points)
        return None if on_map is None else tuple((float(x), float(y)) for x, y in on_map)


def outline_of(shape: BaseGeometry, place: ImagePlace) -> tuple[Point, ...]:
    """Return corners in pixels of the part of a polygon or point inside an image; empty if there is none."""
    if isinstance(shape, shapely.Point):
        return corners_of(shape) if shapely.box(0, 0, place.width, place.height).covers(shape) else ()
    return ring_points(place.clip(shape)) if isinstance(shape, shapely.Polygon) else ()


def ring_points(polygon: shapely.Polygon | None) -> tuple[Point, ...]:
    """Return the corners of a polygon in pixels, clockwise on screen; empty for None."""
    if polygon is None:
        return ()
    ring = shapely.geometry.polygon.orient(polygon).exterior  # counter-clockwise with y up is clockwise on screen
    return tuple((float(x), float(y)) for x, y in list(ring.coords)[:-1])


def region_properties(region: GroundedRegion, taken: Collection[str] = ()) -> dict[str, Any]:
    """Return a region's attributes in a layer: those known here, then those of its own vector layer.

    Args:
        region: The region.
        taken: Names the layer uses for something else. An attribute of one of these, or of a name used here, is
            called "layer_" and its name; capitals do not count, as in GeoPackages.
    """
    width, height, area = region.ground_size or (None, None, None)
    values = (
        *(region.phrase, region.score, region.role, region.answer, region.as_asked),
        *map(_rounded, (width, height, area)),
    )
    names = renamed(region.attributes, (*PROPERTIES, *taken))
    attributes = {names[name]: value for name, value in region.attributes.items()}
    return {**dict(zip(PROPERTIES, values, strict=True)), **attributes}


def renamed(names: Iterable[str], taken: Collection[str]) -> dict[str, str]:
    """Rename attributes whose names the layer itself uses, with the prefix "layer_".

    Names are compared without regard to case, as in GeoPackages.
    """
    used = {name.lower() for name in taken}
    return {name: f"layer_{name}" if name.lower() in used else name for name in names}


def box_numbers(box: OrientedBox) -> list[float]:
    """Return x1, y1, x2, y2 and the angle."""
    return [box.x1, box.y1, box.x2, box.y2, box.angle]


def _rounded(length: float | None) -> float | None:
    return None if length is None else round(length, 2)
