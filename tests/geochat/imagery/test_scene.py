"""A scene is open but not read: what it knows, what it reads, from which threads, and until when."""

import pickle
import subprocess
import sys
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from time import perf_counter

import numpy as np
import pytest
import rasterio
from affine import Affine
from PIL import Image

from geochat.errors import ImageError, SettingsError
from geochat.imagery import Scene, Stretch, Window, image_size, open_image, sources

DESCRIPTORS = Path("/proc/self/fd")
UTM = Affine(0.5, 0, 485900, 0, -0.5, 5209247)


@pytest.fixture
def tiled(write_tiff):
    """1,000 x 800 pixels of uint16 noise in 4 bands and 128-pixel tiles, with overviews and a place."""
    samples = np.random.default_rng(0).integers(0, 5000, (4, 800, 1000), dtype=np.uint16)
    tiles = {"tiled": True, "blockxsize": 128, "blockysize": 128, "compress": "deflate"}
    path = write_tiff(
        samples, "tiled.tif", descriptions=["b", "g", "r", "NIR"], crs="EPSG:26914", transform=UTM, **tiles
    )
    with rasterio.open(path, "r+") as file:
        file.build_overviews([2, 4], rasterio.enums.Resampling.average)
    return path


@pytest.fixture
def picture(tmp_path, noise):
    """A PNG that is to be turned by a quarter."""
    exif = Image.Exif()
    exif[274] = 6
    Image.fromarray(noise).save(tmp_path / "picture.png", exif=exif)
    return tmp_path / "picture.png"


@pytest.fixture
def unread(monkeypatch):
    """Fails what decodes a picture."""
    monkeypatch.setattr(sources, "decode", lambda _: pytest.fail("decoded"))


def test_what_a_raster_says_of_itself(tiled):
    with Scene.open(tiled) as scene:
        assert (scene.path, scene.name, scene.size) == (tiled, str(tiled), (1000, 800))
        assert (scene.width, scene.height, scene.window) == (1000, 800, (0, 0, 1000, 800))
        assert (scene.crs, scene.image_to_map) == ("EPSG:26914", UTM)
        assert scene.gsd == pytest.approx(0.5, rel=3e-3)
        assert (scene.band_count, scene.labels) == (4, ("blue", "green", "red", "nir"))
        assert scene.descriptions == ("b", "g", "r", "NIR")
        assert (scene.dtype, scene.full_scale, scene.overviews) == ("uint16", None, (2, 4))


@pytest.mark.usefixtures("unread")
def test_what_a_picture_says_of_itself(picture):
    with Scene.open(picture) as scene:
        assert scene.size == image_size(picture) == (40, 60)
        assert (scene.labels, scene.dtype, scene.full_scale) == (("red", "green", "blue"), "uint8", 255)
        assert scene.overviews == ()
        assert scene.crs is scene.gsd is scene.image_to_map is None


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGB", "RGBA", "CMYK"])
def test_a_header_tells_the_bands_that_are_decoded(tmp_path, noise, mode):
    path = tmp_path / ("image.jpg" if mode == "CMYK" else "image.png")
    Image.fromarray(noise).convert("L" if mode == "LA" else "RGB").convert(mode).save(path)
    with Scene.open(path) as scene, Scene.open(Image.open(path)) as decoded:
        assert scene.labels == decoded.labels
        assert scene.size == decoded.size == (60, 40)
        assert (scene.dtype, scene.full_scale) == (decoded.dtype, decoded.full_scale)


def test_a_scene_reads_what_open_image_does(tiled, picture, noise):
    for source in (tiled, picture, noise, Image.open(picture)):
        with Scene.open(source) as scene:
            for options in ({}, {"max_side": 30}, {"window": (5, 6, 20, 30)}, {"bands": (2, 1, 1)}):
                here, there = scene.read(**options), open_image(source, **options)
                np.testing.assert_array_equal(here.pixels, there.pixels)
                assert (here.frame, here.window, here.stretch) == (there.frame, there.window, there.stretch)


