"""Oriented boxes, and the affine maps between model input, image and ground.

Boxes rotate clockwise on screen everywhere in the project; a model's own angle convention affects only its dialect.

Four frames, each with y down except the last, each corner-based: (0, 0) is the top-left corner of the top-left pixel,
as in GDAL's geotransform, so a pixel is the unit square right of and below its index.

    model   the numbers a model reads and writes, 0 to 100 for GeoChat: percent of the square it sees
    view    pixels of the array that was shown to the model: a window of the image, perhaps decimated
    image   pixels of the whole image at full resolution
    map     coordinates of the image's CRS

`Frame` holds and composes the maps between them; no other code multiplies by width / 100. The original GeoChat pads its
input to a square but draws on the unpadded image, so its boxes are displaced on every image that is not square. `pad`
here undoes the padding exactly, including its rounding to whole pixels.

Geographic coordinates are WGS 84 in the order longitude, latitude.
"""

from geochat.geometry.box import AngleConvention, AngleRange, Direction, OrientedBox
from geochat.geometry.frame import Fit, Frame, ModelFrame, Space
from geochat.geometry.geographic import crs_text, from_geographic, to_geographic
from geochat.geometry.outlines import geometry_to_geographic, outline_to_geographic
from geochat.geometry.pixels import geometry_to_pixels, pieces_to_pixels
from geochat.geometry.place import ImagePlace, ground_sample_distance, ground_size
from geochat.geometry.points import Points, PointsLike, transform_geometry, transform_points

__all__ = [
    "AngleConvention",
    "AngleRange",
    "Direction",
    "Fit",
    "Frame",
    "ImagePlace",
    "ModelFrame",
    "OrientedBox",
    "Points",
    "PointsLike",
    "Space",
    "crs_text",
    "from_geographic",
    "geometry_to_geographic",
    "geometry_to_pixels",
    "ground_sample_distance",
    "ground_size",
    "outline_to_geographic",
    "pieces_to_pixels",
    "to_geographic",
    "transform_geometry",
    "transform_points",
]
