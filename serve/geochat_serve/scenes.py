"""A scene: one open image, as it is looked at and as it is asked about."""

import base64
import io
import json
import math
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from geochat.errors import GeoChatError, ImageError
from geochat.frames import to_geographic, transform_points
from geochat.imagery import BandChoice, GeoImage, Stretch, open_image

VIEW_SIDE = 2048  # of the picture sent to the browser, and of what a model is shown
_LOSSLESS_PIXELS = 2**19
_GRID = 17  # longitude and latitude are sent at so many points a side; between them the browser interpolates

WindowLike = Sequence[int]


@dataclass(frozen=True)
class Scene:
    """An image somebody has open.

    Attributes:
        name: What its user calls it.
        path: Where it lies on this server, of which no client learns.
        image: The whole of it, decimated where it is large.
        bands: The bands asked for.
        owned: Whether the file is this scene's alone, to be deleted with it.
        id: Tells scenes, and looks at one scene, apart.
        opening: Tells scenes apart, and is the same for every look at one.
    """

    name: str
    path: Path = field(repr=False)
    image: GeoImage = field(repr=False)
    bands: BandChoice = "auto"
    owned: bool = True
    id: str = field(default_factory=lambda: secrets.token_hex(4))
    opening: str = field(default_factory=lambda: secrets.token_hex(4))

    @classmethod
    def open(
        cls, path: Path, name: str, *, bands: BandChoice = "auto", stretch: Stretch | None = None, owned: bool = True
    ) -> "Scene":
        """Open an image file.

        Raises:
            ImageError: It cannot be read or shown; the message says its name, and not its place.
            SettingsError: The stretch is impossible.
        """
        try:
            image = open_image(path, bands=bands, stretch=stretch or Stretch(), max_side=VIEW_SIDE)
        except GeoChatError as error:
            raise type(error)(str(error).replace(str(path), name)) from error
        return cls(name, path, image, bands, owned)

    def shown_with(self, bands: BandChoice, stretch: Stretch) -> "Scene":
        """The same image with other bands or another stretch; errors as in `open`."""
        shown = self.open(self.path, self.name, bands=bands, stretch=stretch, owned=self.owned)
        return replace(shown, opening=self.opening)

    @property
    def whole(self) -> tuple[int, int, int, int]:
        """The window of the whole image."""
        return 0, 0, self.image.width, self.image.height

    def view(self, window: WindowLike | None, max_side: int = VIEW_SIDE) -> GeoImage:
        """A part of the image at full resolution as far as `max_side` allows, in the same colours as the whole.

        Raises:
            ImageError: The window is not in the image, or its file cannot be read any more.
        """
        if window is None or (tuple(window) == self.whole and max_side == VIEW_SIDE):
            return self.image
        try:
            return open_image(
                self.path, bands=self.image.bands, stretch=self.image.stretch, window=window, max_side=max_side
            )
        except ImageError as error:
            raise ImageError(str(error).replace(str(self.path), self.name)) from error

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


def samples() -> list[dict[str, Any]]:
    """The bundled scenes: `file` and `title`."""
    listed: list[dict[str, Any]] = json.loads((_samples_folder() / "samples.json").read_text(encoding="utf-8"))
    return listed


def open_sample(name: str) -> Scene:
    """Open a bundled scene.

    Raises:
        ImageError: There is none of that name.
    """
    if name not in [sample["file"] for sample in samples()]:
        raise ImageError(f"there is no bundled scene {name!r}; choose one of the gallery")
    return Scene.open(_samples_folder() / name, name, owned=False)


def resolution_notice(image: GeoImage, side: int, known: tuple[float, float] | None) -> str | None:
    """What to tell a user whose view has ground pixels far from those a model was trained on.

    Args:
        image: The view.
        side: Of the model's square, in pixels.
        known: Metres a pixel it was trained on, (finest, coarsest).
    """
    if image.gsd is None or known is None:
        return None
    seen = image.gsd * max(image.window.width, image.window.height) / side
    finest, coarsest = known
    if finest / 2 <= seen <= coarsest * 2:
        return None
    remedy = (
        "Zoom in and ask about this view."
        if seen > coarsest and image.gsd <= coarsest * 2
        else "Zoom out and ask about a larger part."
        if seen < finest
        else "Its answers are guesses here."
    )
    return (
        f"The model sees this view at {_metres(seen)} a pixel; it was trained on {_metres(finest)} to"
        f" {_metres(coarsest)}. {remedy}"
    )


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


def _samples_folder() -> Path:
    return Path(str(files("geochat") / "samples"))


def _metres(length: float) -> str:
    if length < 0.995:
        return f"{length * 100:.2g} cm"
    digits = max(0, 1 - math.floor(math.log10(length)))
    return f"{length:.{digits}f} m" if length < 1000 else f"{length / 1000:.1f} km"


def _short(crs: str | None) -> str | None:
    """A CRS's name for a status line: its code, or what its WKT calls it."""
    if crs is None or len(crs) < 24:
        return crs
    return crs.split('"')[1] if '"' in crs else crs[:24]
