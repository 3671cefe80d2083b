"""Layers and tools on the image in a real browser: vector layers, measuring, coordinates, grid, north, bands, tiles."""

import json

import numpy as np
import pytest
import rasterio
from affine import Affine
from serve_wire import wait_until

from geochat.geometry import to_geographic

SKY = np.array([0x56, 0xB4, 0xE9])  # colour of the first layer


PLACE = {"transform": Affine(0.5, 0, 500_000, 0, -0.5, 4_649_000), "crs": "EPSG:32631"}


@pytest.fixture
def placed(user, tmp_path):
    """A user who has a grey image open: 400 x 320 pixels of half a metre, three bands with names."""
    path = tmp_path / "grey.tif"
    with rasterio.open(path, "w", driver="GTiff", width=400, height=320, count=3, dtype="uint8", **PLACE) as target:
        target.write(np.full((3, 320, 400), 90, np.uint8))
        target.descriptions = ("B4 red", "B3", "B8 <b>nir</b>")
    user.open(path)
    user.page.evaluate("document.querySelector('#layers details').open = true")
    return user


def coloured(user):
    user.page.mouse.move(5, 5)
    return int((np.abs(user.screenshot() - SKY).sum(axis=2) < 12).sum())


def on_screen(user, x, y):
    """A pixel of the image as a point of the screen."""
    left, top, width, height = user.stage()
    scale = min(width / 400, height / 320) * 0.96
    return left + (width - 400 * scale) / 2 + x * scale, top + (height - 320 * scale) / 2 + y * scale


def geojson(folder, *corners):
    points = [(500_000 + x * 0.5, 4_649_000 - y * 0.5) for x, y in corners]
    ring = to_geographic(points, "EPSG:32631").tolist()
    feature = {"type": "Feature", "properties": {"name": "<img src=x>"}}
    feature["geometry"] = {"type": "Polygon", "coordinates": [[*ring, ring[0]]]}
    path = folder / "sites.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    return path


def test_a_vector_layer_is_drawn_where_it_lies_and_told(placed, tmp_path):
    placed.page.set_input_files(".gy-file", geojson(tmp_path, (100, 80), (300, 80), (300, 240), (100, 240)))
    placed.page.wait_for_selector(".gy-list li")
    wait_until(lambda: coloured(placed) > 300)
    placed.page.mouse.move(*on_screen(placed, 200, 160))
    placed.page.wait_for_selector(".gy-tip:has-text('name: <img src=x>')")
    placed.page.mouse.move(*on_screen(placed, 50, 40))
    placed.page.wait_for_selector(".gy-tip", state="hidden")
    placed.page.fill(".gy-list [type=text]", "my sites")
    placed.page.fill(".gy-list [type=range]", "0")
    wait_until(lambda: coloured(placed) == 0)
    placed.page.reload()
    placed.page.wait_for_selector(".gy-list li", state="attached")
    placed.page.evaluate("document.querySelector('#layers details').open = true")
    assert placed.page.input_value(".gy-list [type=text]") == "my sites"
    assert placed.page.input_value(".gy-list [type=range]") == "0"
    placed.page.fill(".gy-list [type=range]", "1")
    wait_until(lambda: coloured(placed) > 300)
    placed.page.click(".gy-list button:text-is('Remove')")
    wait_until(lambda: any(url.endswith("/remove") for url in placed.requested))
    placed.errors.clear()  # Gradio's own, of the connection that was cut


@pytest.mark.slow
def test_a_broken_layer_is_said_and_changes_nothing(placed, tmp_path):
    broken = tmp_path / "broken.geojson"
    broken.write_text('{"type": "FeatureCollection", "features": [')
    placed.page.set_input_files(".gy-file", broken)
    placed.page.wait_for_selector(".gy-message.bad:has-text('broken.geojson')")
    assert placed.page.locator(".gy-list li").count() == 0
    placed.errors.clear()  # the browser notes the refused request


@pytest.mark.slow
def test_a_hundred_thousand_shapes_stay_usable(placed):
    placed.page.evaluate(
        """() => {
          const shapes = Array.from({length: 100000}, (_, n) => {
            const [x, y] = [(n % 400), Math.floor(n / 400)];
            return {type: "polygon", label: String(n), parts: [[[x, y], [x + 1, y], [x + 1, y + 1], [x, y + 1]]]};
          });
          const image_id = JSON.parse(sessionStorage.getItem("geochat-view")).image;
          const detail = {id: "many", image_id, name: "many", shapes};
          document.dispatchEvent(new CustomEvent("geochat:put-layer", {detail}));
        }"""
    )
    placed.page.wait_for_selector(".gy-count:has-text('100,000')")
    wait_until(lambda: coloured(placed) > 1000)
    placed.page.click("[data-action=in]")
    placed.page.mouse.move(*on_screen(placed, 200, 160))
    placed.page.wait_for_selector(".gy-tip:visible")


