"""Views of a scene through windows, with common bands and stretch."""

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any, TypedDict, Unpack

import numpy as np
import shapely
from affine import Affine

from geochat.assistant.layers import layer_shapes
from geochat.assistant.notices import metres
from geochat.errors import ImageError, RegionError
from geochat.exports import Feature, VectorLayer, read_vector_layer
from geochat.find.windows import OVERLAP, WindowPlan, plan_windows, window_side
from geochat.geometry import Frame, ImagePlace
from geochat.imagery import BandChoice, GeoImage, Scene, Stretch, Window
from geochat.imagery.stretch import Method
from geochat.models import ModelInfo

_OVERVIEW_SIDE = 2048
_OVERVIEW_PIXELS = 2**28  # decoded to find the limits of the whole scene's stretch
_PATCH = 512  # pixels per side, where that would be more
_CORNER = 16  # pixels per side that show which bands there are
_MEBIBYTE = 2**20


class OutsideError(RegionError):
    """The search area lies outside the scene."""


class LookOptions(TypedDict, total=False):
    """Options of the views of a scene.

    Attributes:
        window: A window's side, or (width, height), in pixels of the scene; None takes the side at which the model sees
            a ground resolution that it knows, or, in a search for objects, the one at which it finds them best.
        overlap: Overlap of windows, in pixels, or below 1 as a share of their side.
        scales: Factors of the window's side; each gives windows of its own.
        whole: Whether the whole image is also searched as one window.
        area: Search area: a vector file, a layer, or a geometry in pixels of the scene.
        bands: Bands to show; see `geochat.imagery.choose_bands`.
        stretch: Mapping of samples to brightness. Limits are found once for the whole scene.
    """

    window: int | tuple[int, int] | None
    overlap: float
    scales: Sequence[float]
    whole: bool
    area: str | Path | VectorLayer | shapely.Geometry | None
    bands: BandChoice
    stretch: Stretch | Method


class Look:
    """A scene and the windows through which a model sees it.

    Args:
        scene: The scene, open.
        info: The model.
        options: See `LookOptions`.

    Raises:
        SettingsError: A window, overlap or scale is impossible.
        RegionError: The area cannot be read, or is not on the scene.
        ImageError: The scene cannot be read, or has no such bands.

    Attributes:
        scene: The scene.
        plan: The windows.
        place: The scene's extent and where it lies.
        bands: The bands that are shown.
        stretch: Mapping of samples to brightness, limits filled in.
    """

    def __init__(self, scene: Scene, info: ModelInfo, **options: Unpack[LookOptions]) -> None:
        self.scene, self._info = scene, info
        self.place = ImagePlace(scene.width, scene.height, scene.image_to_map, scene.crs)
        side = options.get("window") or window_side(info.image_size, scene.gsd, info.settings.ground_resolution)
        self.plan: WindowPlan = plan_windows(
            scene.size,
            side,
            overlap=options.get("overlap", OVERLAP),
            scales=options.get("scales", (1.0,)),
            whole=options.get("whole", False),
            area=_area(options.get("area"), scene),
        )
        how = options.get("stretch", "auto")
        self.bands, self.stretch = scene_colours(
            scene, options.get("bands", "auto"), Stretch(how) if isinstance(how, str) else how
        )

    @property
    def name(self) -> str:
        """The name under which the scene was opened; for a file its path unless another was given."""
        return self.scene.name

    def view(self, number: int) -> GeoImage | None:
        """Return the view of a window; None if no pixel of it holds data.

        Raises:
            ImageError: It cannot be read.
        """
        view = self.scene.read(self.plan.window(number), bands=self.bands, stretch=self.stretch, allow_blank=True)
        return None if view.blank else view

    def overview(self, max_side: int = _OVERVIEW_SIDE) -> GeoImage:
        """The whole scene with the same bands and stretch.

        Raises:
            ImageError: It cannot be read, or is too large without overviews.
        """
        return self.scene.read(max_side=max_side, bands=self.bands, stretch=self.stretch, allow_blank=True)

    def feature(self, window: Window, properties: Mapping[str, Any]) -> Feature:
        """Return a row of a layer whose polygon is a window."""
        left, top, right, bottom = window.bounds
        return Feature(shapely.box(left, top, right, bottom, ccw=False), self.place, properties)

    @cached_property
    def identity(self) -> dict[str, Any]:
        """Identity of a scene, JSON-ready: for a file, a hash of a few of its bytes instead of its folder."""
        scene = self.scene
        return {
            "image": scene.name if scene.path is None else scene.path.name,
            "size": list(scene.size),
            "bands": list(self.bands),
            "dtype": scene.dtype,
            "crs": scene.crs,
            "geotransform": None if scene.image_to_map is None else list(scene.image_to_map)[:6],
            "fingerprint": None if scene.path is None else _fingerprint(scene.path),
        }

    def describe(self) -> str:
        """Describe the windows, and what the model sees in them, in a sentence."""
        plan, gsd, known = self.plan, self.scene.gsd, self._info.settings.ground_resolution
        parts = []
        for grid in plan.grids:
            width, height = grid.side
            ground = "" if gsd is None else f", {metres(max(width, height) * gsd)} on the ground"
            overlap = f", overlapping by {max(grid.overlap)}" if max(grid.overlap) else ""
            parts.append(f"{len(grid):,} of {width} x {height} pixels{overlap}{ground}")
        text = f"Windows: {'; '.join(parts)}"
        if plan.area is not None:
            text += f"; {plan.count:,} of them on the area"
        if gsd is None:
            return f"{text}. The scene does not say its ground resolution."
        seen = [gsd * max(grid.side) / self._info.image_size for grid in plan.grids]
        text += f". The model sees {' and '.join(dict.fromkeys(map(metres, seen)))} a pixel"
        if known is None:
            return f"{text}."
        text += f"; it was trained on {metres(known[0])} to {metres(known[1])}"
        guesses = "" if min(seen) <= 2 * known[1] else ", so its answers are guesses here"
        return f"{text}{guesses}."


