"""Vector layers that a user drops on the image, laid on it in pixels.

Only GeoJSON, GeoPackage and FlatGeobuf are read, told by their first bytes: other formats of GDAL's, such as VRT, name
files for the server to open. What a small file may say in a few bytes, rows without end or a long value in each of
many rows, is found before GDAL reads it.
"""

import re
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import shapely
from numpy.typing import NDArray

from geochat.errors import GeoChatError, RegionError
from geochat.exports import VectorLayer, read_vector_layer
from geochat.geometry import from_geographic, to_geographic, transform_points
from geochat_serve.open_scene import OpenScene
from geochat_serve.validation import clean

MAX_BYTES = 2**26
MAX_FEATURES = 200_000
MAX_VERTICES = 2_000_000
_MAX_READ_BYTES = 2**28  # of a layer's values, read all at once
_MAX_MEASURE_S = 10.0
_BYTES_A_CELL = 8
_UNREADABLE = (ArithmeticError, LookupError, MemoryError, ValueError)  # of libraries, at damaged files
_MAX_BRACKETS = MAX_VERTICES + 8 * MAX_FEATURES  # of JSON: each becomes a list or an object
_INDEX = re.compile(
    r"""CREATE VIRTUAL TABLE\s+("[^"]+"|\w+)\s+USING\s+(rtree|fts\d)\s*\(.*""", re.DOTALL | re.IGNORECASE
)
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
        _check_size(named, name)
        layer = read_vector_layer(named)
    except GeoChatError as error:
        raise RegionError(str(error).replace(str(named), name).replace("region file", "layer")) from error
    except _UNREADABLE as error:
        raise RegionError(f"{name} is malformed; write it anew (ogr2ogr)") from error
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


def _check_size(path: Path, name: str) -> None:
    """Check that a file can be read in bounded memory and time.

    Raises:
        RegionError: It cannot, or is malformed.
    """
    try:
        if path.suffix == ".geojson":
            content = path.read_bytes()
            fits = content.count(b"[") + content.count(b"{") <= _MAX_BRACKETS
        elif path.suffix == ".gpkg":
            fits = _geopackage_bytes(path, name) <= _MAX_READ_BYTES
        else:
            info = pyogrio.read_info(path)
            fits = info["features"] * (1 + len(info["fields"])) * _BYTES_A_CELL <= _MAX_READ_BYTES
    except (sqlite3.Error, pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError) as error:
        raise RegionError(f"{name} cannot be read: {error}") from error
    if not fits:
        raise RegionError(f"{name} holds too much; simplify it to {MAX_VERTICES:,} vertices and few attributes")


def _geopackage_bytes(path: Path, name: str) -> int:
    """Return the bytes of all values in a GeoPackage's tables.

    Raises:
        RegionError: It computes rows or values instead of holding them: their number is unknown before they are read.
        sqlite3.Error: It is malformed, or too large to be measured in time.
    """
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro&immutable=1", uri=True)) as database:
        deadline = time.monotonic() + _MAX_MEASURE_S
        database.set_progress_handler(lambda: time.monotonic() > deadline, 1000)
        tables, total = [], 0
        for kind, table, sql in database.execute("SELECT type, name, sql FROM sqlite_master"):
            is_virtual = kind == "table" and str(sql).upper().startswith("CREATE VIRTUAL")
            if kind == "view" or (is_virtual and not _INDEX.fullmatch(str(sql))):
                raise RegionError(f"{name} has the view {table!r}; save the layer alone as a file (ogr2ogr)")
            if kind == "table" and not is_virtual:
                tables.append(table)
        for table in tables:
            quoted = _quoted(table)
            columns = list(database.execute(f"PRAGMA table_xinfo({quoted})"))
            if any(hidden for *_, hidden in columns):
                raise RegionError(f"{name} computes a column of {table!r}; save the layer alone as a file (ogr2ogr)")
            lengths = "+".join(f"ifnull(length(CAST({_quoted(column[1])} AS BLOB)),0)" for column in columns)
            query = f"SELECT count(*), total({lengths}) FROM {quoted}"
            count, size = database.execute(query).fetchone()
            total += int(size) + count * len(columns) * _BYTES_A_CELL
        return total


def _quoted(name: str) -> str:
    """Return an identifier of SQL."""
    return '"' + name.replace('"', '""') + '"'


def _in_pixels(geometries: NDArray[Any], layer: VectorLayer, name: str, scene: OpenScene) -> NDArray[Any]:
    """Return geometries in pixels of the scene; None for one that cannot be brought there.

    Raises:
        RegionError: The layer has a CRS and the scene has none.
    """
    if layer.coordinates != "map":
        flip = (1, 1) if layer.coordinates == "pixels" else (1, -1)
        return _finite(np.asarray(shapely.transform(geometries, lambda points: points * flip)))
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
    return _finite(laid)


def _finite(geometries: NDArray[Any]) -> NDArray[Any]:
    """Return geometries, None in place of those with a point nowhere."""
    points, owners = shapely.get_coordinates(geometries, return_index=True)
    geometries[owners[~np.isfinite(points).all(axis=1)]] = None
    return geometries


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
        clean(" · ".join(f"{name}: {column[row]}" for name, column in columns if column[row] is not None)[:_MAX_LABEL])
        for row in rows
    ]
