"""The page in a real browser: what a user does, and what they see then. `-m slow` runs what is not the core of it."""

import io
import json
import math
import time
import zipfile

import numpy as np
import pytest
from PIL import Image

from geochat import GeoChat
from geochat.dialects import GEOCHAT
from geochat.exports import PALETTE
from geochat.geometry import OrientedBox
from geochat_serve import ServeSettings, serve

FIRST = OrientedBox(10, 20, 30, 40, 30)  # of the scripted answer, percent of the model's square


def picture(user):
    """The stage as it is on the screen, RGB."""
    return np.asarray(Image.open(io.BytesIO(user.page.locator(".gv-stage").screenshot())).convert("RGB")).astype(int)


def where_image_lies(pixels):
    """Left, top, right and bottom of `wide.png` on the stage: it has blue 80 and nothing around it has."""
    rows, columns = np.nonzero((abs(pixels[..., 2] - 80) < 6) & (pixels[..., 1] >= 56))
    return columns.min(), rows.min(), columns.max() + 1, rows.max() + 1


def asked_box(engine):
    """The region of the last question, in the frame of the model's square."""
    return GEOCHAT.parse(engine.requests[-1].messages[-1].text).regions[0].box


def test_an_upload_is_shown_whole_and_true_to_its_colours(user, pictures):
    user.open(pictures / "wide.png")
    pixels = picture(user)
    left, top, right, bottom = where_image_lies(pixels)
    assert (right - left) / (bottom - top) == pytest.approx(2, rel=0.02)
    middle = pixels[(top + bottom) // 2, (left + right) // 2]
    assert np.abs(middle - (60, 85, 80)).max() <= 3


@pytest.mark.parametrize("scheme", ["light", pytest.param("dark", marks=pytest.mark.slow)])
def test_boxes_are_where_the_model_put_them(people, pictures, scheme):
    user = people(color_scheme=scheme)
    user.open(pictures / "wide.png")
    left, top, right, _bottom = where_image_lies(picture(user))
    user.ask("where?", "Grounded description")
    user.page.mouse.move(5, 5)
    pixels = picture(user)
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


def test_draw_rotate_move_and_ask(user, engine, pictures):
    user.open(pictures / "wide.png")
    user.draw()
    user.page.wait_for_function("() => document.querySelector('#task input:checked').value === 'Identify region'")
    knob = user.page.locator(".gv-region .knob").bounding_box()
    body = user.page.locator(".gv-region .over").bounding_box()
    middle = body["x"] + body["width"] / 2, body["y"] + body["height"] / 2
    reach = math.dist(middle, (knob["x"] + 7, knob["y"] + 7))
    user.page.mouse.move(knob["x"] + 7, knob["y"] + 7)
    user.page.mouse.down()
    turned = math.radians(-90 + 30)
    user.page.mouse.move(middle[0] + reach * math.cos(turned), middle[1] + reach * math.sin(turned), steps=5)
    user.page.mouse.up()
    user.ask("")
    assert engine.requests[-1].messages[-1].text.startswith("[identify]")
    before = asked_box(engine)
    assert before.angle == pytest.approx(30, abs=1)
    assert before.center == pytest.approx((50, 50), abs=1.5)
    user.page.mouse.move(*middle)
    user.page.mouse.down()
    width = user.stage()[2]
    user.page.mouse.move(middle[0] - width * 0.1, middle[1], steps=4)
    user.page.mouse.up()
    user.ask("")
    after = asked_box(engine)
    assert after.center[0] < before.center[0] - 5
    assert (after.width, after.height, after.angle) == pytest.approx((before.width, before.height, before.angle), abs=1)


@pytest.mark.slow
def test_resizing_holds_the_opposite_corner(user, engine, pictures):
    user.open(pictures / "wide.png")
    user.draw((0.3, 0.4), (0.5, 0.6))
    user.ask("")
    before = asked_box(engine)
    handle = user.page.locator(".gv-region .handle").nth(4).bounding_box()  # bottom right
    user.page.mouse.move(handle["x"] + 5, handle["y"] + 5)
    user.page.mouse.down()
    user.page.mouse.move(handle["x"] + 65, handle["y"] + 35, steps=4)
    user.page.mouse.up()
    user.ask("")
    after = asked_box(engine).normalized("[0,90)")
    before = before.normalized("[0,90)")
    assert (after.x1, after.y1) == pytest.approx((before.x1, before.y1), abs=1)
    assert after.x2 > before.x2 + 3
    assert after.y2 > before.y2 + 2


def test_answers_stream_with_their_boxes(user, engine, pictures):
    user.open(pictures / "wide.png")
    engine.pause = 0.08
    try:
        user.ask("where?", "Grounded description", wait=False)
        user.page.wait_for_selector(".gc-turn.writing .gc-phrase")
        user.page.wait_for_selector(".gv-box")
        assert user.page.locator(".gc-turn.writing").count() == 1
        assert user.page.locator(".gv-box").count() < 3
        assert user.page.locator("#stop").is_enabled()
        user.done()
    finally:
        engine.pause = 0.004
    assert user.page.locator(".gv-box").count() == 3
    user.page.wait_for_selector("#stop:disabled")


def test_hovering_links_phrase_and_box(user, pictures):
    user.open(pictures / "wide.png")
    user.ask("where?", "Grounded description")
    user.page.hover(".gc-phrase >> text=a hangar")
    assert user.page.locator(".gv-box.lit").get_attribute("data-key").endswith("-3")
    assert "a hangar" in user.page.locator(".gv-tip").inner_text()
    user.page.mouse.move(5, 5)
    assert user.page.locator(".gv-box.lit").count() == 0
    box = user.page.locator(".gv-box").nth(1).bounding_box()
    user.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    user.page.wait_for_selector(".gc-phrase.lit >> text=two airplanes")
    assert user.page.locator(".gc-chip.lit").inner_text() == "2"
    assert "[2] two airplanes" in user.page.locator(".gv-tip").inner_text()


@pytest.mark.slow
def test_boxes_are_hidden_and_shown_by_turn(user, pictures):
    user.open(pictures / "wide.png")
    user.ask("where?", "Grounded description")
    user.ask("it", "Find")
    assert user.page.locator(".gv-box").count() == 4
    user.click_tool("Hide boxes")
    assert user.page.locator(".gv-box").count() == 3
    user.click_tool("Show boxes")
    user.page.click(".gv-bar [data-do=boxes]")
    assert user.page.locator(".gv-box").count() == 0


def test_model_text_is_never_markup(user, pictures):
    user.open(pictures / "wide.png")
    user.ask("a script")
    assert "<script>window.hacked=1</script><img src=x" in user.words()
    assert user.page.locator("#conversation img, #conversation script, #conversation b").count() == 0
    user.page.hover(".gc-phrase")
    assert "<b>bold</b>" in user.page.locator(".gv-tip").inner_text()
    user.click_tool("Raw")
    assert "<p><b>bold</b></p> {<10>" in user.page.locator(".gc-raw").inner_text()
    assert user.page.evaluate("window.hacked") is None


def test_choices_and_notices_are_shown_and_never_markup(user, pictures):
    user.open(pictures / "wide.png")
    user.ask("<b>harbor</b>, airport, forest", "Classify")
    shown = user.page.locator(".gc-choices li").all_inner_texts()
    assert [" ".join(text.split()) for text in shown] == ["airport 57 %", "<b>harbor</b> 29 %", "forest 14 %"]
    assert user.words() == "airport"
    user.ask("a <i>submarine</i>", "Find")
    remark = user.page.locator(".gc-turn:last-child .gc-remark")
    assert '"a <i>submarine</i>" was asked for' in remark.inner_text()
    assert remark.get_attribute("data-code") == "not-as-asked"
    assert user.page.locator("#conversation b, #conversation i").count() == 0


@pytest.mark.slow
def test_a_user_s_own_words_and_file_names_are_never_markup(user, pictures, tmp_path):
    evil = tmp_path / "<img src=x onerror=window.hacked=1>.png"
    evil.write_bytes((pictures / "broken.png").read_bytes())
    user.page.set_input_files(".gv-file", evil)
    user.page.wait_for_selector(".toast-body")
    assert "cannot be decoded" in user.toast()
    user.open(pictures / "wide.png")
    user.ask("<img src=x onerror=window.hacked=1>")
    assert "<img src=x" in user.page.locator(".gc-question").inner_text()
    assert user.page.evaluate("window.hacked") is None


@pytest.mark.slow
def test_what_cannot_be_read_stays_in_the_text_and_is_told(user, pictures):
    user.open(pictures / "wide.png")
    user.ask("malformed")
    assert "could not be read" in user.page.locator(".gc-remark").inner_text()
    assert user.page.locator(".gv-box").count() == 1


@pytest.mark.slow
def test_stopping_stops_computing_and_keeps_what_is_there(user, engine, pictures):
    user.open(pictures / "wide.png")
    user.ask("slow", wait=False)
    user.page.wait_for_selector(".gc-turn.writing .gc-words:has-text('word5')")
    user.page.click("#stop")
    user.page.wait_for_selector(".gc-turn.stopped")
    assert engine.running == 0
    assert user.words().startswith("word0 word1")
    user.ask("it", "Find")
    assert user.page.locator(".gc-turn").count() == 2


@pytest.mark.slow
def test_retry_draws_another_answer_in_its_place(user, engine, pictures):
    user.open(pictures / "wide.png")
    user.ask("it", "Find")
    user.click_tool("Retry")
    user.page.wait_for_function("() => document.querySelector('.gc-turn.done')?.dataset.turn !== '1'")
    assert user.page.locator(".gc-turn").count() == 1
    assert engine.requests[-1].generation.temperature > 0
    assert len(engine.requests[-1].messages) == 1  # the answer before is forgotten


@pytest.mark.slow
def test_editing_the_last_question_replaces_its_turn(user, engine, pictures):
    user.open(pictures / "wide.png")
    user.ask("a shipp", "Find")
    user.click_tool("Edit")
    user.page.wait_for_function("() => document.querySelector('#question textarea').value === 'a shipp'")
    user.page.fill("#question textarea", "a ship")
    user.page.press("#question textarea", "Enter")
    user.page.wait_for_selector(".gc-question:text-is('a ship')")
    user.done()
    assert user.page.locator(".gc-turn").count() == 1
    assert len(engine.requests[-1].messages) == 1


@pytest.mark.slow
def test_clearing_and_another_image_begin_anew(user, engine, pictures):
    user.open(pictures / "wide.png")
    user.ask("one")
    user.ask("two")
    assert len(engine.requests[-1].messages) == 3
    user.page.click("#clear")
    user.page.wait_for_selector(".gc-turn", state="detached")
    user.ask("three")
    assert len(engine.requests[-1].messages) == 1
    user.open(pictures / "place.tif")
    assert user.page.locator(".gc-turn").count() == 0
    user.ask("four")
    assert len(engine.requests[-1].messages) == 1


@pytest.mark.parametrize(
    ("question", "told"), [("explode", "The model failed"), ("too long", "too long for the model")]
)
@pytest.mark.slow
def test_a_failed_generation_is_told_and_the_page_goes_on(user, pictures, question, told):
    user.open(pictures / "wide.png")
    user.ask(question)
    text = user.page.locator(".gc-turn.failed").inner_text()
    assert told in text
    assert "/secret" not in text
    user.ask("it", "Find")
    assert user.page.locator(".gc-turn.done").count() == 1


@pytest.mark.slow
def test_what_cannot_be_asked_is_told(user, pictures):
    user.page.click("#ask")
    user.page.wait_for_selector(".toast-body")
    assert "no image" in user.toast().lower() or "type a question" in user.toast().lower()
    user.open(pictures / "wide.png")
    user.choose("Identify region")
    user.page.click("#ask")
    user.page.wait_for_selector(".toast-body:has-text('region')")


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("huge.png", "up to 2 MB are taken"),
        ("broken.png", "cannot be decoded"),
    ],
)
def test_oversized_and_corrupt_uploads_are_refused(user, pictures, name, told):
    user.page.set_input_files(".gv-file", pictures / name)
    user.page.wait_for_selector(f".toast-body:has-text('{told}')")
    assert "/tmp" not in user.toast()
    assert user.page.locator(".gv-busy").is_hidden()
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


