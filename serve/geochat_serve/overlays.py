"""Vector layers that a user drops on the image, laid on it in pixels.

Only GeoJSON, GeoPackage and FlatGeobuf are read, told by their first bytes: other formats of GDAL's, such as VRT, name
files for the server to open.
"""

from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from geochat.errors import GeoChatError, RegionError
from geochat.exports import VectorLayer, read_vector_layer
from geochat.geometry import from_geographic, to_geographic, transform_points
from geochat_serve.open_scene import OpenScene

MAX_BYTES = 2**26
MAX_FEATURES = 200_000
MAX_VERTICES = 2_000_000
_MAX_LABEL = 120
_LABELLED = 4  # columns
_GEOPACKAGE_IDS = (b"GPKG", b"GP10", b"GP11")


def read_overlay(path: Path, name: str, scene: OpenScene) -> dict[str, Any]:
    """Read a vector layer and lay it on a scene, JSON-ready.

    Args:
        path: The file; renamed so that its suffix is its format's.
        name: The user's name for it.
        scene: The scene.

    Returns:
        `name`; `shapes`, each with `type` (polygon, line or point), `parts` in pixels of the scene, and `label`;
        `others`, the names of the file's other layers; `skipped`, the number of features without a place on the scene.

    Raises:
        RegionError: It is too large, of another format, malformed or empty, or has a CRS while the scene has none.
    """
    if (size := path.stat().st_size) > MAX_BYTES:
        raise RegionError(f"{name} has {size / 2**20:.0f} MB; layers may have up to {MAX_BYTES // 2**20}")
    named = path.rename(path.with_suffix(_suffix(path, name)))
    try:
        layer = read_vector_layer(named)
    except GeoChatError as error:
        raise RegionError(str(error).replace(str(named), name).replace("region file", "layer")) from error
    if len(layer) > MAX_FEATURES:
        raise RegionError(f"{name} has {len(layer):,} features; layers may have up to {MAX_FEATURES:,}")
    geometries = np.array(layer.geometries, dtype=object)
    if (count := int(shapely.get_num_coordinates(geometries).sum())) > MAX_VERTICES:
        raise RegionError(f"{name} has {count:,} vertices; simplify it to {MAX_VERTICES:,}")
    laid = _in_pixels(shapely.force_2d(geometries), layer, name, scene)
    shapes = [
        {"type": kind, "parts": parts, "label": label}
        for geometry, label in zip(laid, _labels(layer), strict=True)
        for kind, parts in _parts(geometry)
    ]
    if not shapes:
        raise RegionError(f"{name} has no feature with a place on {scene.name}")
    skipped = int(sum(shapely.is_missing(laid) | shapely.is_empty(laid)))
    return {"name": name, "shapes": shapes, "others": list(layer.others), "skipped": skipped}


def _suffix(path: Path, name: str) -> str:
    """Return the suffix of a file's format.

    Raises:
        RegionError: It is none of those that are read.
    """
    with path.open("rb") as file:
        head = file.read(128)
    if head.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"{":
        return ".geojson"
    if head.startswith(b"SQLite format 3\0") and head[68:72] in _GEOPACKAGE_IDS:
        return ".gpkg"
    if head.startswith(b"fgb\x03"):
        return ".fgb"
    raise RegionError(f"{name} is no GeoJSON, GeoPackage or FlatGeobuf; convert it (ogr2ogr)")


def _in_pixels(geometries: NDArray[Any], layer: VectorLayer, name: str, scene: OpenScene) -> NDArray[Any]:
    """Return geometries in pixels of the scene; None for one that cannot be brought there.

    Raises:
        RegionError: The layer has a CRS and the scene has none.
    """
    if layer.coordinates != "map":
        flip = (1, 1) if layer.coordinates == "pixels" else (1, -1)
        return np.asarray(shapely.transform(geometries, lambda points: points * flip))
    place = scene.overview.place
    if place.image_to_map is None or place.map_crs is None:
        raise RegionError(f"{name} lies on the map and {scene.name} has no place there; georeference the image")
    to_image, crs, source = ~place.image_to_map, place.map_crs, layer.crs or place.map_crs

    def lay(points: NDArray[np.float64]) -> NDArray[np.float64]:
        if source != crs:
            points = from_geographic(to_geographic(points, source), crs)
        return transform_points(points, to_image)

    try:
        laid = np.asarray(shapely.transform(geometries, lay))
    except GeoChatError as error:
        raise RegionError(f"{name}: {error}") from error
    points, owners = shapely.get_coordinates(laid, return_index=True)
    laid[owners[~np.isfinite(points).all(axis=1)]] = None
    return laid


def _parts(geometry: shapely.Geometry | None) -> list[tuple[str, list[list[list[float]]]]]:
    """Return kind and parts of a geometry, multi-part ones and collections taken apart."""
    found = []
    for part in [] if geometry is None or geometry.is_empty else shapely.get_parts(geometry):
        if isinstance(part, shapely.Polygon):
            found.append(("polygon", [_points(ring) for ring in (part.exterior, *part.interiors)]))
        elif isinstance(part, shapely.LineString):
            found.append(("line", [_points(part)]))
        elif isinstance(part, shapely.Point):
            found.append(("point", [_points(part)]))
        elif hasattr(part, "geoms"):
            found += [each for inner in part.geoms for each in _parts(inner)]
    return found


def _points(geometry: shapely.Geometry) -> list[list[float]]:
    points: list[list[float]] = shapely.get_coordinates(geometry).round(1).tolist()
    return points


def _labels(layer: VectorLayer) -> list[str]:
    """Return a label for each feature: its first attributes."""
    columns = [(name, layer.columns[name]) for name in list(layer.columns)[:_LABELLED]]
    rows = range(len(layer))
    return [
        " · ".join(f"{name}: {column[row]}" for name, column in columns if column[row] is not None)[:_MAX_LABEL]
        for row in rows
    ]
