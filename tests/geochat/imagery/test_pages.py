"""TIFFs of several images, and pictures that move."""

import numpy as np
import pytest
import rasterio
from PIL import Image

from geochat.errors import ImageError
from geochat.imagery import Scene, image_size, open_image


@pytest.fixture
def pages(tmp_path, noise):
    """Colour, grey, and colour to be turned by a quarter."""
    path = tmp_path / "pages.tif"
    first, second = Image.fromarray(noise), Image.fromarray(noise[:20, :30, 0])
    third = Image.fromarray(noise[::-1])
    third.encoderinfo = {"tiffinfo": {274: 6}}
    first.save(path, save_all=True, append_images=[second, third])
    return path


def test_the_first_is_taken_and_said(pages, noise):
    image = open_image(pages)
    np.testing.assert_array_equal(image.pixels, noise)
    (remark,) = image.remarks
    assert remark.code == "page"
    assert remark.text == "The file holds 3 images; this is page 1; choose another with page (--page)."


def test_another_may_be_chosen(pages, noise):
    second = open_image(pages, page=2)
    np.testing.assert_array_equal(second.pixels[..., 0], noise[:20, :30, 0])
    assert "this is page 2" in second.remarks[0].text
    third = open_image(pages, page=3)
    np.testing.assert_array_equal(third.pixels, np.rot90(noise[::-1], -1))
    with Scene.open(pages, page=2) as scene:
        assert (scene.size, scene.pages, scene.labels) == ((30, 20), 3, ("",))
        view = scene.read()
    assert view.look((0, 0, 5, 5)).pixels.shape == (5, 5, 3)
    assert image_size(pages) == (60, 40)


@pytest.mark.parametrize("page", [0, -1, 4])
def test_pages_that_are_not_there(pages, page):
    with pytest.raises(ImageError, match=rf"pages\.tif.*page {page}"):
        open_image(pages, page=page)


def test_files_of_one_image(tmp_path, noise, write_tiff):
    Image.fromarray(noise).save(tmp_path / "image.png")
    for source in (tmp_path / "image.png", write_tiff(noise.transpose(2, 0, 1)), noise):
        assert open_image(source, page=1).remarks == ()
        with pytest.raises(ImageError, match="page 2"):
            open_image(source, page=2)


def test_overviews_and_masks_are_no_pages(write_tiff):
    path = write_tiff(np.ones((3, 600, 800), np.uint8), tiled=True, transform=rasterio.Affine(1, 0, 5, 0, -1, 9))
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(path, "r+") as file:
        file.write_mask(np.full((600, 800), 255, np.uint8))
        file.build_overviews([2, 4])
    image = open_image(path, max_side=100)
    assert image.remarks == ()
    with Scene.open(path) as scene:
        assert scene.pages == 1


@pytest.mark.parametrize("suffix", ["png", "webp"])
def test_of_a_picture_that_moves_the_first_is_shown(tmp_path, noise, suffix):
    path = tmp_path / f"moving.{suffix}"
    frames = [Image.fromarray(noise[::-1]), Image.fromarray(noise[:, ::-1])]
    Image.fromarray(noise).save(path, save_all=True, append_images=frames, lossless=True, duration=50)
    image = open_image(path)
    np.testing.assert_array_equal(image.pixels, noise)
    assert "an animation of 3 pictures" in image.remarks[0].text


def test_what_is_said_reaches_whoever_asks(pages):
    """As notices of an answer, so on the command line, in JSON and in the chat."""
    from geochat.assistant.notices import view_notices
    from geochat.models import ModelInfo, Settings

    notices = list(view_notices(open_image(pages), ModelInfo(Settings(), 504)))
    assert [(notice.code, notice.text) for notice in notices] == [
        (remark.code, remark.text) for remark in open_image(pages).remarks
    ]