def test_looking_at_a_view_asks_about_it_at_full_resolution(user, engine, pictures):
    user.open(pictures / "wide.png")
    left, top, width, height = user.stage()
    user.page.mouse.move(left + width * 0.5, top + height * 0.5)
    for _ in range(3):
        user.page.mouse.wheel(0, -300)
    user.page.check("#look input")
    user.ask("it", "Find")
    view = engine.requests[-1].images[0]
    assert view.width < 300
    box = user.page.locator(".gv-box polygon.over").bounding_box()
    side = max(view.size) * width / view.width  # of the model's square on the screen, in whose middle the view lies
    assert box["x"] + box["width"] / 2 == pytest.approx(left + width / 2, abs=6)
    assert box["y"] + box["height"] / 2 == pytest.approx(top + height / 2 - side / 8, abs=0.02 * side)
    assert sorted((box["width"], box["height"])) == pytest.approx([side / 4, side / 2], rel=0.05)
    assert "this view" in user.page.locator(".gc-view").inner_text()


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
    on_screen = float(user.page.locator(".gv-zoom").inner_text().strip(" %")) / 100
    assert bar == pytest.approx(metres / 0.5 * on_screen, rel=0.02)


def test_another_image_is_shown_whole_and_other_bands_where_they_were(user, pictures):
    user.open(pictures / "wide.png")
    user.page.click("[data-do=in]")
    user.draw()
    user.page.wait_for_function("() => document.querySelector('#task input:checked').value === 'Identify region'")
    user.open(pictures / "place.tif")
    user.page.wait_for_selector(".gv-region", state="detached")
    user.page.wait_for_function("() => document.querySelector('#task input:checked').value === 'Auto'")
    _left, _top, width, height = user.stage()
    fitted = min(width / 400, height / 320) * 96
    assert float(user.page.locator(".gv-zoom").inner_text().strip(" %")) == pytest.approx(fitted, abs=1)
    user.page.click("[data-do=in]")
    user.draw()
    zoom, before = user.page.locator(".gv-zoom").inner_text(), picture(user)
    user.page.click("text=Bands and regions")
    user.page.fill("#image-options input >> nth=0", "4,3,2")
    user.page.press("#image-options input >> nth=0", "Enter")
    deadline = time.monotonic() + 60
    while np.abs(picture(user) - before).mean() <= 20:
        assert time.monotonic() < deadline, "the picture has not changed"
    assert user.page.locator(".gv-region").count() == 1
    assert user.page.locator(".gv-zoom").inner_text() == zoom
    user.page.fill("#image-options input >> nth=0", "9,9,9")
    user.page.press("#image-options input >> nth=0", "Enter")
    user.page.wait_for_selector(".toast-body:has-text('4 bands')")


