"""The bands that become red, green and blue."""

import numpy as np
import pytest

from geochat.errors import ImageError
from geochat.imagery import open_image


def scene(bands):
    """Band n is n * 10 everywhere."""
    return np.arange(1, bands + 1, dtype=np.uint8)[:, None, None] * np.full((1, 4, 5), 10, np.uint8)


@pytest.mark.parametrize(
    ("count", "labels", "choice", "bands"),
    [
        (1, {}, "auto", (1,)),
        (2, {}, "auto", (1,)),
        (2, {"colorinterp": ["gray", "alpha"]}, "auto", (1,)),
        (3, {}, "auto", (1, 2, 3)),
        (4, {}, "auto", (1, 2, 3)),
        (4, {}, "nir", (4, 1, 2)),
        (4, {}, "snrg:swir", (1, 2, 3)),
        (4, {}, "snrg:nir", (2, 3, 4)),
        (4, {}, "bgrn:rgb", (3, 2, 1)),
        (7, {}, "landsat8:rgb", (4, 3, 2)),
        (7, {}, "landsat8:nir", (5, 4, 3)),
        (7, {}, "landsat8:swir", (6, 5, 4)),
        (6, {}, "landsat7:swir", (5, 4, 3)),
        (12, {}, "sentinel2:nir", (8, 4, 3)),
        (4, {"colorinterp": ["nir", "blue", "green", "red"]}, "auto", (4, 3, 2)),
        (4, {"colorinterp": ["nir", "blue", "green", "red"]}, "nir", (1, 4, 3)),
        (4, {"descriptions": ["NIR", "Blue", "Green", "Red"]}, "rgb", (4, 3, 2)),
        (4, {"descriptions": ["swir16", "nir", "red", "green"]}, "swir", (1, 2, 3)),
        (5, {}, (5, 3, 1), (5, 3, 1)),
        (5, {}, [2, 2, 2], (2, 2, 2)),
        (5, {}, 4, (4,)),
        (5, {}, (4,), (4,)),
    ],
)
def test_choice(write_tiff, count, labels, choice, bands):
    image = open_image(write_tiff(scene(count), **labels), bands=choice)
    assert image.bands == bands
    shown = [band * 10 for band in (bands * 3)[:3]]
    assert image.pixels[0, 0].tolist() == shown


def test_near_infrared_stored_as_alpha_is_data_when_asked_for(write_tiff):
    scene_with_dark_infrared = scene(4)
    scene_with_dark_infrared[3, 0, 0] = 0
    path = write_tiff(scene_with_dark_infrared, colorinterp=["red", "green", "blue", "alpha"])
    assert open_image(path, bands="nir").pixels[0, 0].tolist() == [0, 10, 20]
    assert open_image(path).pixels[0, 0].tolist() == [0, 0, 0]
    assert open_image(path).pixels[1, 1].tolist() == [10, 20, 30]  # not darkened by what is no transparency
    described = write_tiff(scene_with_dark_infrared, "described.tif", descriptions=["red", "green", "blue", "nir"])
    assert open_image(described).pixels[0, 0].tolist() == [10, 20, 30]


@pytest.mark.parametrize(
    "choice", [(1, 2, 9), (0, 1, 2), (1, 2), (), "infrared", "landsat8:rgb", "landsat8:", "moon:rgb", -1]
)
def test_what_cannot_be_shown_is_refused_with_the_remedy(write_tiff, choice):
    path = write_tiff(scene(3))
    with pytest.raises(ImageError, match=r"image\.tif.*(give|choose|name)"):
        open_image(path, bands=choice)


def test_real_composites(shared):
    naip = shared / "imagery" / "naip" / "m_4709963_se_14_1_20200831.tif"
    red, green, blue = open_image(naip).pixels.reshape(-1, 3).mean(0)
    assert green > red
    assert green > blue
    infrared, red, _ = open_image(naip, bands="nir").pixels.reshape(-1, 3).mean(0)
    assert infrared > red  # fields in August
    landsat = shared / "imagery" / "landsat" / "pucallpa_peru_2020.tif"
    short, near, red = open_image(landsat, bands="swir").pixels.reshape(-1, 3).mean(0)
    assert near > short > red  # rain forest