def _area(area: object, scene: Scene) -> shapely.Geometry | None:
    """Return an area in pixels of a scene.

    Raises:
        RegionError: It cannot be read, is no polygon, or is not on the scene.
    """
    if area is None:
        return None
    if isinstance(area, shapely.Geometry):
        shape = shapely.make_valid(area)
    else:
        layer = area if isinstance(area, VectorLayer) else read_vector_layer(str(area))
        frame = Frame(scene.size, Affine.identity(), scene.image_to_map, scene.crs)
        shape = shapely.union_all([shapely.make_valid(each) for each in layer_shapes(layer, frame)])
    inside = shape.intersection(shapely.box(0, 0, *scene.size))
    if inside.area == 0:
        raise OutsideError(f"the area {getattr(area, 'path', area)!s:.80} has no ground in common with {scene.name}")
    return inside


def scene_colours(scene: Scene, bands: BandChoice, stretch: Stretch) -> tuple[tuple[int, ...], Stretch]:
    """Choose the bands of a scene, and one stretch for all its windows.

    Raises:
        ImageError: It has no such bands, or no part of it can be read.
    """
    needs_limits = stretch.finds_limits and (scene.full_scale is None or stretch.method == "percentile")
    factor = max((each for each in scene.overviews if each <= max(scene.size) / _OVERVIEW_SIDE), default=1)
    if needs_limits and scene.width * scene.height / factor**2 <= _OVERVIEW_PIXELS:
        with suppress(ImageError):  # a part of it may be damaged
            view = scene.read(max_side=_OVERVIEW_SIDE, bands=bands, stretch=stretch, allow_blank=True)
            return view.bands, view.stretch
    views, errors = [], []
    for patch in scene.window.patches(_PATCH if needs_limits else _CORNER):
        try:
            views.append(scene.read(patch, bands=bands, stretch=stretch, allow_blank=True))
        except ImageError as error:
            errors.append(error)
        if views and not needs_limits:
            return views[0].bands, views[0].stretch
    if not views:
        raise errors[0]
    return views[0].bands, _together([view.stretch for view in views if not view.blank] or [views[0].stretch])


def _together(stretches: Sequence[Stretch]) -> Stretch:
    """Combine the stretches of views into one."""
    limits = np.array([stretch.limits for stretch in stretches])  # (views, bands, 2)
    low, high = np.percentile(limits[..., 0], 10, axis=0), np.percentile(limits[..., 1], 90, axis=0)
    pairs = tuple((float(a), float(b)) for a, b in zip(low, high, strict=True))
    without = tuple(dict.fromkeys(value for stretch in stretches for value in stretch.without))
    return Stretch("percentile", stretches[0].percentiles, pairs, without)


def _fingerprint(path: Path) -> str:
    """Return the hex digest of a file's length and of its first, middle and last mebibyte.

    Raises:
        ImageError: It cannot be read.
    """
    try:
        with path.open("rb") as file:
            length = path.stat().st_size
            digest = hashlib.sha256(str(length).encode())
            for start in sorted({0, max(0, length // 2), max(0, length - _MEBIBYTE)}):
                file.seek(start)
                digest.update(file.read(_MEBIBYTE))
    except OSError as error:
        raise ImageError(f"{path} can no longer be read ({error.strerror}); open it again") from error
    return digest.hexdigest()
