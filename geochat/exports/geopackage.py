"""Grounded regions as a GeoPackage, in the image's own CRS.

An image without a CRS gets the format's undefined Cartesian reference system (srs_id -1) with y negated: y then points
up, as the format demands, and the layer lies on the picture where a GIS draws an image that is not georeferenced.
The column `coordinates` says so. The file is built in memory and written whole.
"""

import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import shapely

from geochat.errors import ExportError
from geochat.exports.files import check_target, write_atomically
from geochat.exports.grounded import GroundedRegion

_LAYER = "regions"
_UNDEFINED_CARTESIAN = 'LOCAL_CS["Undefined Cartesian SRS",UNIT["metre",1]]'
_PIXELS_UP = "image pixels, y negated"


def write_geopackage(
    path: str | Path, regions: Sequence[GroundedRegion], crs: str | None, provenance: Mapping[str, Any]
) -> Path:
    """Write the layer "regions": one polygon a region, with provenance in columns and in the layer's metadata.

    Args:
        path: Ends in .gpkg; an existing file is replaced.
        regions: What to write; none gives an empty layer.
        crs: The image's CRS, None for pixels.
        provenance: Where the answer came from, JSON-ready.

    Raises:
        ExportError: The name has another ending, the CRS cannot be stored or the file cannot be written.
    """
    target = check_target(path, (".gpkg",))
    notes = {"coordinates": crs or _PIXELS_UP, **{key: _text(value) for key, value in provenance.items()}}
    columns = _columns(regions, notes)
    content = io.BytesIO()
    try:
        pyogrio.raw.write(
            content,
            shapely.to_wkb([_polygon(region) for region in regions]),
            list(columns.values()),
            list(columns),
            layer=_LAYER,
            driver="GPKG",
            geometry_type="Polygon",
            crs=crs or _UNDEFINED_CARTESIAN,
            layer_metadata=notes,
        )
    except (pyogrio.errors.DataSourceError, pyogrio.errors.CRSError) as error:
        raise ExportError(f"{path} cannot be made: {error}; export GeoJSON instead") from error
    return write_atomically(target, content.getvalue())


def _polygon(region: GroundedRegion) -> shapely.Polygon:
    return shapely.Polygon(region.map or [(x, -y) for x, y in region.pixels])


def _columns(regions: Sequence[GroundedRegion], notes: Mapping[str, str]) -> dict[str, np.ndarray]:
    """Attribute columns, each (number of regions,)."""
    boxes = np.array([_numbers(region) for region in regions], dtype=np.float64).reshape(-1, 5)
    return {
        "number": np.arange(1, len(regions) + 1),
        "phrase": np.array([region.phrase for region in regions], dtype=object),
        **{name: boxes[:, column] for column, name in enumerate(("x1", "y1", "x2", "y2", "angle"))},
        "score": np.array([region.score for region in regions], dtype=np.float64),  # None becomes NaN, written as NULL
        **{key: np.array([text] * len(regions), dtype=object) for key, text in notes.items()},
    }


def _numbers(region: GroundedRegion) -> tuple[float, ...]:
    box = region.box
    return box.x1, box.y1, box.x2, box.y2, box.angle


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
