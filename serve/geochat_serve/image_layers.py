"""Image layers: further images of a session, laid over the open one by the geotransforms and CRSs of both.

A layer is warped, tile by tile, into the pixel grid of the open scene. Outside its image a tile is transparent; pixels
of the image without data are black, as in the image itself.
"""

from typing import TypeAlias

import numpy as np
import rasterio.warp
from affine import Affine
from numpy.typing import NDArray
from PIL import Image
from rasterio.errors import RasterioError
from rasterio.warp import Resampling

from geochat.errors import ImageError
from geochat.geometry import from_geographic, to_geographic, transform_points
from geochat.imagery import Window
from geochat_serve.open_scene import OpenScene

MAX_LAYERS = 8
_GRID = 33  # points a side at which two images are compared
_OVERSAMPLING = 1.5  # source pixels along a pixel of a tile, at most
_MARGIN = 2  # pixels around what is read, for the interpolation

_Points: TypeAlias = NDArray[np.float64]


def layer_bounds(layer: OpenScene, scene: OpenScene) -> tuple[float, float, float, float]:
    """Return the part of a scene that a layer covers: left, top, right, bottom in pixels of the scene.

    Raises:
        ImageError: An image has no place on Earth, or they do not meet.
    """
    for image, other in ((layer, "laid over another image"), (scene, "an image under layers")):
        if image.overview.place.map_crs is None:
            raise ImageError(f"{image.name} has no place on Earth, so it cannot be {other}; georeference it")
    width, height = scene.overview.width, scene.overview.height
    onto = _between(_grid(Window(0, 0, layer.overview.width, layer.overview.height)), layer, scene)
    back = _between(_grid(Window(0, 0, width, height)), scene, layer)
    if not (_any_inside(onto, scene) or _any_inside(back, layer)):
        raise ImageError(f"{layer.name} lies elsewhere: it does not meet {scene.name}")
    if not np.isfinite(onto).all():  # some of the layer is beyond the reach of the scene's projection
        return 0.0, 0.0, float(width), float(height)
    left, top = np.clip(onto.min(axis=0), 0, (width, height))
    right, bottom = np.clip(onto.max(axis=0), 0, (width, height))
    return float(left), float(top), float(right), float(bottom)


def render_layer(layer: OpenScene, scene: OpenScene, window: Window, size: tuple[int, int]) -> Image.Image:
    """Render a layer in the pixel grid of a scene.

    Args:
        layer: The layer.
        scene: The scene it lies over.
        window: The part of the scene, in its pixels.
        size: Width and height of the picture.

    Returns:
        RGBA picture, transparent outside the layer's image.

    Raises:
        ImageError: The layer was closed, cannot be read, or cannot be warped.
    """
    part, ratio = _part_needed(layer, scene, window, size)
    if part is None:
        return Image.new("RGBA", size)
    shrink = min(1.0, ratio * _OVERSAMPLING)
    part_size = (max(1, round(part.width * shrink)), max(1, round(part.height * shrink)))
    shown = layer.overview
    view = layer.scene.read(part, size=part_size, bands=shown.bands, stretch=shown.stretch, allow_blank=True)
    opaque = np.full((1, part_size[1], part_size[0]), 255, np.uint8)
    warped = np.zeros((4, size[1], size[0]), np.uint8)
    try:
        rasterio.warp.reproject(
            np.concatenate([view.pixels.transpose(2, 0, 1), opaque]),
            warped,
            src_transform=_view_to_map(layer, part, part_size),
            src_crs=layer.overview.crs,
            dst_transform=_view_to_map(scene, window, size),
            dst_crs=scene.overview.crs,
            resampling=Resampling.bilinear,
        )
    except RasterioError as error:
        raise ImageError(f"{layer.name} cannot be laid over {scene.name} ({error})") from error
    return Image.fromarray(warped.transpose(1, 2, 0))


def _part_needed(
    layer: OpenScene, scene: OpenScene, window: Window, size: tuple[int, int]
) -> tuple[Window | None, float]:
    """Return the part of a layer that a window of a scene shows, None if none, and pixels of `size` along one of it."""
    points = _between(_grid(window), scene, layer)
    points = points[np.isfinite(points).all(axis=1)]
    if not len(points):
        return None, 1.0
    low, high = points.min(axis=0), points.max(axis=0)
    ratio = max(size) / max(1e-9, float((high - low).max()))
    margin = _MARGIN / min(1.0, ratio)
    extent = (layer.overview.width, layer.overview.height)
    left, top = np.floor(np.clip(low - margin, 0, extent)).astype(int).tolist()
    right, bottom = np.ceil(np.clip(high + margin, 0, extent)).astype(int).tolist()
    if right <= left or bottom <= top:
        return None, ratio
    return Window(left, top, right - left, bottom - top), ratio


def _between(points: _Points, source: OpenScene, target: OpenScene) -> _Points:
    """Return pixels of one image in pixels of another; not finite where its projection does not reach."""
    to_map, to_other = source.overview.place, target.overview.place
    if to_map.image_to_map is None or to_other.image_to_map is None:
        raise ImageError(f"{source.name} or {target.name} has no place on Earth")
    placed = transform_points(points, to_map.image_to_map)
    if to_map.crs != to_other.crs:
        placed = from_geographic(to_geographic(placed, to_map.crs), to_other.crs)
    return transform_points(placed, ~to_other.image_to_map)


def _grid(window: Window) -> _Points:
    x = np.linspace(window.column, window.column + window.width, _GRID)
    y = np.linspace(window.row, window.row + window.height, _GRID)
    return np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)


def _any_inside(points: _Points, scene: OpenScene) -> bool:
    x, y = points.T  # comparisons with NaN are false
    return bool(((x > 0) & (x < scene.overview.width) & (y > 0) & (y < scene.overview.height)).any())


def _view_to_map(scene: OpenScene, window: Window, size: tuple[int, int]) -> Affine:
    """Return the geotransform of a view of `window` in `size` pixels."""
    image_to_map = scene.overview.frame.image_to_map
    if image_to_map is None:
        raise ImageError(f"{scene.name} has no place on Earth")
    scale = Affine.scale(window.width / size[0], window.height / size[1])
    return image_to_map @ Affine.translation(window.column, window.row) @ scale