@pytest.mark.slow
def test_the_knob_of_a_region_at_the_upper_edge_is_below_it(user, engine, pictures):
    user.open(pictures / "wide.png")
    user.page.click("[data-do=in]")
    user.draw((0.4, 0.01), (0.6, 0.3))
    knob = user.page.locator(".gv-region .knob").bounding_box()
    body = user.page.locator(".gv-region .over").bounding_box()
    middle = body["x"] + body["width"] / 2, body["y"] + body["height"] / 2
    assert knob["y"] > middle[1]
    user.page.mouse.move(knob["x"] + 7, knob["y"] + 7)
    user.page.mouse.down()
    reach = math.radians(90 + 20)
    user.page.mouse.move(middle[0] + 200 * math.cos(reach), middle[1] + 200 * math.sin(reach), steps=5)
    user.page.mouse.up()
    user.ask("")
    assert asked_box(engine).angle == pytest.approx(20, abs=1)


@pytest.mark.slow
def test_a_pasted_region_is_drawn_and_asked_about(user, engine, pictures):
    user.open(pictures / "place.tif")
    user.page.click("text=Bands and regions")
    user.page.fill("#pasted textarea", "px 100, 80, 300, 240")
    user.page.click("#place")
    user.page.wait_for_selector(".gv-region")
    user.ask("", "Identify region")
    assert asked_box(engine).iou(OrientedBox(25, 30, 75, 70)) > 0.9
    user.page.fill("#pasted textarea", "nowhere")
    user.page.click("#place")
    user.page.wait_for_selector(".toast-body:has-text('paste GeoJSON')")