def test_views_of_an_exact_size(tiled):
    with Scene.open(tiled) as scene:
        view = scene.read((0, 0, 500, 400), size=(100, 100))
        assert view.pixels.shape == (100, 100, 3)
        assert view.frame.view_to_image @ (100.0, 100.0) == (500, 400)
        assert view.shrink == 5
        assert scene.read((0, 0, 500, 400)).shrink == 1
        for options in ({"size": (501, 400)}, {"size": (0, 5)}, {"size": (9, 9), "max_side": 9}, {"max_side": 0}):
            with pytest.raises(SettingsError, match=next(iter(options))):
                scene.read((0, 0, 500, 400), **options)


def test_eight_threads_read_what_one_does(tiled):
    windows = [Window(column, row, 190, 160) for column in range(0, 800, 90) for row in range(0, 600, 90)]
    with Scene.open(tiled) as scene:
        expected = [scene.read(window) for window in windows]
    before = list(warnings.filters)
    with Scene.open(tiled) as scene, ThreadPoolExecutor(8) as pool:
        found = list(pool.map(scene.read, windows * 4))
    assert warnings.filters == before  # of the whole process, so not for threads to touch
    for view, there in zip(found, expected * 4, strict=True):
        np.testing.assert_array_equal(view.pixels, there.pixels)
        assert view.stretch == there.stretch


def test_threads_share_one_decoding_of_a_picture(picture, monkeypatch):
    decoded = []
    decode = sources.decode
    monkeypatch.setattr(sources, "decode", lambda file: decoded.append(1) or decode(file))
    whole = open_image(picture).pixels
    decoded.clear()
    windows = [(column, row, 10, 10) for column in range(30) for row in range(50)]
    with Scene.open(picture) as scene, ThreadPoolExecutor(8) as pool:
        views = list(pool.map(scene.read, windows))
    assert decoded == [1]
    for (column, row, width, height), view in zip(windows, views, strict=True):
        np.testing.assert_array_equal(view.pixels, whole[row : row + height, column : column + width])


def test_threads_open_files_without_a_place_in_silence(write_tiff, noise):
    """rasterio warns of each, and warnings are errors here."""
    paths = [write_tiff(noise.transpose(2, 0, 1), f"{number}.tif") for number in range(16)]
    rgba = np.dstack([noise, np.full((40, 60), 255, np.uint8)]).transpose(2, 0, 1)
    paths.append(write_tiff(rgba, "shadow.tif", colorinterp=["red", "green", "blue", "alpha"], nodata=0))
    with ThreadPoolExecutor(8) as pool:
        assert all(view.pixels.any() for view in pool.map(open_image, paths * 4))


def test_closing_ends_reading(tiled, picture):
    for path in (tiled, picture):
        scene = Scene.open(path)
        scene.read()
        scene.close()
        scene.close()
        assert scene.closed
        assert scene.size == image_size(path)
        with pytest.raises(ImageError, match=rf"{path.name} was closed; open it again"):
            scene.read()


def open_files(path):
    """How many descriptors of this process are open on a file."""
    found = 0
    for descriptor in DESCRIPTORS.iterdir():
        with suppress(OSError):
            found += descriptor.readlink() == path
    return found


@pytest.mark.skipif(not DESCRIPTORS.is_dir(), reason="needs Linux's list of open files")
def test_closing_closes_each_threads_handle(tiled):
    scene = Scene.open(tiled)
    together = threading.Barrier(4)

    def read(_):
        together.wait()
        with scene._source.raster(2**30):
            together.wait()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(read, range(4)))
    assert open_files(tiled) == 4
    with scene._source.raster(2**30):  # as a read under way in another thread
        scene.close()
        assert open_files(tiled) == 1
    assert open_files(tiled) == 0


def test_a_file_that_changed_or_went_is_not_read(tiled, picture, noise):
    for path in (tiled, picture):
        with Scene.open(path) as scene:
            view = scene.read((0, 0, 10, 10)) if path == tiled else None
            Image.fromarray(noise).save(path)
            with pytest.raises(ImageError, match="has changed since it was opened; open it again"):
                scene.read()
        with Scene.open(path) as scene:
            path.unlink()
            with pytest.raises(ImageError, match=r"can no longer be read .*open it again"):
                scene.read()
        if view is not None:
            with pytest.raises(ImageError, match="can no longer be read"):
                view.look()


