"""An opened image: what to show, where it lies, and how it was made."""

import hashlib
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from geochat.errors import ImageError
from geochat.frames import Frame, ground_sample_distance
from geochat.imagery.grid import Window
from geochat.imagery.stretch import Stretch


@dataclass(frozen=True, eq=False)
class GeoImage:
    """A view of an image, 8-bit RGB, with its place and its provenance.

    Attributes:
        pixels: The view, uint8 (height, width, 3), read-only.
        frame: Where the view lies in the image and on the ground.
        width: Of the whole image at full resolution, after the turn its EXIF orientation asks for.
        height: As `width`.
        window: The whole-image pixels that the view shows.
        bands: The 1-based bands shown as red, green and blue, or the one shown as grey. A palette counts as three.
        stretch: What was done to the samples, limits filled in; give it to `open_image` for another window to have
            both in the same colours.
        path: The file, None for an image given in memory.
    """

    pixels: NDArray[np.uint8] = field(repr=False)
    frame: Frame
    width: int
    height: int
    window: Window
    bands: tuple[int, ...]
    stretch: Stretch
    path: Path | None = None

    @property
    def crs(self) -> str | None:
        """What the map coordinates are in, as "EPSG:32614" or WKT; None when unknown."""
        return self.frame.crs

    @cached_property
    def gsd(self) -> float | None:
        """Ground sample distance: metres along the side of a full-resolution pixel at the image's centre, or None."""
        if self.frame.image_to_map is None or self.frame.crs is None:
            return None
        return ground_sample_distance(self.frame.image_to_map, self.frame.crs, (self.width / 2, self.height / 2))

    @cached_property
    def sha256(self) -> str:
        """Hex digest of the file's bytes or, for an image given in memory, of the view's size and pixels.

        Computed when first asked for, since a scene may be many gigabytes.

        Raises:
            ImageError: The file has gone since it was opened.
        """
        if self.path is None:
            return hashlib.sha256(repr(self.pixels.shape).encode() + self.pixels.tobytes()).hexdigest()
        try:
            with self.path.open("rb") as stream:
                return hashlib.file_digest(stream, "sha256").hexdigest()
        except OSError as error:
            raise ImageError(f"{self.path} can no longer be read ({error.strerror}); open it again") from error

    def pil(self) -> Image.Image:
        """The view as a PIL image in mode RGB."""
        return Image.fromarray(self.pixels)
