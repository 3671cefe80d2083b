"""Opening of satellite and aerial imagery as 8-bit RGB with its georeference.

A `Scene` is an image that is open but not read; `Scene.read` returns a view of a window, and `open_image` returns one
view directly. GeoTIFF, COG and JPEG 2000 are read through GDAL (rasterio). Ordinary PNG, JPEG, WebP and BMP pictures
are read through Pillow, because models are trained on its decoding; their pixels equal Pillow's `convert("RGB")`
exactly. GDAL also reads pictures beyond 32 megapixels, windows and overviews in bounded memory; its JPEG decoder may
differ from Pillow's by a level or two.

Only local files are opened, and only in these formats: no URL, no archive, no format that refers to other files. Side
files with the georeference, validity or overviews of an image are read only by `companions`. Remarks for the user on
opening and display are in `GeoImage.remarks`.
"""

from geochat.imagery.bands import COMPOSITES, ORDERS, BandChoice
from geochat.imagery.image import GeoImage
from geochat.imagery.reading import image_size, open_image
from geochat.imagery.remarks import Remark
from geochat.imagery.scene import Scene
from geochat.imagery.sources import ImageSource
from geochat.imagery.stretch import Stretch
from geochat.imagery.windows import Window

__all__ = [
    "COMPOSITES",
    "ORDERS",
    "BandChoice",
    "GeoImage",
    "ImageSource",
    "Remark",
    "Scene",
    "Stretch",
    "Window",
    "image_size",
    "open_image",
]
