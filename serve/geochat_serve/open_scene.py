"""Open scenes: an uploaded or bundled image, kept open while a session shows it."""

import base64
import io
import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.resources import files
from pathlib import Path
from typing import Any, Self

import numpy as np
from PIL import Image

from geochat.errors import ImageError
from geochat.geometry import to_geographic, transform_points
from geochat.imagery import BandChoice, GeoImage, Scene, Stretch
from geochat_serve.storage import UploadStorage, safe_name

_LOSSLESS_PIXELS = 2**19
_GRID = 17  # the page gets longitude and latitude at this many points per side, and interpolates between them
_THUMBNAIL_SIDE = 300


def _new_id() -> str:
    return secrets.token_hex(8)


@dataclass(frozen=True, eq=False)
class OpenScene:
    """A scene, with the bands and the stretch it is shown in. Close it, or use it in a `with` statement.

    Thread-safe for reading.

    Attributes:
        name: The user's name for the file.
        scene: The open file, shared by all renderings.
        overview: The whole image, decimated if it is large.
        owned: Whether the file is deleted with the scene.
        page: Page of a file with several images, from 1.
        id: Identifies this rendering: file, page, bands and stretch.
        image_id: Identifies the image; the same for all its renderings.
    """

    name: str
    scene: Scene = field(repr=False)
    overview: GeoImage = field(repr=False)
    owned: bool = True
    page: int = 1
    id: str = field(default_factory=_new_id)
    image_id: str = field(default_factory=_new_id)

    @classmethod
    def open(cls, path: Path, name: str, *, page: int = 1, owned: bool = True) -> Self:
        """Open an image file.

        Raises:
            ImageError: It cannot be read or shown, or has no such page; the message gives its name, not its path.
        """
        scene = Scene.open(path, name=name, page=page)
        try:
            return cls(name, scene, scene.read(), owned, page)
        except BaseException:
            scene.close()
            raise

    def __enter__(self) -> Self:
        """Return the scene."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the scene."""
        self.close()

    def close(self) -> None:
        """Close the file, for all renderings. Idempotent."""
        self.scene.close()

    @property
    def path(self) -> Path | None:
        """Path of the file on this server, which clients never learn."""
        return self.scene.path

    def open_page(self, page: int) -> Self:
        """Open another page of the same file.

        Raises:
            ImageError: There is no such page, or it cannot be shown.
        """
        if self.path is None:
            raise ImageError(f"{self.name} has no pages")
        return self.open(self.path, self.name, page=page, owned=self.owned)

    def rendered(self, bands: BandChoice, stretch: Stretch) -> Self:
        """Return a rendering of the scene with other bands or another stretch.

        Raises:
            ImageError: There are no such bands.
            SettingsError: The stretch is impossible.
        """
        return replace(self, overview=self.scene.read(bands=bands, stretch=stretch), id=_new_id())

    def view(self, window: Sequence[int] | None, max_side: int | None = None) -> GeoImage:
        """Read a window of the image in the colours of the overview, at full resolution up to `max_side` pixels.

        Raises:
            ImageError: The window is outside the image, or the file cannot be read any more.
        """
        if window is None or (tuple(window) == self.overview.window and max_side is None):
            return self.overview
        return self.scene.read(window, max_side=max_side, bands=self.overview.bands, stretch=self.overview.stretch)

    @property
    def payload(self) -> dict[str, Any]:
        """JSON-ready data with which the page shows the scene, made when first asked for."""
        if "_payload" not in self.__dict__:  # no `cached_property`, in which threads wait for each other's scenes
            self.__dict__["_payload"] = self._make_payload()
        made: dict[str, Any] = self.__dict__["_payload"]
        return made

    def _make_payload(self) -> dict[str, Any]:
        image = self.overview
        affine = image.frame.image_to_map
        georeferenced = affine is not None and image.crs is not None
        return {
            "id": self.id,
            "image_id": self.image_id,
            "name": self.name,
            "width": image.width,
            "height": image.height,
            "source": data_url(image.pil()),
            "gsd": image.gsd,
            "crs": _short(image.crs) if georeferenced else None,
            "affine": list(affine[:6]) if affine is not None and georeferenced else None,
            "lonlat": self._lonlat_grid() if georeferenced else None,
        }

    def _lonlat_grid(self) -> list[list[list[float]]] | None:
        """Return longitude and latitude at `_GRID` x `_GRID` points over the image, rows from the top."""
        image = self.overview
        x, y = np.meshgrid(np.linspace(0, image.width, _GRID), np.linspace(0, image.height, _GRID))
        if image.frame.image_to_map is None:
            return None
        points = transform_points(np.stack([x.ravel(), y.ravel()], axis=1), image.frame.image_to_map)
        try:
            lonlat = to_geographic(points, image.crs)
        except ImageError:  # PROJ does not know the CRS
            return None
        if not np.isfinite(lonlat).all():
            return None
        unwrapped = lonlat.copy()
        unwrapped[:, 0] = np.degrees(np.unwrap(np.radians(lonlat[:, 0].reshape(_GRID, _GRID)), axis=1)).ravel()
        grid: list[list[list[float]]] = unwrapped.round(8).reshape(_GRID, _GRID, 2).tolist()
        return grid