@pytest.mark.slow
def test_far_from_the_known_resolution_it_says_so(user, engine, pictures):
    user.open(pictures / "place.tif")  # 0.5 m, 400 px in a square of 504: within what the engine knows
    user.ask("near")
    assert user.page.locator(".gc-notice").count() == 0
    known, engine.settings = engine.settings, type(engine.settings)("far", ground_resolution=(5.0, 10.0))
    try:
        user.ask("far")
        assert (
            "0.4 m" in user.page.locator(".gc-notice").inner_text()
            or "cm" in user.page.locator(".gc-notice").inner_text()
        )
    finally:
        engine.settings = known


def test_keyboard_only(user, engine):
    user.page.focus(".gv-open [data-do=choose]")
    user.page.keyboard.press("Tab")
    user.page.keyboard.press("Enter")  # the bundled scene
    user.page.wait_for_selector(".gv-open", state="hidden")
    user.page.focus(".gv-stage")
    keys = user.page.keyboard
    keys.press("r")
    keys.press("Enter")
    user.page.wait_for_selector(".gv-region.chosen")
    user.page.wait_for_function("() => document.querySelector('#task input:checked').value === 'Identify region'")
    for key in ("ArrowRight",) * 12 + ("]",) * 4 + ("Shift+ArrowDown", "Alt+ArrowRight"):
        keys.press(key)
    user.page.focus("#question textarea")
    keys.press("Enter")
    user.page.wait_for_selector(".gc-turn.done")
    box = asked_box(engine)
    assert box.angle == pytest.approx(20, abs=1)
    assert box.center[0] > 51
    assert box.center[1] > 51
    user.page.focus(".gv-region")
    keys.press("Delete")
    user.page.wait_for_selector(".gv-region", state="detached")
    keys.press("+")
    zoom = user.page.locator(".gv-zoom").inner_text()
    keys.press("f")
    assert user.page.locator(".gv-zoom").inner_text() != zoom
    keys.press("r")
    keys.press("Escape")
    assert user.page.get_attribute(".gv", "data-mode") == "look"


