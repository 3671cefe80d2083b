"""The square a model sees, and the numbers by which it speaks of places in it."""

from dataclasses import dataclass
from typing import Literal, get_args

from affine import Affine

from geochat.errors import SettingsError

Fit = Literal["pad", "crop"]


@dataclass(frozen=True, slots=True)
class ModelFrame:
    """How the numbers a model reads and writes lie over the view it is shown.

    Attributes:
        fit: "pad" pastes the view into the middle of a square of its longer side, at the integer offset
            (side - width) // 2, (side - height) // 2, as GeoChat's `expand2square`. "crop" resizes the shorter side
            to `size` and keeps the central square, as CLIP's preprocessing.
        size: Side of the square in pixels. Only "crop" needs it, because CLIP rounds the longer side down to a whole
            number of pixels of the resized image, and the crop's offset too.
        scale: The number that stands for the far edge of the square; 100 where a model writes percent.

    Raises:
        SettingsError: The fit is unknown, "crop" has no size, or the scale is not positive.
    """

    fit: Fit = "pad"
    size: int | None = None
    scale: float = 100.0

    def __post_init__(self) -> None:
        if self.fit not in get_args(Fit):
            raise SettingsError(f"fit={self.fit!r} is unknown; choose 'pad' or 'crop'")
        if self.fit == "crop" and (self.size is None or self.size < 1):
            raise SettingsError(f"fit='crop' needs the side of the model's square in pixels; size={self.size}")
        if not self.scale > 0:
            raise SettingsError(f"scale={self.scale} is no extent; give the number written at the far edge")

    def to_view(self, view_size: tuple[int, int]) -> Affine:
        """Numbers the model writes to pixels of a view of (width, height)."""
        if self.fit == "pad" or self.size is None:
            return _unpad(*view_size, self.scale)
        return _uncrop(*view_size, self.size, self.scale)


def _unpad(width: int, height: int, scale: float) -> Affine:
    """Numbers over the padded square to pixels of the width x height view in its middle."""
    side = max(width, height)
    offset = Affine.translation(-((side - width) // 2), -((side - height) // 2))
    return offset @ Affine.scale(side / scale)


def _uncrop(width: int, height: int, size: int, scale: float) -> Affine:
    """Numbers over the central size x size square of the resized view to pixels of the view.

    CLIP resizes the shorter side to `size` and the longer to int(size * longer / shorter), then cuts at
    (resized - size) // 2, so the two axes' scales may differ by less than a pixel over the whole image.
    """
    shorter = min(width, height)
    resized_width = int(size * width / shorter)
    resized_height = int(size * height / shorter)
    resized_to_view = Affine.scale(width / resized_width, height / resized_height)
    offset = Affine.translation((resized_width - size) // 2, (resized_height - size) // 2)
    return resized_to_view @ offset @ Affine.scale(size / scale)
