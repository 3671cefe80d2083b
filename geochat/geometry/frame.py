"""The frames of one view and the maps between them."""

import math
from dataclasses import dataclass, replace
from typing import Literal, Self

from affine import Affine

from geochat.errors import ImageError, RegionError, SettingsError
from geochat.geometry.model_frame import ModelFrame

Space = Literal["model", "view", "image", "map"]

IDENTITY = Affine.identity()


@dataclass(frozen=True)
class Frame:
    """Place of a view in its image and on the ground, and the model's frame over it.

    Attributes:
        view_size: (width, height) of the view in pixels.
        view_to_image: View pixels to pixels of the whole image; carries the window's offset and any decimation.
        image_to_map: Pixels of the whole image to map coordinates, None for an image that has no place on Earth.
        crs: What the map coordinates are in, as "EPSG:32614" or WKT; None when unknown.
        model: The square the model sees and the numbers it writes; None before a model is asked.
    """

    view_size: tuple[int, int]
    view_to_image: Affine = IDENTITY
    image_to_map: Affine | None = None
    crs: str | None = None
    model: ModelFrame | None = None

    def __post_init__(self) -> None:
        if min(self.view_size) < 1:
            raise ImageError(
                f"a view of {self.view_size[0]} x {self.view_size[1]} pixels is empty; give at least 1 x 1"
            )
        for name, affine in (("view_to_image", self.view_to_image), ("image_to_map", self.image_to_map)):
            if affine is not None and (affine.is_degenerate or not all(map(math.isfinite, affine))):
                raise ImageError(f"{name} {tuple(affine)[:6]} has no inverse; mend the image's geotransform")

    @property
    def model_to_view(self) -> Affine:
        """Numbers the model writes to view pixels.

        Raises:
            SettingsError: The frame belongs to no model yet.
        """
        if self.model is None:
            raise SettingsError("this frame belongs to no model; start a conversation, or give it a ModelFrame")
        return self.model.to_view(self.view_size)

    @property
    def model_to_image(self) -> Affine:
        """Numbers the model writes to pixels of the whole image."""
        return self.view_to_image @ self.model_to_view

    @property
    def model_to_map(self) -> Affine | None:
        """Numbers the model writes to map coordinates; None for an image that has no place on Earth."""
        return None if self.image_to_map is None else self.image_to_map @ self.model_to_image

    def between(self, source: Space, target: Space) -> Affine:
        """The map from one frame to another, in either direction.

        Raises:
            ImageError: The map frame is asked for and the image has no geotransform.
            SettingsError: The model's frame is asked for and the frame belongs to no model.
        """
        from_target: Affine = ~self._to_image(target)
        return from_target @ self._to_image(source)

    def window(self, column: int, row: int, width: int, height: int) -> Self:
        """The frame of the view's crop at (column, row), in view pixels.

        Raises:
            RegionError: The crop is empty or leaves the view.
        """
        view_width, view_height = self.view_size
        inside = min(column, row) >= 0 and column + width <= view_width and row + height <= view_height
        if not inside or min(width, height) < 1:
            raise RegionError(
                f"crop {width} x {height} at ({column}, {row}) is not within the view of {view_width} x {view_height}"
                " pixels; choose one that is"
            )
        placed = self.view_to_image @ Affine.translation(column, row)
        return replace(self, view_size=(width, height), view_to_image=placed)

    def resized(self, width: int, height: int) -> Self:
        """The frame of the same ground in a view of another size, as after `Image.resize` or an overview read."""
        scale = Affine.scale(self.view_size[0] / max(width, 1), self.view_size[1] / max(height, 1))
        return replace(self, view_size=(width, height), view_to_image=self.view_to_image @ scale)

    def _to_image(self, space: Space) -> Affine:
        if space == "map":
            if self.image_to_map is None:
                raise ImageError("the image has no geotransform; open a georeferenced file such as a GeoTIFF")
            map_to_image: Affine = ~self.image_to_map
            return map_to_image
        if space == "model":
            return self.model_to_image
        return self.view_to_image if space == "view" else IDENTITY
