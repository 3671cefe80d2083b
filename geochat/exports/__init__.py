"""Grounded answers as pictures, GeoJSON and GeoPackage.

Every file says where it came from (model and its hash, prompt, image, bands, stretch, window) and is written whole or
not at all.
"""

from geochat.exports.drawing import PALETTE, draw, write_picture
from geochat.exports.files import check_target
from geochat.exports.geojson import PIXELS, WGS84, to_geojson, write_geojson
from geochat.exports.geopackage import write_geopackage
from geochat.exports.grounded import GroundedRegion, Point, Quadrilateral

__all__ = [
    "PALETTE",
    "PIXELS",
    "WGS84",
    "GroundedRegion",
    "Point",
    "Quadrilateral",
    "check_target",
    "draw",
    "to_geojson",
    "write_geojson",
    "write_geopackage",
    "write_picture",
]
