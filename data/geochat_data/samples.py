"""Makes the sample scenes that ship in `geochat/samples`: `python -m geochat_data.samples FOLDER`.

They are rendered, so they may be given to anyone; their seeds are none of training's.
"""

import sys
from pathlib import Path

import numpy as np
import rasterio
from affine import Affine

from geochat_data.scenes import render_scene

_AIRPORT_SEED = 100_003
_WIDTH, _HEIGHT = 320, 256  # not square, so that letterboxing shows
_CORNER = (451_200.0, 5_411_400.0)  # UTM zone 31 north
_METRES_PER_PIXEL = 0.3


def write_airport(path: Path) -> None:
    """Two airplanes on an apron, as a georeferenced TIFF."""
    pixels = render_scene(_AIRPORT_SEED, _WIDTH, "airport").open().crop((0, 0, _WIDTH, _HEIGHT))
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        width=_WIDTH,
        height=_HEIGHT,
        count=3,
        dtype="uint8",
        photometric="RGB",
        compress="deflate",
        predictor=2,
        crs="EPSG:32631",
        transform=Affine.translation(*_CORNER) @ Affine.scale(_METRES_PER_PIXEL, -_METRES_PER_PIXEL),
    ) as file:
        file.write(np.moveaxis(np.asarray(pixels), -1, 0))


if __name__ == "__main__":
    write_airport(Path(sys.argv[1]) / "airport.tif")
