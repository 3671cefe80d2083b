"""Grounded answers as pictures, GeoJSON and GeoPackage; vector layers read, and written back with answers.

Every file says where it came from (model and its hash, prompt, image, bands, stretch, window) and is written whole or
not at all.
"""

from geochat.exports.drawing import PALETTE, draw, write_picture
from geochat.exports.files import check_target
from geochat.exports.geojson import PIXELS, WGS84, box_numbers, to_geojson, write_geojson
from geochat.exports.geopackage import write_geopackage
from geochat.exports.grounded import GroundedRegion, Point, Quadrilateral, Role
from geochat.exports.named_layer import named_geojson, write_named_geopackage
from geochat.exports.several import Collection
from geochat.exports.vector_layer import VectorLayer, read_vector_layer

__all__ = [
    "PALETTE",
    "PIXELS",
    "WGS84",
    "Collection",
    "GroundedRegion",
    "Point",
    "Quadrilateral",
    "Role",
    "VectorLayer",
    "box_numbers",
    "check_target",
    "draw",
    "named_geojson",
    "read_vector_layer",
    "to_geojson",
    "write_geojson",
    "write_geopackage",
    "write_named_geopackage",
    "write_picture",
]