def samples() -> list[dict[str, Any]]:
    """Return the bundled scenes: `file` and `title` of each."""
    listed: list[dict[str, Any]] = json.loads((_samples_folder() / "samples.json").read_text(encoding="utf-8"))
    return listed


def open_sample(name: str, images: Sequence[Path] = ()) -> OpenScene:
    """Open an image of the gallery.

    Args:
        name: Its `file` in `gallery`.
        images: Those that the server was started with.

    Raises:
        ImageError: There is none of that name.
    """
    for number, path in enumerate(images):
        if name == f"{number}/{path.name}":
            return OpenScene.open(path, path.name, owned=False)
    if name not in [sample["file"] for sample in samples()]:
        raise ImageError(f"there is no bundled scene {name!r}; choose one from the gallery")
    return OpenScene.open(_samples_folder() / name, name, owned=False)


def open_upload(data: Mapping[str, Any], storage: UploadStorage) -> OpenScene:
    """Claim an uploaded image and open it; it is removed if it cannot be opened.

    Args:
        data: Its `upload`, as the storage named it, and the `name` it had.
        storage: Holds it.

    Raises:
        ImageError: It cannot be opened, or it is gone.
    """
    path = storage.claim(data.get("upload"))
    try:
        return OpenScene.open(path, safe_name(str(data.get("name") or "")))
    except BaseException:
        storage.remove(path)
        raise


def gallery_titles(images: Sequence[Path] = ()) -> dict[str, str]:
    """Return the title of each image that the server offers, by its file: those given, then the bundled scenes."""
    titles = {f"{number}/{path.name}": path.name for number, path in enumerate(images)}
    return titles | {str(sample["file"]): str(sample["title"]).split(",")[0] for sample in samples()}


def gallery(images: Sequence[Path] = ()) -> list[dict[str, str]]:
    """Return file, title and thumbnail of each image that the server offers: those given, then the bundled scenes."""
    shown = []
    for file, title in gallery_titles(images).items():
        with open_sample(file, images) as scene:
            picture = scene.overview.pil()
        picture.thumbnail((_THUMBNAIL_SIDE, _THUMBNAIL_SIDE))
        shown.append({"file": file, "title": title, "thumbnail": data_url(picture)})
    return shown


def data_url(picture: Image.Image) -> str:
    """Return a picture as a data URL: PNG if it is small, otherwise JPEG."""
    content = io.BytesIO()
    if picture.width * picture.height <= _LOSSLESS_PIXELS:
        picture.save(content, "PNG", compress_level=1)  # a quarter of the default's time, a tenth more bytes
        kind = "png"
    else:
        picture.save(content, "JPEG", quality=90)
        kind = "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(content.getvalue()).decode()}"


def _short(crs: str | None) -> str | None:
    """Return a CRS for the status line: its code, or the name in its WKT."""
    if crs is None or len(crs) < 24:
        return crs
    return crs.split('"')[1] if '"' in crs else crs[:24]


def _samples_folder() -> Path:
    return Path(str(files("geochat") / "samples"))
