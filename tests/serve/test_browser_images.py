"""Image layers and the swipe in a real browser."""

from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from serve_browser import PHONE
from serve_wire import wait_until

NAIP = Path(__file__).resolve().parents[3] / "shared" / "imagery" / "naip"
GREEN, RED = (40, 200, 40), (200, 40, 40)


def write(path, colour, left=0, size=(400, 320), crs="EPSG:32631"):
    """A picture of one colour, half a metre a pixel, `left` pixels to the right of the others."""
    profile = {"width": size[0], "height": size[1], "count": 3, "dtype": "uint8", "crs": crs}
    place = Affine(0.5, 0, 500_000 + left / 2, 0, -0.5, 4_649_000)
    with rasterio.open(path, "w", driver="GTiff", transform=place, **profile) as target:
        target.write(np.broadcast_to(np.array(colour, np.uint8)[:, None, None], (3, size[1], size[0])))
    return path


def open_image(user, path):
    user.open(path)
    user.page.evaluate("document.querySelector('#layers details').open = true")


def add(user, path):
    user.page.set_input_files(".gy-image-file", path)
    user.page.wait_for_selector(".gy-images input[type=text] >> visible=true")
    user.page.wait_for_function(
        "name => [...document.querySelectorAll('.gy-images input[type=text]')].some(each => each.value === name)",
        arg=path.name,
    )


def share(user, colour):
    """The share of the image that has a colour, as fractions of the stage's width: from, to, and of its pixels."""
    user.page.mouse.move(5, 5)
    pixels = user.screenshot()
    found = (np.abs(pixels - np.array(colour)) < 12).all(axis=2)
    columns = np.nonzero(found.sum(axis=0) > found.shape[0] / 4)[0]
    return (columns.min() / found.shape[1], columns.max() / found.shape[1]) if len(columns) else None


@pytest.fixture
def placed(user, tmp_path):
    open_image(user, write(tmp_path / "active.tif", RED))
    return user


@pytest.mark.slow
def test_a_layer_is_drawn_where_it_lies_over_the_active_image(placed, tmp_path):
    add(placed, write(tmp_path / "right.tif", GREEN, left=200))
    wait_until(lambda: share(placed, GREEN) is not None)
    (red, edge), (start, _) = share(placed, RED), share(placed, GREEN)
    assert edge == pytest.approx(0.5, abs=0.01)
    assert start == pytest.approx(0.5, abs=0.01)
    assert red < 0.45
    assert placed.page.inner_text(".gy-active") == "Questions are about active.tif, not about image layers."
    placed.page.fill(".gy-images [type=range]", "0.5")
    wait_until(lambda: share(placed, [(a + b) / 2 for a, b in zip(GREEN, RED, strict=True)]) is not None)
    placed.page.uncheck(".gy-images [type=checkbox]")
    wait_until(lambda: share(placed, RED)[1] > 0.55)
    placed.page.check(".gy-images [type=checkbox]")
    placed.page.fill(".gy-images [type=text]", "the right one")
    placed.page.reload()
    placed.page.wait_for_selector(".gy-images input[type=text]", state="attached")
    assert placed.page.input_value(".gy-images [type=text]") == "the right one"
    assert placed.page.input_value(".gy-images [type=range]") == "0.5"
    placed.page.evaluate("document.querySelector('#layers details').open = true")
    placed.page.fill(".gy-images [type=range]", "1")
    wait_until(lambda: share(placed, GREEN) is not None)
    placed.page.click(".gy-images button:text-is('Remove')")
    wait_until(lambda: share(placed, GREEN) is None)
    assert placed.page.locator(".gy-images li").count() == 0


@pytest.mark.slow
def test_an_image_without_a_place_is_refused_and_said(placed, pictures, tmp_path):
    for path, words in (
        (pictures / "wide.png", "wide.png has no place on Earth"),
        (write(tmp_path / "far.tif", GREEN, left=10**6), "far.tif lies elsewhere"),
        (write(tmp_path / "nowhere.tif", GREEN, crs=None), "nowhere.tif has no place on Earth"),
    ):
        placed.page.set_input_files(".gy-image-file", path)
        placed.page.wait_for_selector(f".gy-message.bad:has-text('{words}')")
    assert placed.page.locator(".gy-images li").count() == 0
    assert placed.page.is_disabled(".gy-swiping")
    placed.errors.clear()  # the browser notes the refused requests


