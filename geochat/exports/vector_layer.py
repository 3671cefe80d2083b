"""Vector layers, read from GeoParquet and any format that GDAL reads.

GeoJSON is in longitude and latitude unless it names a CRS (the member "crs", which RFC 7946 retired), or in pixels of
the image if it carries this project's mark. Any other file states its CRS; without one it is refused unless it was
written by this project and is marked as pixels.

GDAL never reads JSON here: it would fetch a CRS that is a link, and run the commands of a file that is a pipeline.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import shapely
from rasterio.crs import CRS
from rasterio.errors import CRSError
from shapely.errors import ShapelyError

from geochat.errors import RegionError
from geochat.exports.geojson import PIXELS
from geochat.exports.tables import PIXELS_UP
from geochat.geometry.geographic import WGS84

Coordinates = Literal["map", "pixels", "pixels up"]
"""The frame of a layer's coordinates: its CRS, pixels of the image with y down, or the same with y negated."""

_TEXT = (".geojson", ".json")
_PARQUET = b"PAR1"
_MAX_CELLS = 2**25  # attributes times features: a row of JSON leaves out what it has not, a column does not
_LONGITUDE_LATITUDE = (("OGC", "CRS84"), ("OGC", "CRS84H"), ("EPSG", "4326"), ("EPSG", "4979"))
_CRS_NAME = re.compile(
    r"(?:urn:(?:ogc|x-ogc):def:crs:|https?://www\.opengis\.net/def/crs/)?([A-Za-z]+)[:/](?:[0-9.]*[:/])?([A-Za-z0-9]+)"
)  # authority and code


@dataclass(frozen=True, eq=False)
class VectorLayer:
    """Features in their order.

    Attributes:
        path: The file.
        name: Name of the layer.
        geometries: One per feature, None without one.
        columns: Attributes by name, each with one value per feature.
        coordinates: The frame of the geometries.
        crs: Their CRS; None for pixels.
        geometry_type: As OGR names it.
        others: The file's other layers.
    """

    path: Path
    name: str
    geometries: tuple[shapely.Geometry | None, ...]
    columns: Mapping[str, np.ndarray]
    coordinates: Coordinates
    crs: str | None
    geometry_type: str = "Unknown"
    others: tuple[str, ...] = ()

    def __len__(self) -> int:
        """The number of features."""
        return len(self.geometries)