def test_two_users_at_once_see_their_own(people, engine, pictures):
    one, two = people(), people()
    one.open(pictures / "wide.png")
    two.open(pictures / "place.tif")
    one.ask("slow", wait=False)
    two.ask("slow", wait=False)
    for user in (one, two):
        user.page.wait_for_selector(".gc-turn.writing .gc-words:has-text('word3')")
    assert engine.running == 2
    one.page.click("#stop")
    one.page.wait_for_selector(".gc-turn.stopped")
    assert two.page.locator(".gc-turn.writing").count() == 1
    two.page.click("#stop")
    two.page.wait_for_selector(".gc-turn.stopped")
    one.ask("mine alone")
    assert two.page.locator(".gc-turn").count() == 1
    assert two.page.locator(".gv-name").inner_text() == "place.tif"


@pytest.mark.slow
def test_those_who_wait_see_their_place(people, engine, pictures):
    crowd = [people() for _ in range(4)]
    for user in crowd:
        user.open(pictures / "wide.png")
    for user in crowd:
        user.ask("slow", wait=False)
    crowd[2].page.wait_for_selector(".gc-turn.waiting")
    crowd[3].page.wait_for_selector(".gc-turn.waiting:has-text('1 question ahead')")
    assert engine.most_running <= 2
    crowd[3].page.click("#stop")
    crowd[3].page.wait_for_selector(".gc-turn.stopped")
    crowd[0].page.click("#stop")
    crowd[2].page.wait_for_selector(".gc-turn.writing")
    for user in crowd[1:3]:
        user.page.click("#stop")
        user.page.wait_for_selector(".gc-turn.stopped")


def test_reloading_while_it_writes(user, engine, pictures):
    user.open(pictures / "wide.png")
    user.ask("it", "Find")
    user.ask("slow", "Question", wait=False)
    user.page.wait_for_selector(".gc-turn.writing .gc-words:has-text('word3')")
    user.page.reload()
    user.page.wait_for_function("() => document.querySelector('.gv-name')?.textContent === 'wide.png'")
    user.page.wait_for_selector(".gc-turn.stopped")
    deadline = time.monotonic() + 60
    while engine.running and time.monotonic() < deadline:
        time.sleep(0.05)
    assert engine.running == 0  # nobody is left to read it
    assert user.page.locator(".gc-turn").count() == 2
    user.ask("again", "Question")
    assert user.page.locator(".gc-turn").count() == 3
    user.errors.clear()  # Gradio's own, of the connection that was cut


