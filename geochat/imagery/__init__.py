"""Opening satellite and aerial imagery as what a model and a screen take: 8-bit RGB, with its place on the ground.

A `Scene` is an image open but not read; `Scene.read` gives a view of a window, `open_image` one view at once. GeoTIFF,
COG and JPEG 2000 are read through GDAL (rasterio), and ordinary PNG, JPEG, WebP and BMP pictures through Pillow, whose
decoding models are trained on: their pixels equal Pillow's `convert("RGB")` exactly. Pictures beyond 32 megapixels GDAL
reads itself, windows and overviews in bounded memory; its JPEG decoder may differ from Pillow's by a level or two.

Only local files are opened, and only in these formats: no URL, no archive, no format that refers to other files. Files
beside an image that say where it lies, what counts in it or how it looks smaller are read by `companions` alone.
What a user should know of how an image was opened and shown is in `GeoImage.remarks`.
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
