"""A name that a local user typed may be in any raster format of GDAL; a path that a program found may not."""

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from affine import Affine

from geochat.errors import ImageError
from geochat.imagery import open_image

UTM = Affine(0.5, 0, 485_900, 0, -0.5, 5_209_247)


def test_a_typed_name_may_be_in_any_format_of_gdal_s(tmp_path):
    samples = np.random.default_rng(0).integers(0, 256, (3, 40, 50), dtype=np.uint8)
    size = {"width": 50, "height": 40, "count": 3, "dtype": "uint8", "crs": "EPSG:26914", "transform": UTM}
    for name, driver in (("a.dat", "ENVI"), ("a.img", "HFA"), ("a.pix", "PCIDSK")):
        with rasterio.open(tmp_path / name, "w", driver=driver, **size) as file:
            file.write(samples)
        view = open_image(str(tmp_path / name))
        np.testing.assert_array_equal(view.pixels, samples.transpose(1, 2, 0))
        with pytest.raises(ImageError, match="convert it"):
            open_image(tmp_path / name)
    for ending in ("vrt", "tif"):
        rasterio.shutil.copy(tmp_path / "a.img", tmp_path / f"b.{ending}", driver="VRT")
    np.testing.assert_array_equal(open_image(str(tmp_path / "b.vrt")).pixels, samples.transpose(1, 2, 0))
    for source in (tmp_path / "b.vrt", str(tmp_path / "b.tif")):  # found by a program; not what it is called
        with pytest.raises(ImageError, match="convert it"):
            open_image(source)
    (tmp_path / "notes.txt").write_text("no image")
    with pytest.raises(ImageError, match="nor in another raster format"):
        open_image(str(tmp_path / "notes.txt"))
