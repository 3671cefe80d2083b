"""The image in a real browser: opening it, zooming, drawing regions, other bands and pages."""

import math

import numpy as np
import pytest
from serve_browser import asked_box, where_image_lies
from serve_wire import wait_until

from geochat.exports import PALETTE
from geochat.geometry import OrientedBox

FIRST = OrientedBox(10, 20, 30, 40, 30)  # of the scripted answer, percent of the model's square


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_image_is_true_to_its_colours_and_boxes_are_where_the_model_put_them(people, pictures, scheme):
    user = people(color_scheme=scheme)
    user.open(pictures / "wide.png")
    pixels = user.screenshot()
    left, top, right, bottom = where_image_lies(pixels)
    assert (right - left) / (bottom - top) == pytest.approx(2, rel=0.02)
    middle = pixels[(top + bottom) // 2, (left + right) // 2]
    assert np.abs(middle - (60, 85, 80)).max() <= 3
    user.ask("where?", "Grounded description")
    user.page.mouse.move(5, 5)
    pixels = user.screenshot()
    scale = (right - left) / 600
    colour = np.array([int(PALETTE[0][at : at + 2], 16) for at in (1, 3, 5)])
    corners = [(x * 6 * scale + left, (y * 6 - 150) * scale + top) for x, y in FIRST.corners()]
    for (x1, y1), (x2, y2) in zip(corners, [*corners[1:], corners[0]], strict=True):
        for part in (0.2, 0.5, 0.8):
            x, y = round(x1 + (x2 - x1) * part), round(y1 + (y2 - y1) * part)
            if not 2 <= y < len(pixels) - 2:
                continue
            around = pixels[y - 2 : y + 3, x - 2 : x + 3].reshape(-1, 3)
            assert np.abs(around - colour).sum(axis=1).min() < 40, (part, x, y)


def test_drawing_rotating_and_moving_a_region(user, engine, pictures):
    user.open(pictures / "wide.png")
    user.draw()
    user.wait_for_task("Identify region")
    middle, knob = user.region()
    reach, angle = math.dist(middle, knob), math.radians(-90 + 30)
    user.drag(knob, (middle[0] + reach * math.cos(angle), middle[1] + reach * math.sin(angle)))
    user.ask("")
    assert engine.requests[-1].messages[-1].text.startswith("[identify]")
    before = asked_box(engine)
    assert before.angle == pytest.approx(30, abs=1)
    assert before.center == pytest.approx((50, 50), abs=1.5)
    user.drag(middle, (middle[0] - user.stage()[2] * 0.1, middle[1]))
    user.ask("")
    after = asked_box(engine)
    assert after.center[0] < before.center[0] - 5
    assert (after.width, after.height, after.angle) == pytest.approx((before.width, before.height, before.angle), abs=1)


@pytest.mark.slow
def test_resizing_holds_the_opposite_corner(user, engine, pictures):
    user.open(pictures / "wide.png")
    user.draw((0.3, 0.4), (0.5, 0.6))
    user.ask("")
    before = asked_box(engine).normalized("[0,90)")
    handle = user.page.locator(".gv-region .handle").nth(4).bounding_box()  # bottom right
    user.drag((handle["x"] + 5, handle["y"] + 5), (handle["x"] + 65, handle["y"] + 35))
    user.ask("")
    after = asked_box(engine).normalized("[0,90)")
    assert (after.x1, after.y1) == pytest.approx((before.x1, before.y1), abs=1)
    assert after.x2 > before.x2 + 3
    assert after.y2 > before.y2 + 2


@pytest.mark.slow
def test_the_knob_of_a_region_at_the_upper_edge_is_below_it(user, engine, pictures):
    user.open(pictures / "wide.png")
    user.page.click("[data-action=in]")
    user.draw((0.4, 0.01), (0.6, 0.3))
    middle, knob = user.region()
    assert knob[1] > middle[1]
    angle = math.radians(90 + 20)
    user.drag(knob, (middle[0] + 200 * math.cos(angle), middle[1] + 200 * math.sin(angle)))
    user.ask("")
    assert asked_box(engine).angle == pytest.approx(20, abs=1)


@pytest.mark.slow
def test_a_pasted_region_is_drawn_and_asked_about(user, engine, pictures):
    user.open(pictures / "place.tif")
    user.open_panel("Image and regions")
    user.page.fill("#pasted textarea", "px 100, 80, 300, 240")
    user.page.click("#add-region")
    user.page.wait_for_selector(".gv-region")
    user.ask("", "Identify region")
    assert asked_box(engine).iou(OrientedBox(25, 30, 75, 70)) > 0.9
    user.page.fill("#pasted textarea", "nowhere")
    user.page.click("#add-region")
    user.wait_for_notification("Paste GeoJSON")


@pytest.mark.slow
def test_oversized_and_corrupt_uploads_are_refused(user, pictures):
    for name, message in (("huge.png", "the limit is 2 MB"), ("broken.png", "cannot be decoded")):
        user.page.set_input_files(".gv-file", pictures / name)
        user.wait_for_notification(message)
        user.page.wait_for_selector(".gv-busy", state="hidden")
    assert "/tmp" not in user.page.locator(".toast-body").last.inner_text()
    user.open(pictures / "wide.png")


@pytest.mark.slow
def test_dropping_and_pasting_an_image(user, pictures):
    put = """([kind, target, bytes]) => {
      const data = new DataTransfer();
      data.items.add(new File([new Uint8Array(bytes)], kind + '.png', {type: 'image/png'}));
      const init = {bubbles: true, cancelable: true};
      const event = kind === 'paste' ? new ClipboardEvent('paste', {...init, clipboardData: data})
        : new DragEvent('drop', {...init, dataTransfer: data});
      document.querySelector(target).dispatchEvent(event);
    }"""
    content = list((pictures / "wide.png").read_bytes())
    for kind, target in (("drop", ".gv-stage"), ("paste", "body")):
        user.page.evaluate(put, [kind, target, content])
        user.page.wait_for_function("n => document.querySelector('.gv-name')?.textContent === n", arg=f"{kind}.png")


@pytest.mark.slow
def test_the_visible_area_is_asked_about_at_full_resolution(user, engine, pictures):
    user.open(pictures / "wide.png")
    left, top, width, height = user.stage()
    user.page.mouse.move(left + width * 0.5, top + height * 0.5)
    for _ in range(3):
        user.page.mouse.wheel(0, -300)
    user.page.check("#visible-only input")
    user.ask("it", "Find")
    view = engine.requests[-1].images[0]
    assert view.width < 300
    box = user.page.locator(".gv-box polygon.over").bounding_box()
    side = max(view.size) * width / view.width  # of the model's square on the screen, in whose middle the view lies
    assert box["x"] + box["width"] / 2 == pytest.approx(left + width / 2, abs=6)
    assert box["y"] + box["height"] / 2 == pytest.approx(top + height / 2 - side / 8, abs=0.02 * side)
    assert sorted((box["width"], box["height"])) == pytest.approx([side / 4, side / 2], rel=0.05)
    assert "visible area" in user.page.locator(".gc-view").inner_text()


@pytest.mark.slow
def test_a_georeferenced_image_has_a_scale_and_coordinates(user, pictures):
    user.open(pictures / "place.tif")
    left, top, width, height = user.stage()
    user.page.mouse.move(left + width / 2, top + height / 2)
    pixel = user.page.locator(".gv-pixel").inner_text()
    x, y = (int(part) for part in pixel.replace("x", "").replace("y", "").split())
    assert (x, y) == pytest.approx((200, 160), abs=1)
    assert user.page.locator(".gv-scale b").inner_text() in ("20 m", "10 m", "50 m")
    assert "EPSG:32631" in user.page.locator(".gv-map").inner_text()
    east, north = (float(part.strip(",")) for part in user.page.locator(".gv-map").inner_text().split()[1:])
    assert (east, north) == pytest.approx((500_100, 4_648_920), abs=1)
    assert user.page.locator(".gv-lonlat").inner_text().startswith("41.99")
    bar = user.page.locator(".gv-scale i").bounding_box()["width"]
    metres = float(user.page.locator(".gv-scale b").inner_text().split()[0])
    assert bar == pytest.approx(metres / 0.5 * user.zoom() / 100, rel=0.02)


@pytest.mark.slow
def test_another_image_is_shown_whole_and_other_bands_keep_the_view(user, pictures):
    user.open(pictures / "wide.png")
    user.page.click("[data-action=in]")
    user.draw()
    user.wait_for_task("Identify region")
    user.open(pictures / "place.tif")
    user.page.wait_for_selector(".gv-region", state="detached")
    user.wait_for_task("Auto")
    _, _, width, height = user.stage()
    assert user.zoom() == pytest.approx(min(width / 400, height / 320) * 96, abs=1)
    user.page.click("[data-action=in]")
    user.draw()
    zoom, before = user.zoom(), user.screenshot()
    user.open_panel("Image and regions")
    user.page.fill("#bands input", "4,3,2")
    user.page.press("#bands input", "Enter")
    wait_until(lambda: np.abs(user.screenshot() - before).mean() > 20)
    assert user.page.locator(".gv-region").count() == 1
    assert user.zoom() == zoom
    user.page.fill("#bands input", "9,9,9")
    user.page.press("#bands input", "Enter")
    user.wait_for_notification("4 bands")


@pytest.mark.slow
def test_the_pages_of_a_file_with_several_images(user, pictures):
    user.open(pictures / "wide.png")
    user.open_panel("Image and regions")
    assert user.page.locator("#page-number").count() == 0
    user.open(pictures / "pages.tif")
    user.ask("where?", "Grounded description")
    notice = user.page.locator(".gc-notice[data-code=page]").inner_text()
    assert "2 images" in notice
    assert "under “Image and regions”" in notice
    user.page.click("#page-number input")
    user.page.click("[role=option]:has-text('2')")
    user.page.wait_for_function("() => document.querySelector('.gv-name').title.includes('450 × 300')")
    user.page.wait_for_selector(".gc-exchange", state="detached")
    user.page.reload()
    user.page.wait_for_function("() => document.querySelector('.gv-name')?.title.includes('450 × 300')")
    user.open_panel("Image and regions")
    user.page.wait_for_function("() => document.querySelector('#page-number input')?.value === '2'")
    user.errors.clear()  # Gradio's own, of the connection that was cut


@pytest.mark.slow
def test_far_from_the_known_resolution_a_notice_says_so(user, engine, pictures, monkeypatch):
    user.open(pictures / "place.tif")  # 0.5 m, 400 px in a square of 504: within what the engine knows
    user.ask("near")
    assert user.page.locator(".gc-notice").count() == 0
    monkeypatch.setattr(engine, "settings", type(engine.settings)("far", ground_resolution=(5.0, 10.0)))
    user.ask("far")
    assert "40 cm a pixel" in user.page.locator(".gc-notice").inner_text()
