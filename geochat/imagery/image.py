"""A view of an image: its pixels, georeference and provenance."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from geochat.errors import ImageError
from geochat.files import sha256_of
from geochat.geometry import Frame, ImagePlace, ground_sample_distance
from geochat.imagery.bands import BandChoice
from geochat.imagery.remarks import Remark
from geochat.imagery.stretch import Stretch
from geochat.imagery.windows import Window

if TYPE_CHECKING:
    from geochat.imagery.scene import Scene


@dataclass(frozen=True, eq=False)
class GeoImage:
    """A view of an image, 8-bit RGB, with its place and its provenance.

    Attributes:
        pixels: The view, uint8 (height, width, 3), read-only.
        frame: Frame of the view, in the image and on the ground.
        width: Width of the whole image at full resolution, after the turn its EXIF orientation asks for.
        height: As `width`.
        window: The whole-image pixels that the view shows.
        bands: The 1-based bands shown as red, green and blue, or the one shown as grey. A palette counts as three.
        stretch: What was done to the samples, limits filled in; give it to `open_image` for another window to have
            both in the same colours.
        path: The file, None for an image given in memory or on a server.
        url: The address of an image on a server, without what may be secret.
        blank: Whether no pixel of the view holds data.
        remarks: Remarks on how it was opened and shown.
        scene: Scene of the view, possibly closed; not pickled.
    """

    pixels: NDArray[np.uint8] = field(repr=False)
    frame: Frame
    width: int
    height: int
    window: Window
    bands: tuple[int, ...]
    stretch: Stretch
    path: Path | None = None
    url: str | None = None
    blank: bool = False
    remarks: tuple[Remark, ...] = ()
    scene: "Scene | None" = field(default=None, repr=False)

    @property
    def crs(self) -> str | None:
        """CRS of the map coordinates, as "EPSG:32614" or WKT; None when unknown."""
        return self.frame.crs

    @property
    def place(self) -> ImagePlace:
        """The georeference of the whole image."""
        return ImagePlace(self.width, self.height, self.frame.image_to_map, self.frame.crs)

    @property
    def source(self) -> str | None:
        """The path or the address; None for an image given in memory."""
        return self.url if self.path is None else str(self.path)

    @property
    def shrink(self) -> float:
        """Pixels of the image per pixel of the view: 1 at full resolution."""
        return max(self.window.width / self.frame.view_size[0], self.window.height / self.frame.view_size[1])

    @cached_property
    def gsd(self) -> float | None:
        """Ground sample distance: metres along the side of a full-resolution pixel at the image's centre, or None."""
        if self.frame.image_to_map is None or self.frame.crs is None:
            return None
        return ground_sample_distance(self.frame.image_to_map, self.frame.crs, (self.width / 2, self.height / 2))

    @property
    def sha256(self) -> str:
        """Hex digest of the file's bytes or, for an image in memory or on a server, of the view's size and pixels.

        Computed when first asked for, since a scene may be many gigabytes.

        Raises:
            ImageError: The file has gone since it was opened.
        """
        if "_sha256" not in self.__dict__:  # no `cached_property`, which would make threads wait for each other's files
            self.__dict__["_sha256"] = self._hash()
        return str(self.__dict__["_sha256"])

    def _hash(self) -> str:
        if self.path is None:
            return hashlib.sha256(repr(self.pixels.shape).encode() + self.pixels.tobytes()).hexdigest()
        try:
            return sha256_of(self.path)
        except OSError as error:
            raise ImageError(f"{self.path} can no longer be read ({error.strerror}); open it again") from error

    def pil(self) -> Image.Image:
        """The view as a PIL image in mode RGB."""
        return Image.fromarray(self.pixels)

    def look(
        self,
        window: Sequence[int] | None = None,
        *,
        max_side: int | None = None,
        size: tuple[int, int] | None = None,
        bands: BandChoice | None = None,
        stretch: Stretch | None = None,
        allow_blank: bool = False,
    ) -> "GeoImage":
        """Return another view of the same image, by default in the same colours; arguments as `Scene.read`.

        Reads from the scene while that is open, and opens its file again otherwise.

        Raises:
            ImageError: As `Scene.read`; or the file was changed or removed, or this view was unpickled.
            SettingsError: As `Scene.read`.
        """
        if self.scene is None:
            raise ImageError("this view has no scene to look at again; open the image again")
        if bands is None:
            bands, stretch = self.bands, self.stretch if stretch is None else stretch
        with self.scene.reopened() as scene:
            return scene.read(
                window,
                max_side=max_side,
                size=size,
                bands=bands,
                stretch=stretch or "auto",
                allow_blank=allow_blank,
            )

    def __getstate__(self) -> dict[str, Any]:
        """Return everything but the scene, whose handles belong to this process."""
        return {**self.__dict__, "scene": None}
