"""Writing small rasters to read back."""

import warnings

import numpy as np
import pytest
import rasterio


@pytest.fixture
def write_tiff(tmp_path):
    """Write an array (height, width) or (bands, height, width) as a TIFF; profile entries as keywords."""

    def write(array, name="image.tif", *, colorinterp=None, descriptions=None, colormap=None, tags=None, **profile):
        array = np.atleast_3d(array.T).T if array.ndim == 2 else array
        path = tmp_path / name
        bands, height, width = array.shape
        settings = {"driver": "GTiff", "count": bands, "height": height, "width": width, "dtype": array.dtype}
        with warnings.catch_warnings(action="ignore"), rasterio.open(path, "w", **{**settings, **profile}) as file:
            if colorinterp:
                file.colorinterp = [rasterio.enums.ColorInterp[name] for name in colorinterp]
            file.write(array)
            if descriptions:
                file.descriptions = descriptions
            if colormap:
                file.write_colormap(1, colormap)
            for namespace, items in (tags or {}).items():
                file.update_tags(ns=namespace, **items)
        return path

    return write


@pytest.fixture
def noise():
    """A 40 x 60 RGB picture in which no two corners look alike."""
    return np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
