"""Frames of a view: the image as a model sees it, and the maps between model, view, image and CRS."""

import math
from dataclasses import dataclass, replace
from typing import Literal, Self, get_args

from affine import Affine

from geochat.errors import ImageError, RegionError, SettingsError

Fit = Literal["pad", "crop"]
"""The way an image becomes the square that a LLaVA-like model sees: a setting of its checkpoint."""

Layout = Literal["pad", "crop", "image", "resize", "shrink"]
"""Over what a model's numbers lie; see `ModelFrame`."""

Size = tuple[int, int]
"""(width, height) in pixels."""


@dataclass(frozen=True, slots=True)
class SmartResize:
    """The resize of Qwen2-VL and its successors: sides divisible by `factor`, number of pixels within bounds.

    The arithmetic is that of transformers' `smart_resize`, rounding to even included.

    Attributes:
        factor: Divisor of both sides: patch size times merge size, 28, or 32 for Qwen3-VL.
        min_pixels: Fewest pixels; smaller images are enlarged.
        max_pixels: Most pixels; larger images are shrunk.
    """

    factor: int = 28
    min_pixels: int = 56 * 56
    max_pixels: int = 12_845_056

    def __post_init__(self) -> None:
        if not (self.factor > 0 and 0 < self.min_pixels <= self.max_pixels):
            raise SettingsError(f"{self} is no resizing rule; give a factor and min_pixels <= max_pixels, all positive")

    def __call__(self, size: Size) -> Size:
        """Return the resized (width, height) of an image."""
        width, height = (round(side / self.factor) * self.factor for side in size)
        if self.min_pixels <= width * height <= self.max_pixels:
            return width, height
        if width * height > self.max_pixels:
            shrinking = math.sqrt(size[0] * size[1] / self.max_pixels)
            width, height = (math.floor(side / shrinking / self.factor) * self.factor for side in size)
        else:
            enlarging = math.sqrt(self.min_pixels / (size[0] * size[1]))
            width, height = (math.ceil(side * enlarging / self.factor) * self.factor for side in size)
        return max(self.factor, width), max(self.factor, height)


@dataclass(frozen=True, slots=True)
class ModelFrame:
    """The frame of the numbers a model reads and writes, over its view.

    Attributes:
        fit: "pad" pastes the view into the middle of a square of its longer side, at the integer offset
            (side - width) // 2, (side - height) // 2, as GeoChat's `expand2square`. "crop" resizes the shorter side
            to `size` and keeps the central square, as CLIP's preprocessing. "image" takes x over the view's width and
            y over its height, whatever shape the model stretches it to. "resize" brings it to the size `resize` says.
            "shrink" brings its longer side down to `size` where it is longer.
        size: Side in pixels. Only "crop" and "shrink" need it; CLIP rounds the longer side down to a whole number
            of pixels of the resized image, and the crop's offset too.
        scale: The number that stands for the far edge: 100 for percent, 1000 for thousandths, 999 or 1023 where the
            last bin is the far edge. None where numbers are pixels of the image as the model sees it.
        bins: Whether a number names a bin, that is, the centre of [number, number + 1).
        resize: The rule of "resize".

    Raises:
        SettingsError: The fit is unknown, lacks its size, or the scale is impossible.
    """

    fit: Layout = "pad"
    size: int | None = None
    scale: float | None = 100.0
    bins: bool = False
    resize: SmartResize = SmartResize()

    def __post_init__(self) -> None:
        if self.fit not in get_args(Layout):
            raise SettingsError(f"fit={self.fit!r} is unknown; choose one of {', '.join(get_args(Layout))}")
        if self.fit in ("crop", "shrink") and (self.size is None or self.size < 1):
            raise SettingsError(f"fit={self.fit!r} needs the side of what the model sees in pixels; size={self.size}")
        if self.scale is None and self.fit in ("pad", "crop"):
            raise SettingsError(f"fit={self.fit!r} needs the number at the far edge; give scale, 100 for percent")
        if self.scale is not None and not self.scale > 0:
            raise SettingsError(f"scale={self.scale} is no extent; give the number written at the far edge")

    def extent(self, view_size: Size) -> tuple[float, float]:
        """Return the numbers at the right and the lower edge of the model's part of a view of (width, height)."""
        if self.scale is not None:
            return self.scale, self.scale
        return self.shown_size(view_size)

    def shown_size(self, view_size: Size) -> Size:
        """Return the size to which a view must be resized so that the model's own resizing leaves it unchanged.

        Padding and cropping are left to the model's processor: the view's own size.
        """
        if self.fit == "resize":
            return self.resize(view_size)
        longest = max(view_size)
        if self.fit == "shrink" and self.size is not None and longest > self.size:
            width, height = (max(1, round(side * self.size / longest)) for side in view_size)
            return width, height
        return view_size

    def to_view(self, view_size: Size) -> Affine:
        """Map the model's numbers to pixels of a view of (width, height)."""
        if self.fit == "pad" and self.scale is not None:
            affine = _unpad(*view_size, self.scale)
        elif self.fit == "crop" and self.scale is not None and self.size is not None:
            affine = _uncrop(*view_size, self.size, self.scale)
        else:
            across, down = self.extent(view_size)
            affine = Affine.scale(view_size[0] / across, view_size[1] / down)
        return affine @ Affine.translation(0.5, 0.5) if self.bins else affine


