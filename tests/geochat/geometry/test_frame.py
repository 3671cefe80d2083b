"""A point keeps its place through every frame, on images that are not square, cropped, decimated and fitted."""

import numpy as np
import pytest
import shapely
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from geochat.errors import ImageError, RegionError, SettingsError
from geochat.geometry import Frame, ModelFrame, transform_geometry, transform_points

PERCENT = ModelFrame()
UTM = Affine(5, 0, 485900, 0, -5, 5209247)


def pad_to_square(image):
    """Letterboxing as a user of Pillow would write it: the view in the middle of a square."""
    side = max(image.size)
    square = Image.new("RGB", (side, side))
    square.paste(image, ((side - image.width) // 2, (side - image.height) // 2))
    return square


@pytest.mark.parametrize("size", [(800, 400), (801, 400), (300, 900), (301, 900), (256, 256), (1, 7)])
def test_a_known_box_comes_back_from_the_padded_square(size):
    width, height = size
    side = max(size)
    left, top = (side - width) // 2, (side - height) // 2
    box = np.array([(0, 0), (width, height), (width / 3, height / 5)])
    percent = (box + np.array([left, top])) * 100 / side
    np.testing.assert_allclose(transform_points(percent, Frame(size, model=PERCENT).model_to_image), box, atol=1e-9)


@pytest.mark.parametrize("size", [(100, 50), (101, 50), (33, 99), (34, 99)])
def test_padding_is_undone_to_the_pixel(size):
    image = Image.new("RGB", size)
    image.putpixel((7, 11), (255, 0, 0))
    square = np.asarray(pad_to_square(image))
    row, column = np.argwhere(square[..., 0])[0]
    centre = ((column + 0.5) * 100 / len(square), (row + 0.5) * 100 / len(square))
    np.testing.assert_allclose(Frame(size, model=PERCENT).model_to_view @ centre, (7.5, 11.5))


@pytest.mark.parametrize("size", [(333, 201), (480, 321), (260, 416), (320, 320)])
@pytest.mark.parametrize("side", [224, 504])
def test_crop_equals_clip_preprocessing(size, side):
    """A marker's centre is found again after the resize and centre crop that CLIP's image processor does."""
    from transformers import CLIPImageProcessor

    image = Image.new("RGB", size)
    x, y = size[0] // 2 + 20, size[1] // 2 - 30
    image.paste((255, 255, 255), (x - 4, y - 4, x + 4, y + 4))
    processor = CLIPImageProcessor(
        size={"shortest_edge": side}, crop_size={"height": side, "width": side}, do_normalize=False
    )
    seen = np.asarray(processor(image, return_tensors="np")["pixel_values"][0].mean(0))
    seen = np.where(seen > 0.05, seen, 0)
    rows, columns = np.indices(seen.shape) + 0.5
    centre = [(axis * seen).sum() / seen.sum() * 100 / side for axis in (columns, rows)]
    view = Frame(size, model=ModelFrame("crop", side)).model_to_view @ tuple(centre)
    np.testing.assert_allclose(view, (x, y), atol=0.1)


sizes = st.tuples(st.integers(1, 5000), st.integers(1, 5000))
percents = st.lists(st.tuples(st.floats(-50, 150), st.floats(-50, 150)), min_size=1, max_size=5)


@given(sizes, percents, st.sampled_from(["pad", "crop"]), st.floats(0, 360))
def test_every_map_has_an_inverse(size, points, fit, turn):
    frame = Frame(size, Affine(2, 0, 31, 0, 2, 17), UTM @ Affine.rotation(turn), "EPSG:26914", ModelFrame(fit, 504))
    spaces = ["model", "view", "image", "map"]
    there = np.asarray(points)
    for source, target in zip(spaces, [*spaces[1:], "model"], strict=True):
        there = transform_points(there, frame.between(source, target))
    np.testing.assert_allclose(there, points, atol=1e-3)


@given(sizes, st.data())
def test_windows_of_windows_and_decimation_compose(size, data):
    column, row = (data.draw(st.integers(0, extent - 1)) for extent in size)
    width, height = (data.draw(st.integers(1, extent - at)) for extent, at in zip(size, (column, row), strict=True))
    frame = Frame(size, image_to_map=UTM, crs="EPSG:26914", model=PERCENT)
    crop = frame.window(column, row, width, height)
    half = crop.resized(max(1, width // 2), max(1, height // 2))
    corners = [(0, 0), (100, 0), (100, 100)]
    square = max(width, height)
    left, top = (square - width) // 2, (square - height) // 2
    expected = np.array(corners) * square / 100 + (column - left, row - top)
    np.testing.assert_allclose(transform_points(corners, crop.model_to_image), expected, atol=1e-6)
    np.testing.assert_allclose(half.view_to_image @ half.view_size, (column + width, row + height), atol=1e-6)
    assert half.image_to_map == UTM


def test_the_map_frame_is_the_geotransform_of_the_whole_image():
    frame = Frame((100, 50), Affine.translation(10, 20) @ Affine.scale(4), UTM, "EPSG:26914", PERCENT)
    assert frame.model_to_map is not None
    np.testing.assert_allclose(frame.model_to_map @ (0.0, 25.0), UTM @ (10.0, 20.0))
    np.testing.assert_allclose(frame.between("map", "view") @ (UTM @ (14.0, 28.0)), (1, 2), atol=1e-6)


def test_geometries_and_points_take_the_same_way():
    affine = Affine(0.5, 0.1, 3, -0.2, 2, 5)
    ring = [(0, 0), (10, 0), (10, 5)]
    polygon = transform_geometry(shapely.Polygon(ring), affine)
    assert isinstance(polygon, shapely.Polygon)
    np.testing.assert_allclose(list(polygon.exterior.coords)[:3], transform_points(ring, affine))
    assert transform_points([], affine).shape == (0, 2)


def test_what_has_no_map_says_so():
    frame = Frame((10, 10), model=PERCENT)
    assert frame.model_to_map is None
    with pytest.raises(ImageError, match="no geotransform"):
        frame.between("model", "map")


@pytest.mark.parametrize("window", [(-1, 0, 5, 5), (0, 0, 11, 5), (8, 0, 3, 3), (0, 0, 0, 5)])
def test_a_window_outside_the_view_is_refused(window):
    with pytest.raises(RegionError, match="not within the view of 10 x 10"):
        Frame((10, 10)).window(*window)


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({"view_size": (0, 5)}, ImageError),
        ({"image_to_map": Affine(0, 0, 1, 0, 0, 1)}, ImageError),
        ({"view_to_image": Affine(float("nan"), 0, 1, 0, 1, 1)}, ImageError),
    ],
)
def test_impossible_frames_are_refused(settings, error):
    with pytest.raises(error):
        Frame(**{"view_size": (4, 4), **settings})


@pytest.mark.parametrize("settings", [{"fit": "stretch"}, {"fit": "crop"}, {"scale": 0}])
def test_impossible_model_frames_are_refused(settings):
    with pytest.raises(SettingsError):
        ModelFrame(**settings)


def test_a_frame_that_no_model_was_asked_about_has_no_model_frame():
    with pytest.raises(SettingsError, match="belongs to no model"):
        _ = Frame((4, 4)).model_to_image


def test_a_model_may_write_on_another_scale():
    frame = Frame((200, 100), model=ModelFrame(scale=1000))
    np.testing.assert_allclose(frame.model_to_view @ (500.0, 500.0), (100, 50))


def test_points_must_be_pairs():
    with pytest.raises(RegionError, match=r"\(1, 3\)"):
        transform_points([(1, 2, 3)], UTM)
