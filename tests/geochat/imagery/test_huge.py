"""A 20,000 x 20,000 image opens in bounded memory: whole, and by window."""

import json
import subprocess
import sys
import warnings

import numpy as np
import pytest
import rasterio
from rasterio.windows import Window

from geochat.imagery import open_image

SIDE = 20_000
MEGABYTE = 2**20


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    """1.2 GB decoded, sparse but for one marker."""
    path = tmp_path_factory.mktemp("huge") / "scene.tif"
    settings = {"driver": "GTiff", "width": SIDE, "height": SIDE, "count": 3, "dtype": "uint8", "sparse_ok": True}
    tiles = {"tiled": True, "blockxsize": 512, "blockysize": 512, "compress": "deflate"}
    with warnings.catch_warnings(action="ignore"), rasterio.open(path, "w", **settings, **tiles) as file:
        file.write(np.full((3, 512, 512), 200, np.uint8), window=Window(10240, 5120, 512, 512))
    return path


def measure(path, **options):
    """Growth of the peak resident memory in bytes, and the view's brightest pixel, in a fresh process."""
    script = (
        "import json, resource, sys\n"
        "from geochat.imagery import open_image\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024\n"
        "before = peak()\n"
        f"image = open_image({str(path)!r}, **{options!r})\n"
        "print(json.dumps([peak() - before, image.frame.view_size, int(image.pixels.max())]))\n"
    )
    return json.loads(subprocess.run([sys.executable, "-c", script], capture_output=True, check=True).stdout)


def test_whole_scene(scene):
    grown, size, brightest = measure(scene)
    assert size == [2048, 2048]
    assert brightest == 200
    assert grown < 300 * MEGABYTE


def test_window_of_the_scene(scene):
    grown, size, brightest = measure(scene, window=(10000, 5000, 504, 504))
    assert size == [504, 504]
    assert brightest == 200
    assert grown < 60 * MEGABYTE


def test_the_window_is_the_right_one(scene):
    image = open_image(scene, window=(10238, 5118, 6, 6))
    assert image.pixels[..., 0].tolist() == [[0] * 6] * 2 + [[0, 0, 200, 200, 200, 200]] * 4


@pytest.mark.slow
@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_pictures_stored_row_by_row(tmp_path, suffix):
    from PIL import Image

    path = tmp_path / f"picture.{suffix}"
    rows = np.broadcast_to((np.arange(SIDE) // 79 % 256).astype(np.uint8), (SIDE, SIDE))
    Image.fromarray(rows).save(path, **({"compress_level": 1} if suffix == "png" else {}))
    for window in (None, (19000, 19000, 504, 504)):
        grown, _, brightest = measure(path, window=window)
        assert brightest > 100
        assert grown < 300 * MEGABYTE