def measured(user):
    text = user.page.inner_text(".gy-message").split(": ")[1]
    return float(text.split()[0].replace(",", ""))


@pytest.mark.slow
def test_lengths_and_areas_are_metres_on_the_ground(placed):
    placed.page.click("[data-tool=length]")
    for point in ((100, 100), (300, 100)):
        placed.page.mouse.click(*on_screen(placed, *point))
    placed.page.wait_for_selector(".gy-message:has-text('Length: ')")
    assert measured(placed) == pytest.approx(100, rel=0.02)
    placed.page.click("[data-tool=area]")
    for point in ((100, 100), (300, 100), (300, 200), (100, 200)):
        placed.page.mouse.click(*on_screen(placed, *point))
    placed.page.wait_for_selector(".gy-message:has-text('Area: ')")
    wait_until(lambda: measured(placed) > 4000)
    assert measured(placed) == pytest.approx(5000, rel=0.03)
    placed.page.keyboard.press("Escape")
    assert placed.page.get_attribute("[data-tool=area]", "aria-pressed") == "false"
    assert placed.page.locator(".gv-region").count() == 0


@pytest.mark.slow
def test_without_a_place_lengths_are_pixels_and_degrees_are_refused(user, pictures):
    user.open(pictures / "wide.png")
    user.page.evaluate("document.querySelector('#layers details').open = true")
    user.page.click("[data-tool=length]")
    left, top, width, height = user.stage()
    for part in (0.4, 0.6):
        user.page.mouse.click(left + width * part, top + height / 2)
    user.page.wait_for_selector(".gy-message:has-text(' px')")
    user.page.check(".gy-grid")
    user.page.check(".gy-north")
    user.page.fill(".gy-place", "map 5, 5")
    user.page.click(".gy-goto button")
    user.page.wait_for_selector(".gy-message.bad:has-text('no place on Earth')")


def go_to(user, text):
    user.page.fill(".gy-place", text)
    user.page.click(".gy-goto button")


def wait_for_middle(user, x, y):
    """Wait until a pixel of the image is in the middle of the stage."""
    user.page.wait_for_function(
        """([x, y]) => {
          const [midX, midY] = JSON.parse(sessionStorage["geochat-view"]).middle;
          return Math.abs(midX - x) < 1 && Math.abs(midY - y) < 1;
        }""",
        arg=[x, y],
    )


@pytest.mark.slow
def test_going_to_a_coordinate(placed):
    lon, lat = to_geographic([(500_100, 4_648_920)], "EPSG:32631")[0]
    for text in (f"{lat:.8f}, {lon:.8f}", "500100 4648920", "px 200 160"):
        go_to(placed, "px 100 80")
        wait_for_middle(placed, 100, 80)
        go_to(placed, text)
        wait_for_middle(placed, 200, 160)
    go_to(placed, "px 9999 1")
    placed.page.wait_for_selector(".gy-message.bad:has-text('not on the image')")
    go_to(placed, "here")
    placed.page.wait_for_selector(".gy-message.bad:has-text('Type two numbers')")


@pytest.mark.slow
def test_panning_back_fetches_no_tile_again(user, tmp_path):
    path = tmp_path / "large.tif"
    profile = {"driver": "GTiff", "width": 6000, "height": 3000, "count": 3, "dtype": "uint8", "tiled": True}
    with rasterio.open(path, "w", compress="deflate", **profile, **PLACE) as target:
        target.write(np.full((3, 3000, 6000), 90, np.uint8))
    user.open(path)
    settled = []
    for event in ("requestfinished", "requestfailed"):
        user.page.on(event, lambda request: settled.append(request.url))

    def tiles(urls):
        return [url for url in urls if "/page/tiles/" in url]

    def rest():
        """Wait until no tile is on its way: how many were asked for."""
        user.page.wait_for_timeout(500)
        wait_until(lambda: user.page.wait_for_timeout(300) or len(tiles(settled)) == len(tiles(user.requested)))
        return len(tiles(user.requested))

    left, top, width, height = user.stage()
    user.page.mouse.move(left + width / 2, top + height / 2)
    while user.zoom() < 90:
        user.page.mouse.wheel(0, -200)
        user.page.wait_for_timeout(50)
    assert rest() >= 2
    there, back = (left + width * 0.9, top + height / 2), (left + width * 0.1, top + height / 2)
    user.drag(there, back)
    before = rest()
    user.drag(back, there)
    assert rest() == before


@pytest.mark.slow
def test_the_band_menu_names_the_bands(placed):
    placed.page.click("#more button:has-text('Image and regions')")
    placed.page.click("#bands input")
    placed.page.click("[role=option]:has-text('3: B8 <b>nir</b>')")
    placed.page.wait_for_function("() => document.querySelector('#bands input').value.startsWith('3: B8')")
