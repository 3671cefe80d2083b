"""What a file says of its bands, however it says it."""

import numpy as np
import pytest
import rasterio
from affine import Affine
from PIL import Image

from geochat.errors import ImageError
from geochat.imagery import Scene, open_image
from geochat.imagery.labels import Clues, label_of, read_labels


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("red", "red"),
        ("Red (B4)", "red"),
        ("B4 - Red", "red"),
        ("Band 3: Red", "red"),
        ("Surface Reflectance Red", "red"),
        ("Red, 665 nm", "red"),
        ("blue 490nm", "blue"),
        ("R", "red"),
        ("n", "nir"),
        ("Near Infrared", "nir"),
        ("near-infrared", "nir"),
        ("NIR1", "nir"),
        ("NIR 2", "nir09"),
        ("nir08", "nir08"),
        ("Coastal Blue", "coastal"),
        ("Coastal aerosol", "coastal"),
        ("green_i", "green1"),
        ("Vegetation red edge", "rededge1"),
        ("Red Edge 2", "rededge2"),
        ("Rededge-717", "rededge1"),
        ("Short Wave Infrared 2", "swir2"),
        ("swir16", "swir1"),
        ("SWIR", "swir1"),
        ("alpha", "alpha"),
        ("B4", ""),
        ("Band 4", ""),
        ("", ""),
        ("NDVI", ""),
        ("red-green ratio", ""),
        ("R G ratio", ""),
        ("blue ice", ""),
        ("VV", ""),
    ],
)
def test_a_band_by_its_name(text, label):
    assert label_of(text) == label


def named(*descriptions):
    """Clues of bands of which GDAL knows the names alone."""
    return [Clues("undefined", description) for description in descriptions]


@pytest.mark.parametrize(
    ("descriptions", "labels"),
    [
        ("B2 B3 B4", "blue green red"),
        ("B4 B3 B2", "red green blue"),
        ("B02 B03 B04 B08", "blue green red nir"),
        ("B2 B3 B4 B8", "blue green red nir"),
        ("B8A B4 B3 B2", "nir08 red green blue"),
        ("B11 B8A B4", "swir1 nir08 red"),
        ("S2_B02 S2_B03 S2_B04", "blue green red"),
        ("SR_B1 SR_B2 SR_B3 SR_B4 SR_B5 SR_B7", "blue green red nir swir1 swir2"),  # Landsat 5
        ("SR_B1 SR_B2 SR_B3 SR_B4 SR_B5 SR_B6 SR_B7", "coastal blue green red nir swir1 swir2"),  # Landsat 8
        ("B2 B3 B4 B5", "blue green red ?"),  # near infrared to Landsat 8, red edge to Sentinel-2
        ("B1 B2 B3 B4", "? ? ? ?"),  # counted, as anything may be
        ("Band_1 Band_2 Band_3", "? ? ?"),
        ("SWIR1 NIR R G", "swir1 nir red green"),
        ("VV VH", "? ?"),
    ],
)
def test_numbered_bands_by_those_that_occur_together(descriptions, labels):
    expected = tuple(label.replace("?", "") for label in labels.split())
    assert read_labels(named(*descriptions.split()), {}).names == expected


@pytest.mark.parametrize(
    ("tags", "count", "labels"),
    [
        ({"SATELLITE": "PlanetScope"}, 4, "blue green red nir"),
        ({"SATELLITE": "PlanetScope"}, 8, "coastal blue green1 green yellow red rededge1 nir"),
        ({"SPACECRAFT_ID": "LANDSAT_8"}, 7, "coastal blue green red nir swir1 swir2"),
        ({"SPACECRAFT_ID": "LANDSAT_5"}, 6, "blue green red nir swir1 swir2"),
        ({"PRODUCT_URI": "S2A_MSIL2A_20200831T105031.SAFE"}, 4, "blue green red nir"),
        (
            {"platform": "sentinel-2b"},
            13,
            "coastal blue green red rededge1 rededge2 rededge3 nir nir08 nir09 cirrus swir1 swir2",
        ),
        ({"TIFFTAG_IMAGEDESCRIPTION": "RapidEye level 3A"}, 5, "blue green red rededge1 nir"),
        ({"source": "NAIP 2020"}, 4, "red green blue nir"),
        ({"source": "Landsat 8 and Sentinel-2"}, 4, "? ? ? ?"),
        ({"SATELLITE": "PlanetScope"}, 6, "? ? ? ? ? ?"),
        ({"comment": "not PlanetScope"}, 4, "? ? ? ?"),
    ],
)
def test_unnamed_bands_of_a_sensor_that_the_metadata_name(tags, count, labels):
    expected = tuple(label.replace("?", "") for label in labels.split())
    assert read_labels(named(*[""] * count), tags).names == expected