@pytest.mark.slow
def test_a_layer_of_an_image_that_was_replaced_tells_why_it_is_not_drawn(placed, pictures, tmp_path):
    add(placed, write(tmp_path / "green.tif", GREEN))
    placed.open(pictures / "wide.png")
    placed.page.wait_for_selector(".gy-problem:has-text('wide.png has no place on Earth')")
    assert placed.page.is_disabled(".gy-swiping")
    assert share(placed, GREEN) is None


def line(user):
    return float(user.page.get_attribute(".gv-swipe", "aria-valuenow"))


def test_the_swipe_by_mouse_and_by_keyboard(placed, tmp_path):
    add(placed, write(tmp_path / "green.tif", GREEN))
    wait_until(lambda: share(placed, GREEN) is not None)
    placed.page.click(".gy-swiping")
    placed.page.wait_for_selector(".gv-swipe")
    assert share(placed, RED)[1] == pytest.approx(0.5, abs=0.01)
    assert placed.page.locator(".gv-side").all_inner_texts() == ["active.tif", "green.tif"]
    left, top, width, height = placed.stage()
    before = placed.page.evaluate("sessionStorage['geochat-view']")
    placed.drag((left + width / 2, top + height / 2), (left + width * 0.4, top + height / 2))
    assert line(placed) == 40
    assert share(placed, GREEN)[0] == pytest.approx(0.4, abs=0.01)
    assert placed.page.evaluate("sessionStorage['geochat-view']") == before  # the image did not move
    placed.page.focus(".gv-swipe")
    for key, expected in (
        ("ArrowRight", 41),
        ("Shift+ArrowRight", 51),
        ("PageDown", 41),
        ("Home", 0),
        ("ArrowLeft", 0),
    ):
        placed.page.keyboard.press(key)
        assert line(placed) == expected
    assert share(placed, RED) is None
    placed.page.keyboard.press("End")
    assert share(placed, GREEN) is None
    placed.page.uncheck(".gy-images [type=checkbox]")
    placed.page.wait_for_selector(".gv-swipe", state="hidden")


@pytest.mark.slow
def test_the_swipe_by_touch(people, tmp_path):
    phone = people(**PHONE)
    open_image(phone, write(tmp_path / "active.tif", RED))
    add(phone, write(tmp_path / "green.tif", GREEN))
    phone.page.tap(".gy-swiping")
    phone.page.wait_for_selector(".gv-swipe")
    left, top, width, height = phone.stage()
    session = phone.page.context.new_cdp_session(phone.page)
    for kind, part in (("touchStart", 0.5), ("touchMove", 0.4), ("touchMove", 0.3), ("touchEnd", None)):
        points = [] if part is None else [{"x": left + width * part, "y": top + height / 2}]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    phone.page.wait_for_function("document.querySelector('.gv-swipe').getAttribute('aria-valuenow') === '30'")


@pytest.mark.slow
def test_two_dates_of_one_place(user, tmp_path):
    if not NAIP.is_dir():
        pytest.skip("needs ../shared/imagery/naip")
    for path in NAIP.glob("*.tif"):  # smaller, so that the server of the tests takes them
        with rasterio.open(path) as source, rasterio.open(tmp_path / path.name, "w", **reduced(source)) as target:
            target.write(source.read([1, 2, 3], out_shape=(3, target.height, target.width)))
    before, after = sorted(tmp_path.glob("*.tif"))
    open_image(user, before)
    add(user, after)
    user.page.click(".gy-swiping")
    user.page.wait_for_selector(".gv-swipe")
    user.page.focus(".gv-swipe")
    user.page.keyboard.press("End")
    old = user.screenshot()
    user.page.keyboard.press("Home")
    wait_until(lambda: np.abs(user.screenshot() - old).mean() > 5)


def reduced(source):
    size = {"width": source.width // 2, "height": source.height // 2}
    return {**source.profile, **size, "count": 3, "transform": source.transform @ Affine.scale(2)}
