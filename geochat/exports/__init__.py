"""Export of answers and found objects as images, vector layers and label files; reading and writing of vector layers.

`write_layer` streams features to a file in any format of `EXPORTERS`, selected by the file name. Every file contains
its provenance (model and its hash, prompt, image, bands, stretch, window) and is written atomically.
"""

from geochat.exports.answered_layer import answered_geojson, write_answered_geopackage
from geochat.exports.collection import Collection
from geochat.exports.files import check_target, write_atomically
from geochat.exports.geojson import PIXELS, WGS84, to_geojson, write_geojson
from geochat.exports.geopackage import write_geopackage
from geochat.exports.grounded import GroundedRegion, Point, Role, box_numbers
from geochat.exports.layer import EXPORTERS, NOT_LOOKED_AT, Exporter, Feature, Layer, exporter_for, write_layer
from geochat.exports.overlay import PALETTE, draw, write_picture
from geochat.exports.vector_layer import VectorLayer, read_vector_layer

__all__ = [
    "EXPORTERS",
    "NOT_LOOKED_AT",
    "PALETTE",
    "PIXELS",
    "WGS84",
    "Collection",
    "Exporter",
    "Feature",
    "GroundedRegion",
    "Layer",
    "Point",
    "Role",
    "VectorLayer",
    "answered_geojson",
    "box_numbers",
    "check_target",
    "draw",
    "exporter_for",
    "read_vector_layer",
    "to_geojson",
    "write_answered_geopackage",
    "write_atomically",
    "write_geojson",
    "write_geopackage",
    "write_layer",
    "write_picture",
]