def test_the_sensor_that_is_named_decides_what_numbers_mean():
    bands = named("B3", "B2", "B1")
    assert read_labels(bands, {"SPACECRAFT_ID": "LANDSAT_7"}).names == ("red", "green", "blue")
    assert read_labels(bands, {"SPACECRAFT_ID": "LANDSAT_9"}).names == ("green", "blue", "coastal")


@pytest.mark.parametrize(
    ("key", "values"),
    [
        ("wavelength", ("490.5", "560", "665", "842")),
        ("WAVELENGTH", ("0.49", "0.56", "0.665", "0.842")),
        ("CENTRAL_WAVELENGTH_UM", ("0.490", "0.560", "0.665", "0.842")),
        ("center_wavelength", ("490 nm", "560 nm", "665 nm", "842 nm")),
        ("common_name", ("blue", "green", "red", "nir")),
    ],
)
def test_metadata_of_bands(key, values):
    assert read_labels([Clues(tags={key: value}) for value in values], {}).names == ("blue", "green", "red", "nir")


def test_wavelengths_of_a_spectrometer():
    """Of many bands, the ones nearest to each colour."""
    lengths = np.arange(400, 1000, 10)
    bands = [Clues("undefined", f"Band {number} ({length} Nanometers)") for number, length in enumerate(lengths, 1)]
    names = read_labels(bands, {}).names
    assert [lengths[names.index(colour)] for colour in ("red", "green", "blue", "nir")] == [660, 550, 480, 840]
    assert names.count("red") == 1
    listed = {"wavelength": "{" + ", ".join(map(str, lengths / 1000)) + "}", "wavelength_units": "Micrometers"}
    assert read_labels(named(*[""] * len(lengths)), listed).names == names


def test_the_colours_that_gdal_defaults_to_yield_to_names():
    bands = [Clues(colour, name) for colour, name in zip(("red", "green", "blue"), ("B2", "B3", "B4"), strict=True)]
    assert read_labels(bands, {}).names == ("blue", "green", "red")
    rgba = [Clues(colour) for colour in ("red", "green", "blue", "alpha")]
    assert read_labels(rgba, {}).names == ("red", "green", "blue", "alpha")
    assert read_labels(rgba, {"SATELLITE": "PlanetScope"}).names == ("blue", "green", "red", "nir")
    assert read_labels([*rgba[:3], Clues("alpha", "NIR")], {}).names[3] == "nir"
    assert read_labels([Clues("undefined", "Red"), Clues("alpha")], {}).names == ("red", "alpha")
    assert read_labels([Clues("undefined", "Red"), Clues("alpha", "depth")], {}).names == ("red", "")


SAMPLES = np.arange(1, 5, dtype=np.uint8)[:, None, None] * np.full((1, 4, 5), 10, np.uint8)


@pytest.mark.parametrize(
    ("said", "bands"),
    [
        ({"descriptions": ["B2", "B3", "B4", "B8"]}, (3, 2, 1)),
        ({"descriptions": ["Blue (B2)", "Green (B3)", "Red (B4)", "NIR (B8)"]}, (3, 2, 1)),
        ({"descriptions": ["490 nm", "560 nm", "665 nm", "842 nm"]}, (3, 2, 1)),
        ({"colorinterp": ["blue", "green", "red", "nir"]}, (3, 2, 1)),
        ({"tags": {None: {"SATELLITE": "PlanetScope"}}}, (3, 2, 1)),
        ({"tags": {"IMAGERY": {"SATELLITEID": "PlanetScope"}}}, (3, 2, 1)),
    ],
)
def test_files_show_their_true_colours_and_say_why(write_tiff, said, bands):
    image = open_image(write_tiff(SAMPLES, photometric="MINISBLACK", **said))
    assert image.bands == bands
    assert image.pixels[0, 0].tolist() == [30, 20, 10]
    (remark,) = image.remarks
    assert remark.code == "bands"
    assert remark.text.startswith("Bands 3, 2 and 1 are shown as red, green and blue")


