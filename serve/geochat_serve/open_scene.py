"""An image that somebody has open: opened once, kept open while it is shown, closed with its session."""

import base64
import io
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
from PIL import Image

from geochat.errors import ImageError
from geochat.geometry import to_geographic, transform_points
from geochat.imagery import BandChoice, GeoImage, Scene, Stretch

_LOSSLESS_PIXELS = 2**19
_GRID = 17  # longitude and latitude are sent at so many points a side; between them the browser interpolates


def _new_id() -> str:
    return secrets.token_hex(4)


@dataclass(frozen=True, eq=False)
class OpenScene:
    """A scene with the bands and the stretch it is shown in. Close it, or use it in a `with` statement.

    May be read from several threads at once.

    Attributes:
        name: What its user calls it.
        scene: The scene, which all looks at the image share.
        image: The whole of it, decimated where it is large.
        owned: Whether the file is this scene's alone, to be deleted with it.
        id: Tells scenes, and looks at one scene, apart.
        opening: Tells scenes apart, and is the same for every look at one.
    """

    name: str
    scene: Scene = field(repr=False)
    image: GeoImage = field(repr=False)
    owned: bool = True
    id: str = field(default_factory=_new_id)
    opening: str = field(default_factory=_new_id)

    @classmethod
    def open(cls, path: Path, name: str, *, owned: bool = True) -> Self:
        """Open an image file.

        Raises:
            ImageError: It cannot be read or shown; the message says its name, and not its place.
        """
        scene = Scene.open(path, name=name)
        try:
            return cls(name, scene, scene.read(), owned)
        except BaseException:
            scene.close()
            raise

    def __enter__(self) -> Self:
        """The scene."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """Close the file, for every look at it. Idempotent."""
        self.scene.close()

    @property
    def path(self) -> Path | None:
        """Where the file lies on this server, of which no client learns."""
        return self.scene.path

    def shown_with(self, bands: BandChoice, stretch: Stretch) -> Self:
        """Another look at the scene, in other bands or with another stretch.

        Raises:
            ImageError: There are no such bands.
            SettingsError: The stretch is impossible.
        """
        return replace(self, image=self.scene.read(bands=bands, stretch=stretch), id=_new_id())

    def view(self, window: Sequence[int] | None, max_side: int | None = None) -> GeoImage:
        """A part of the image at full resolution as far as `max_side` allows, in the same colours as the whole.

        Raises:
            ImageError: The window is not in the image, or its file cannot be read any more.
        """
        if window is None or (tuple(window) == self.image.window and max_side is None):
            return self.image
        return self.scene.read(window, max_side=max_side, bands=self.image.bands, stretch=self.image.stretch)

    @cached_property
    def payload(self) -> dict[str, Any]:
        """What the browser needs to show it, JSON-ready."""
        image = self.image
        affine = image.frame.image_to_map
        georeferenced = affine is not None and image.crs is not None
        return {
            "id": self.id,
            "image": self.opening,
            "name": self.name,
            "width": image.width,
            "height": image.height,
            "source": data_url(image.pil()),
            "gsd": image.gsd,
            "crs": _short(image.crs) if georeferenced else None,
            "affine": list(affine[:6]) if affine is not None and georeferenced else None,
            "lonlat": self._lonlat_grid() if georeferenced else None,
            "bands": list(image.bands),
            "stretch": image.stretch.method,
        }

    def _lonlat_grid(self) -> list[list[list[float]]] | None:
        """Longitude and latitude at `_GRID` x `_GRID` points over the image, rows from the top."""
        image = self.image
        x, y = np.meshgrid(np.linspace(0, image.width, _GRID), np.linspace(0, image.height, _GRID))
        if image.frame.image_to_map is None:
            return None
        points = transform_points(np.stack([x.ravel(), y.ravel()], axis=1), image.frame.image_to_map)
        try:
            lonlat = to_geographic(points, image.crs)
        except ImageError:  # a CRS that PROJ does not know
            return None
        if not np.isfinite(lonlat).all():
            return None
        unwrapped = lonlat.copy()
        unwrapped[:, 0] = np.degrees(np.unwrap(np.radians(lonlat[:, 0].reshape(_GRID, _GRID)), axis=1)).ravel()
        grid: list[list[list[float]]] = unwrapped.round(8).reshape(_GRID, _GRID, 2).tolist()
        return grid


def data_url(picture: Image.Image) -> str:
    """A picture as a data URL: PNG where it is small, JPEG where it is large."""
    content = io.BytesIO()
    if picture.width * picture.height <= _LOSSLESS_PIXELS:
        picture.save(content, "PNG")
        kind = "png"
    else:
        picture.save(content, "JPEG", quality=90)
        kind = "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(content.getvalue()).decode()}"


def _short(crs: str | None) -> str | None:
    """A CRS's name for a status line: its code, or what its WKT calls it."""
    if crs is None or len(crs) < 24:
        return crs
    return crs.split('"')[1] if '"' in crs else crs[:24]
