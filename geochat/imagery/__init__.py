"""Opening satellite and aerial imagery as what a model and a screen take: 8-bit RGB, with its place on the ground.

`open_image` reads GeoTIFF, COG and JPEG 2000 through GDAL (rasterio), and ordinary PNG, JPEG and WebP pictures
through Pillow, whose decoding models are trained on: their pixels equal Pillow's `convert("RGB")` exactly. Those
with a file beside them that may say where they lie, such as a world file, are opened by GDAL too, which costs more than
decoding a small tile. Pictures beyond 32 megapixels GDAL reads itself, windows and overviews in bounded memory; its
JPEG decoder may differ from Pillow's by a level or two.

Only local files are opened, and only in these formats: no URL, no archive, no format that refers to other files.
"""

from geochat.imagery.bands import COMPOSITES, ORDERS, BandChoice
from geochat.imagery.grid import Window
from geochat.imagery.image import GeoImage
from geochat.imagery.reading import ImageSource, open_image
from geochat.imagery.stretch import Stretch

__all__ = ["COMPOSITES", "ORDERS", "BandChoice", "GeoImage", "ImageSource", "Stretch", "Window", "open_image"]