def read_vector_layer(path: str | Path, name: str | None = None) -> VectorLayer:
    """Read a layer.

    Args:
        path: GeoJSON, GeoPackage, Shapefile, FlatGeobuf or another vector file; GeoParquet with the extra "layers".
        name: Name of the layer; None selects the first.

    Raises:
        RegionError: The file cannot be read, has no such layer, holds no feature, or does not say its CRS.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            head = file.read(64)
            if path.suffix.lower() in _TEXT or head.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"{":
                return _read_geojson(path, head + file.read(), name)
            if head.startswith(_PARQUET):
                return _read_geoparquet(path, name)
    except OSError as error:
        raise RegionError(f"the region file {path} cannot be read: {error.strerror}") from error
    return _read_by_gdal(path, name)


def _read_geojson(path: Path, content: bytes, name: str | None) -> VectorLayer:
    try:
        document = json.loads(content.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise RegionError(f"the region file {path} is not GeoJSON: {error}") from error
    if not isinstance(document, dict):
        raise RegionError(f"the region file {path} holds a {type(document).__name__}; give a GeoJSON object")
    own = _own_crs(document, path)
    if name is not None and name != path.stem:
        raise RegionError(f"the region file {path} is GeoJSON, whose one layer has no name; leave out {name!r}")
    features = document.get("features") if document.get("type") == "FeatureCollection" else [document]
    if not isinstance(features, list) or not features:
        raise RegionError(f"the region file {path} holds no feature; leave it out to ask about the whole image")
    geometries, rows = [], []
    for number, feature in enumerate(features, 1):
        geometry, row = _parts(feature)
        geometries.append(_shape(geometry, f"{path}, feature {number}"))
        rows.append(row)
    names = dict.fromkeys(key for row in rows for key in row)
    if len(names) * len(rows) > _MAX_CELLS:
        raise RegionError(
            f"the region file {path} has {len(names):,} attributes of {len(rows):,} features; leave some out"
        )
    columns = {key: _objects([row.get(key) for row in rows]) for key in names}
    mark = document.get("geochat")
    marks = [mark.get("coordinates") if isinstance(mark, dict) else None, *(row.get("coordinates") for row in rows)]
    in_pixels = PIXELS in marks
    return VectorLayer(
        path,
        path.stem,
        tuple(geometries),
        columns,
        "pixels" if in_pixels else "map",
        None if in_pixels else own or WGS84,
    )


def _parts(feature: object) -> tuple[object, dict[str, Any]]:
    """Geometry and attributes of a feature; of a bare geometry, itself and none."""
    if isinstance(feature, dict) and feature.get("type") == "Feature":
        row = feature.get("properties")
        return feature.get("geometry"), row if isinstance(row, dict) else {}
    return feature, {}


def _shape(geometry: object, where: str) -> shapely.Geometry | None:
    if geometry is None:
        return None
    try:
        return shapely.geometry.shape(geometry)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, ShapelyError) as error:
        raise RegionError(f"the region file {where}: malformed geometry ({error})") from error


def _own_crs(document: Mapping[str, Any], path: Path) -> str | None:
    """Return the CRS that GeoJSON names, as "EPSG:32631"; None for longitude and latitude.

    Raises:
        RegionError: It is not said by a name such as urn:ogc:def:crs:EPSG::32631.
    """
    crs = document.get("crs")
    if crs is None:
        return None
    properties = crs.get("properties") if isinstance(crs, dict) else None
    named = properties.get("name") if isinstance(properties, dict) else None
    found = _CRS_NAME.fullmatch(named) if isinstance(named, str) else None
    if found is None:
        raise RegionError(
            f"the region file {path} says its CRS as {str(named or crs)[:60]!r}; name it as EPSG:32631, or convert the"
            " file (ogr2ogr)"
        )
    authority, code = found[1].upper(), found[2].upper()
    return None if (authority, code) in _LONGITUDE_LATITUDE else f"{authority}:{code}"


def _objects(values: list[Any]) -> np.ndarray:
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def _read_by_gdal(path: Path, name: str | None) -> VectorLayer:
    import pyogrio  # noqa: PLC0415 - brings pandas, where that is installed, which takes half a second

    pyogrio.set_gdal_config_options({"OSR_STRIP_TOWGS84": "NO"})  # a datum shift of the file's own, as of images
    try:
        names = [str(layer) for layer, kind in pyogrio.list_layers(path) if kind is not None]
        if name is not None and name not in names:
            raise RegionError(f"the region file {path} has no layer {name!r}; it has {', '.join(names) or 'none'}")
        if not names:
            raise RegionError(f"the region file {path} has no layer with geometries; give polygons")
        chosen = name or names[0]
        meta, _, shapes, values = pyogrio.raw.read(path, layer=chosen, force_2d=True)
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError, pyogrio.errors.GeometryError) as error:
        raise RegionError(f"the region file {path} cannot be read: {error}") from error
    if not len(shapes):
        raise RegionError(f"the layer {chosen} of {path} holds no feature; leave it out to ask about the whole image")
    columns = dict(zip(map(str, meta["fields"]), values, strict=True))
    coordinates, crs = _coordinates(columns, meta["crs"], f"the layer {chosen} of the region file {path}")
    return VectorLayer(
        path,
        chosen,
        tuple(shapely.from_wkb(shapes)),
        columns,
        coordinates,
        crs,
        str(meta["geometry_type"] or "Unknown"),
        tuple(other for other in names if other != chosen),
    )


def _read_geoparquet(path: Path, name: str | None) -> VectorLayer:
    """Read GeoParquet 1.0 or 1.1, because the GDAL in pyogrio has no driver for it."""
    try:
        import pyarrow as pa  # noqa: PLC0415 - 55 MB, an extra
        from pyarrow import parquet  # noqa: PLC0415
    except ImportError as error:
        raise RegionError(f"the region file {path} is Parquet; install geochat[layers], or give .gpkg") from error
    if name is not None and name != path.stem:
        raise RegionError(f"the region file {path} is Parquet, whose one layer has no name; leave out {name!r}")
    try:
        table = parquet.read_table(path)
        geo = json.loads(parquet.read_metadata(path).metadata[b"geo"])
        primary = geo["primary_column"]
        column = geo["columns"][primary]
        if column["encoding"] != "WKB":
            raise RegionError(f"the region file {path} holds {column['encoding']} geometries; write it with WKB")
        shapes = shapely.from_wkb(table[primary].to_numpy())
        told = column.get("crs", "OGC:CRS84")  # the specification's default; null means undefined
        crs = (
            "" if told is None else CRS.from_user_input(told if isinstance(told, str) else json.dumps(told)).to_string()
        )
    except (pa.ArrowException, KeyError, TypeError, ValueError, ShapelyError, CRSError) as error:
        raise RegionError(f"the region file {path} cannot be read as GeoParquet: {error}") from error
    beside = {covering[0] for each in column.get("covering", {}).values() for covering in each.values()}
    names = [each for each in table.column_names if each != primary and each not in beside]
    columns = {each: table[each].to_numpy() for each in names}
    if not len(shapes):
        raise RegionError(f"the region file {path} holds no feature; leave it out to ask about the whole image")
    coordinates, crs_text = _coordinates(columns, crs, f"the region file {path}")
    return VectorLayer(path, path.stem, tuple(shapes), columns, coordinates, crs_text)


def _coordinates(columns: Mapping[str, np.ndarray], crs: str | None, where: str) -> tuple[Coordinates, str | None]:
    marks = set(columns["coordinates"].tolist()) if "coordinates" in columns else set()
    if PIXELS_UP in marks:
        return "pixels up", None
    if PIXELS in marks:
        return "pixels", None
    if not crs or crs.startswith(("LOCAL_CS", "ENGCRS")):
        raise RegionError(f"{where} does not say its CRS; assign one (ogr2ogr -a_srs EPSG:...)")
    return "map", crs