def test_a_name_of_its_own_stands_for_the_path(tmp_path, picture):
    (tmp_path / "secret").mkdir()
    hidden = tmp_path / "secret" / "3f2a.tif"
    hidden.write_bytes(b"II*\0\x08\0\0\0")
    for path in (hidden, tmp_path / "secret" / "missing.png", tmp_path / "secret"):
        with pytest.raises(ImageError, match=r"upload\.tif") as caught:
            Scene.open(path, name="upload.tif")
        assert "secret" not in str(caught.value)
    with Scene.open(picture, name="upload.png") as scene, pytest.raises(ImageError, match=r"^upload\.png: window"):
        scene.read((0, 0, 99, 99))


def test_another_look_at_what_a_view_shows(tiled, noise):
    for source in (tiled, noise, Image.fromarray(noise)):
        view = open_image(source, bands=(3, 2, 1), max_side=30)
        closer = view.look((10, 5, 20, 16))
        np.testing.assert_array_equal(
            closer.pixels, open_image(source, window=(10, 5, 20, 16), bands=(3, 2, 1), stretch=view.stretch).pixels
        )
        assert (closer.bands, closer.stretch) == (view.bands, view.stretch)
        assert view.look(bands=1).bands == (1,)
        assert view.look(stretch=Stretch("limits", limits=((0, 9),))).bands == view.bands
    with Scene.open(tiled) as scene:
        assert scene.read().look((0, 0, 5, 5)).scene is scene


def test_a_view_is_pickled_without_its_scene(tiled):
    view = open_image(tiled, max_side=30)
    copy = pickle.loads(pickle.dumps(view))
    np.testing.assert_array_equal(copy.pixels, view.pixels)
    assert copy.frame == view.frame
    with pytest.raises(ImageError, match="no scene"):
        copy.look()


def test_opening_costs_a_header(tmp_path):
    """40,000 x 40,000 pixels, which would be 4.8 GB."""
    path = tmp_path / "sparse.tif"
    settings = {"driver": "GTiff", "width": 40_000, "height": 40_000, "count": 3, "dtype": "uint8", "sparse_ok": True}
    tiles = {"tiled": True, "blockxsize": 512, "blockysize": 512, "compress": "deflate", "bigtiff": "yes"}
    with warnings.catch_warnings(action="ignore"):
        rasterio.open(path, "w", **settings, **tiles).close()
    script = (
        "import resource, sys\n"
        "from time import perf_counter\n"
        "from geochat.imagery import Scene\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "before, times = peak(), []\n"
        "for _ in range(5):\n"
        "    start = perf_counter()\n"
        f"    with Scene.open({str(path)!r}) as scene:\n"
        "        assert scene.size == (40_000, 40_000)\n"
        "    times.append(perf_counter() - start)\n"
        "print(min(times), (peak() - before) / 1024)\n"
    )
    seconds, megabytes = map(
        float, subprocess.run([sys.executable, "-c", script], capture_output=True, check=True).stdout.split()
    )
    assert seconds < 0.05
    assert megabytes < 30


@pytest.mark.usefixtures("unread")
def test_the_size_of_a_picture_costs_a_header(tmp_path):
    path = tmp_path / "large.png"
    Image.new("RGB", (3000, 3000)).save(path)
    start = perf_counter()
    assert image_size(path) == (3000, 3000)
    assert perf_counter() - start < 0.05


def test_a_view_without_data_is_black_where_that_is_allowed(write_tiff):
    samples = np.full((3, 20, 40), 7, np.uint16)
    samples[:, :, 20:] = 900
    samples[:, :, 30:] = 1800
    with Scene.open(write_tiff(samples, nodata=7)) as scene:
        whole = scene.read()
        assert not whole.blank
        with pytest.raises(ImageError, match="no valid pixel"):
            whole.look((0, 0, 10, 10))
        nothing = whole.look((0, 0, 10, 10), allow_blank=True)
        assert nothing.blank
        assert not nothing.pixels.any()
        assert not whole.look((15, 0, 10, 10), allow_blank=True).blank