def _unpad(width: int, height: int, scale: float) -> Affine:
    """Map numbers over the padded square to pixels of the centred width x height view."""
    side = max(width, height)
    offset = Affine.translation(-((side - width) // 2), -((side - height) // 2))
    return offset @ Affine.scale(side / scale)


def _uncrop(width: int, height: int, size: int, scale: float) -> Affine:
    """Map numbers over the central size x size square of the resized view to pixels of the view.

    CLIP resizes the shorter side to `size` and the longer to int(size * longer / shorter), then cuts at
    (resized - size) // 2, so the two axes' scales may differ by less than a pixel over the whole image.
    """
    shorter = min(width, height)
    resized_width = int(size * width / shorter)
    resized_height = int(size * height / shorter)
    resized_to_view = Affine.scale(width / resized_width, height / resized_height)
    offset = Affine.translation((resized_width - size) // 2, (resized_height - size) // 2)
    return resized_to_view @ offset @ Affine.scale(size / scale)


Space = Literal["model", "view", "image", "map"]

IDENTITY = Affine.identity()


@dataclass(frozen=True)
class Frame:
    """Position of a view in its image and on the ground, and the model's frame over it.

    Attributes:
        view_size: (width, height) of the view in pixels.
        view_to_image: View pixels to pixels of the whole image; carries the window's offset and any decimation.
        image_to_map: Pixels of the whole image to map coordinates, None for an image that has no place on Earth.
        crs: CRS of the map coordinates, as "EPSG:32614" or WKT; None if unknown.
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
        """Map from the model's numbers to view pixels.

        Raises:
            SettingsError: The frame belongs to no model yet.
        """
        if self.model is None:
            raise SettingsError("this frame belongs to no model; start a conversation, or give it a ModelFrame")
        return self.model.to_view(self.view_size)

    @property
    def model_to_image(self) -> Affine:
        """Map from the model's numbers to pixels of the whole image."""
        return self.view_to_image @ self.model_to_view

    @property
    def model_to_map(self) -> Affine | None:
        """Map from the model's numbers to map coordinates; None for an image without a geotransform."""
        return None if self.image_to_map is None else self.image_to_map @ self.model_to_image

    def between(self, source: Space, target: Space) -> Affine:
        """Return the map from one frame to another, in either direction.

        Raises:
            ImageError: The map frame is asked for and the image has no geotransform.
            SettingsError: The model's frame is asked for and the frame belongs to no model.
        """
        from_target: Affine = ~self._to_image(target)
        return from_target @ self._to_image(source)

    def window(self, column: int, row: int, width: int, height: int) -> Self:
        """Return the frame of the view's crop at (column, row), in view pixels.

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
        """Return the frame of the same ground in a view of another size, after `Image.resize` or from an overview."""
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