@pytest.mark.slow
def test_leaving_stops_computing(people, engine, pictures):
    user = people()
    user.open(pictures / "wide.png")
    user.ask("slow", wait=False)
    user.page.wait_for_selector(".gc-turn.writing .gc-words:has-text('word3')")
    user.page.goto("about:blank")
    deadline = time.monotonic() + 60
    while engine.running and time.monotonic() < deadline:
        time.sleep(0.05)
    assert engine.running == 0
    user.errors.clear()  # Gradio's own, of the connection that was cut


PHONE = {"viewport": {"width": 380, "height": 740}, "has_touch": True, "is_mobile": True, "device_scale_factor": 2}


def test_on_a_phone(people, engine, pictures):
    user = people(**PHONE)
    user.open(pictures / "wide.png")
    width = user.page.evaluate("document.documentElement.scrollWidth")
    assert width <= 380
    left, top, wide, high = user.stage()
    assert wide > 350
    cdp = user.page.context.new_cdp_session(user.page)

    def touch(kind, *points):
        spots = [{"x": left + wide * x, "y": top + high * y} for x, y in points]
        cdp.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": spots})

    before = float(user.page.locator(".gv-zoom").inner_text().strip(" %"))
    touch("touchStart", (0.4, 0.5), (0.6, 0.5))
    touch("touchMove", (0.25, 0.5), (0.75, 0.5))
    touch("touchMove", (0.1, 0.5), (0.9, 0.5))
    touch("touchEnd")
    after = float(user.page.locator(".gv-zoom").inner_text().strip(" %"))
    assert after == pytest.approx(before * 4, rel=0.15)
    user.page.tap("[data-do=fit]")
    user.page.tap("[data-do=draw]")
    touch("touchStart", (0.4, 0.45))
    touch("touchMove", (0.5, 0.5))
    touch("touchMove", (0.6, 0.55))
    touch("touchEnd")
    user.page.wait_for_selector(".gv-region.chosen")
    user.ask("", "Identify region")
    assert asked_box(engine).center == pytest.approx((50, 50), abs=2)


@pytest.mark.slow
def test_in_4k(people, pictures):
    user = people(viewport={"width": 3840, "height": 2160})
    user.open(pictures / "wide.png")
    left, _top, right, _bottom = where_image_lies(picture(user))
    assert right - left > 2800
    assert user.page.evaluate("document.documentElement.scrollHeight") <= 2160


def save(user, kind):
    with user.page.expect_download() as saved:
        user.page.click(f"#takeaway [data-kind={kind}]")
    return saved.value


def test_taking_boxes_and_conversation_away_and_loading_it_again(user, pictures, tmp_path):
    user.open(pictures / "place.tif")
    user.ask("where?", "Grounded description")
    user.page.click("text=Save and load")
    for kind, ending in (
        ("png", ".png"),
        ("geojson", ".geojson"),
        ("gpkg", ".gpkg"),
        ("csv", ".csv"),
        ("markdown", ".md"),
    ):
        file = save(user, kind)
        assert file.suggested_filename == f"place-geochat{ending}"
        assert file.path().stat().st_size > 100
    conversation = tmp_path / "talk.json"
    save(user, "json").save_as(conversation)
    user.page.click("#clear")
    user.page.wait_for_selector(".gc-turn", state="detached")
    user.page.set_input_files("#takeaway input", conversation)
    user.page.wait_for_selector(".gc-turn.done")
    assert user.page.locator(".gv-box").count() == 3
    user.page.set_input_files("#takeaway input", pictures / "wide.png")
    user.page.wait_for_selector(".toast-body:has-text('no saved conversation')")