def test_wavelengths_that_gdal_reads_into_its_imagery_domain(write_tiff):
    path = write_tiff(SAMPLES[:3], photometric="MINISBLACK", transform=Affine(1, 0, 5, 0, -1, 9))
    with rasterio.open(path, "r+") as file:
        for band, length in enumerate((0.49, 0.56, 0.665), 1):
            file.update_tags(band, ns="IMAGERY", CENTRAL_WAVELENGTH_UM=length)
    assert open_image(path).bands == (3, 2, 1)


def test_what_is_not_there_is_refused_and_what_is_there_is_told(write_tiff):
    path = write_tiff(SAMPLES, descriptions=["SWIR1", "NIR", "R", "G"], photometric="MINISBLACK")
    assert open_image(path, bands="nir").bands == (2, 3, 4)
    assert open_image(path, bands="swir").bands == (1, 2, 3)
    with pytest.raises(ImageError, match=r"'rgb' needs red, green, blue, .*bands are swir1, nir, red, green; give"):
        open_image(path, bands="rgb")
    image = open_image(path)
    assert image.bands == (1, 2, 3)
    assert "swir1, nir, red, green, without blue" in image.remarks[0].text
    with Scene.open(path) as scene:
        assert scene.labels == ("swir1", "nir", "red", "green")


def test_transparency_is_not_near_infrared(write_tiff):
    opaque = np.concatenate([SAMPLES[:3], np.full((1, 4, 5), 255, np.uint8)])
    with pytest.raises(ImageError, match=r"'nir' needs nir, red, green, .*red, green, blue, alpha; give"):
        open_image(write_tiff(opaque), bands="nir")
    image = open_image(write_tiff(opaque, "asked.tif"), bands="rgbn:nir")
    assert image.bands == (4, 1, 2)
    infrared = opaque.copy()
    infrared[3] = np.arange(20).reshape(4, 5) * 9
    image = open_image(write_tiff(infrared, "infrared.tif"), bands="nir")  # GDAL calls it alpha for want of a name
    assert image.bands == (4, 1, 2)
    assert "by what they hold" in image.remarks[0].text


def test_what_is_assumed_is_said(write_tiff):
    path = write_tiff(SAMPLES, photometric="MINISBLACK")
    for choice, bands in (("auto", (1, 2, 3)), ("nir", (4, 1, 2)), ("swir", (1, 2, 3))):
        image = open_image(path, bands=choice)
        assert image.bands == bands
        assert [remark.code for remark in image.remarks] == ["bands-assumed"]
    assert not open_image(path, bands="bgrn:rgb").remarks
    assert not open_image(path, bands=(1, 2, 3)).remarks
    (remark,) = open_image(write_tiff(SAMPLES[:2], "two.tif")).remarks
    assert "Of two bands" in remark.text


def test_stand_ins(write_tiff):
    path = write_tiff(SAMPLES, descriptions=["B8A", "B4", "B3", "B2"], photometric="MINISBLACK")
    assert open_image(path, bands="nir").bands == (1, 2, 3)


def test_ordinary_pictures_go_without_saying(tmp_path, noise, write_tiff):
    for suffix in ("png", "jpg", "webp", "bmp", "tif", "jp2"):
        Image.fromarray(noise).save(tmp_path / f"image.{suffix}")
        assert open_image(tmp_path / f"image.{suffix}").remarks == ()
    rgba = np.dstack([noise, np.full((40, 60), 255, np.uint8)]).transpose(2, 0, 1)
    assert open_image(write_tiff(rgba, "rgba.tif", crs="EPSG:32614", transform=(1, 0, 5, 0, -1, 9))).remarks == ()
    assert open_image(noise).remarks == ()
