"""The frames of one view and the maps between them."""

import math
from dataclasses import dataclass, replace
from typing import Literal, Self, cast

from affine import Affine

from geochat.errors import ImageError, RegionError, SettingsError

Fit = Literal["pad", "crop"]
Space = Literal["model", "view", "image", "map"]

IDENTITY = Affine.identity()


@dataclass(frozen=True)
class Frame:
    """Where a view lies in its image and on the ground, and how the model's square is laid over it.

    Attributes:
        view_size: (width, height) of the view in pixels.
        view_to_image: View pixels to pixels of the whole image; carries the window's offset and any decimation.
        image_to_map: Pixels of the whole image to map coordinates, None for an image that has no place on Earth.
        crs: What the map coordinates are in, as "EPSG:32614" or WKT; None when unknown.
        fit: "pad" pastes the view into the middle of a square of its longer side, at the integer offset
            (side - width) // 2, (side - height) // 2, as GeoChat's `expand2square`. "crop" resizes the shorter side
            to `model_size` and keeps the central square, as CLIP's preprocessing.
        model_size: Side of the model's square in pixels. Only "crop" needs it, because CLIP rounds the longer side
            down to a whole number of pixels of the resized image, and the crop's offset too.
    """

    view_size: tuple[int, int]
    view_to_image: Affine = IDENTITY
    image_to_map: Affine | None = None
    crs: str | None = None
    fit: Fit = "pad"
    model_size: int | None = None

    def __post_init__(self) -> None:
        if min(self.view_size) < 1:
            raise ImageError(
                f"a view of {self.view_size[0]} x {self.view_size[1]} pixels is empty; give at least 1 x 1"
            )
        if self.fit not in ("pad", "crop"):
            raise SettingsError(f"fit={self.fit!r} is unknown; choose 'pad' or 'crop'")
        if self.fit == "crop" and (self.model_size is None or self.model_size < 1):
            raise SettingsError(f"fit='crop' needs the side of the model's square; model_size={self.model_size}")
        for name, affine in (("view_to_image", self.view_to_image), ("image_to_map", self.image_to_map)):
            if affine is not None and (affine.is_degenerate or not all(map(math.isfinite, affine))):
                raise ImageError(f"{name} {tuple(affine)[:6]} has no inverse; mend the image's geotransform")

    @property
    def model_to_view(self) -> Affine:
        """Percent of the model's square to view pixels."""
        if self.fit == "pad":
            return _unpad(*self.view_size)
        return _uncrop(*self.view_size, cast(int, self.model_size))

    @property
    def model_to_image(self) -> Affine:
        """Percent of the model's square to pixels of the whole image."""
        return self.view_to_image @ self.model_to_view

    @property
    def model_to_map(self) -> Affine | None:
        """Percent of the model's square to map coordinates; None for an image that has no place on Earth."""
        return None if self.image_to_map is None else self.image_to_map @ self.model_to_image

    def between(self, source: Space, target: Space) -> Affine:
        """The map from one frame to another, in either direction.

        Raises:
            ImageError: The map frame is asked for and the image has no geotransform.
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
        maps = {"model": self.model_to_image, "view": self.view_to_image, "image": IDENTITY}
        return maps[space]


def _unpad(width: int, height: int) -> Affine:
    """Percent of the padded square to pixels of the width x height view in its middle."""
    side = max(width, height)
    offset = Affine.translation(-((side - width) // 2), -((side - height) // 2))
    return offset @ Affine.scale(side / 100)


def _uncrop(width: int, height: int, size: int) -> Affine:
    """Percent of the central size x size square of the resized view to pixels of the view.

    CLIP resizes the shorter side to `size` and the longer to int(size * longer / shorter), then cuts at
    (resized - size) // 2, so the two axes' scales may differ by less than a pixel over the whole image.
    """
    shorter = min(width, height)
    resized_width = int(size * width / shorter)
    resized_height = int(size * height / shorter)
    resized_to_view = Affine.scale(width / resized_width, height / resized_height)
    offset = Affine.translation((resized_width - size) // 2, (resized_height - size) // 2)
    return resized_to_view @ offset @ Affine.scale(size / 100)