def test_correcting_an_answer_and_keeping_it(user, pictures, tmp_path):
    user.open(pictures / "wide.png")
    user.ask("it", "Find")
    user.click_tool("Correct")
    user.page.wait_for_selector(".gv-region.chosen")
    body = user.page.locator(".gv-region .over").bounding_box()
    middle = body["x"] + body["width"] / 2, body["y"] + body["height"] / 2
    user.page.mouse.move(*middle)
    user.page.mouse.down()
    user.page.mouse.move(middle[0] + user.stage()[2] * 0.096, middle[1], steps=4)  # a tenth of the image
    user.page.mouse.up()
    user.page.fill(".gc-editor textarea", "<p>the ship</p>")
    user.page.click(".gc-editor button:text-is('Keep')")
    user.page.wait_for_selector(".toast-body:has-text('does not name box')")
    user.page.fill(".gc-editor textarea", "<p>the ship</p> [1]")
    user.page.click(".gc-editor button:text-is('Keep')")
    user.page.wait_for_selector(".gc-kept")
    assert user.page.locator(".gc-phrase").inner_text() == "the ship"
    assert user.page.locator(".gv-region").count() == 0
    user.page.click("text=Save and load")
    assert user.page.locator(".gt-kept").inner_text() == "1"
    with zipfile.ZipFile(save(user, "training").path()) as archive:
        (row,) = json.loads(archive.read("kept.json"))
    (region,) = GEOCHAT.parse(row["conversations"][1]["value"]).regions
    assert region.box.center == pytest.approx((60, 37.5), abs=1)


CONTRAST = """selectors => selectors.map(selector => {
  const rgb = text => text.match(/[\\d.]+/g).map(Number);
  const linear = v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  const weights = [0.2126, 0.7152, 0.0722];
  const light = colour => weights.reduce((sum, weight, i) => sum + weight * linear(colour[i] / 255), 0);
  const node = document.querySelector(selector);
  let behind = node, back = [0, 0, 0, 0];
  while (behind && (back[3] ?? 1) === 0) {
    back = rgb(getComputedStyle(behind).backgroundColor);
    behind = behind.parentElement;
  }
  const [a, b] = [light(rgb(getComputedStyle(node).color)), light(back)];
  return [selector, (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)];
})"""
UNNAMED = """() => [...document.querySelectorAll('button, input, textarea, [role=button]')]
  .filter(node => node.offsetParent)
  .filter(node => !(node.innerText || node.ariaLabel || node.title || node.labels?.length || node.placeholder))
  .map(node => node.outerHTML)"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.slow
def test_labels_focus_order_and_contrast(people, pictures, scheme):
    user = people(color_scheme=scheme)
    user.open(pictures / "place.tif")
    user.ask("airport, harbor", "Classify")
    user.ask("a submarine", "Find")
    user.ask("where?", "Grounded description")
    user.page.click("text=Save and load")
    user.page.wait_for_selector("#takeaway button")
    assert user.page.evaluate(UNNAMED) == []
    checked = [".gc-words", ".gc-question", ".gc-task", ".gc-tools button", ".gc-seconds", ".gv-bar button", ".gv-name"]
    checked += [".gv-pixel", ".gt button", ".gt-label", "#ask", "#clear", "#task label:has(input:checked)", ".gb-model"]
    checked += [".gc-choice", ".gc-share", ".gc-remark"]
    low = [pair for pair in user.page.evaluate(CONTRAST, checked) if pair[1] < 4.5]
    assert low == []
    order = []
    user.page.focus("#bar button")
    for _ in range(60):
        user.page.keyboard.press("Tab")
        order.append(
            user.page.evaluate("""() => ['#scene-viewer', '#conversation', '#composer', '#more']
          .find(part => document.activeElement.closest(part)) ?? ''""")
        )
    seen = [part for part in dict.fromkeys(order) if part]
    assert seen == ["#scene-viewer", "#conversation", "#composer", "#more"]


def test_logging_in_with_a_browser(chromium, engine, tmp_path):
    users = tmp_path / "users"
    users.write_text("ada:secret\n")
    with serve(GeoChat(engine), ServeSettings(port=0, auth_file=users)) as guarded:
        context = chromium.new_context()
        context.set_default_timeout(60_000)
        page = context.new_page()
        page.goto(guarded.url)
        page.fill("[name=username]", "ada")
        page.fill("[name=password]", "wrong")
        page.click("button")
        page.wait_for_selector("[role=alert]:has-text('do not go together')")
        page.fill("[name=username]", "ada")
        page.fill("[name=password]", "secret")
        page.click("button")
        page.wait_for_selector(".gv-gallery button")
        page.click(".gv-gallery button")
        page.wait_for_selector(".gv-open", state="hidden")
        assert [session.username for session in guarded.sessions] == ["ada"]
        context.close()
