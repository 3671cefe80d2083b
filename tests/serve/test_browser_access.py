"""The page in a real browser: keyboard, touch, large screens, screen readers, several users, reloading, the login."""

import pytest
from serve_browser import PHONE, TIMEOUT_MS, asked_box, where_image_lies
from serve_wire import wait_until


@pytest.mark.slow
def test_keyboard_only(user, engine):
    user.page.focus(".gv-open [data-action=choose]")
    user.page.keyboard.press("Tab")
    user.page.keyboard.press("Enter")  # the first sample
    user.page.wait_for_selector(".gv-open", state="hidden")
    user.page.focus(".gv-stage")
    keys = user.page.keyboard
    keys.press("r")
    keys.press("Enter")
    user.page.wait_for_selector(".gv-region.chosen")
    user.wait_for_task("Identify region")
    for key in ("ArrowRight",) * 12 + ("]",) * 4 + ("Shift+ArrowDown", "Alt+ArrowRight"):
        keys.press(key)
    user.page.focus("#question textarea")
    keys.press("Enter")
    user.page.wait_for_selector(".gc-exchange.done")
    box = asked_box(engine)
    assert box.angle == pytest.approx(20, abs=1)
    assert min(box.center) > 51
    user.page.focus(".gv-region")
    keys.press("Delete")
    user.page.wait_for_selector(".gv-region", state="detached")
    keys.press("+")
    zoom = user.zoom()
    keys.press("f")
    assert user.zoom() != zoom
    keys.press("r")
    keys.press("Escape")
    assert user.page.get_attribute(".gv", "data-mode") == "pan"


@pytest.mark.slow
def test_on_a_phone(people, engine, pictures):
    user = people(**PHONE)
    user.open(pictures / "wide.png")
    assert user.page.evaluate("document.documentElement.scrollWidth") <= 380
    left, top, wide, high = user.stage()
    assert wide > 350
    devtools = user.page.context.new_cdp_session(user.page)

    def touch(kind, *points):
        spots = [{"x": left + wide * x, "y": top + high * y} for x, y in points]
        devtools.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": spots})

    before = user.zoom()
    touch("touchStart", (0.4, 0.5), (0.6, 0.5))
    touch("touchMove", (0.25, 0.5), (0.75, 0.5))
    touch("touchMove", (0.1, 0.5), (0.9, 0.5))
    touch("touchEnd")
    assert user.zoom() == pytest.approx(before * 4, rel=0.15)
    user.page.tap("[data-action=fit]")
    user.page.tap("[data-action=draw]")
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
    left, _top, right, _bottom = where_image_lies(user.screenshot())
    assert right - left > 2600
    assert user.page.evaluate("document.documentElement.scrollHeight") <= 2160


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
  .filter(node => node.offsetParent && node.checkVisibility())
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
    user.open_panel("Conversation and corrections")
    user.page.wait_for_selector("#exports button")
    assert user.page.evaluate(UNNAMED) == []
    checked = [".gc-words", ".gc-question", ".gc-task", ".gc-tools button", ".gc-seconds", ".gv-bar button", ".gv-name"]
    checked += [".gv-pixel", ".ge button", ".ge-label", "#ask", "#clear", "#task label:has(input:checked)", ".gb-model"]
    checked += [".gc-choice", ".gc-share", ".gc-answer-notice", ".gc-memory"]
    low = [pair for pair in user.page.evaluate(CONTRAST, checked) if pair[1] < 4.5]
    assert low == []
    order = []
    user.page.focus("#bar button")
    for _ in range(60):
        user.page.keyboard.press("Tab")
        order.append(
            user.page.evaluate("""() => ['#scene-viewer', '#results', '#conversation', '#composer', '#more']
          .find(part => document.activeElement.closest(part)) ?? ''""")
        )
    seen = [part for part in dict.fromkeys(order) if part]
    assert seen == ["#scene-viewer", "#results", "#conversation", "#composer", "#more"]


@pytest.mark.slow
def test_two_users_at_once_see_their_own(people, engine, pictures):
    one, two = people(), people()
    one.open(pictures / "wide.png")
    two.open(pictures / "place.tif")
    for user in (one, two):
        user.ask("slow", wait=False)
    for user in (one, two):
        user.wait_until_writing()
    assert engine.running == 2
    one.stop()
    assert two.page.locator(".gc-exchange.writing").count() == 1
    two.stop()
    one.ask("mine alone")
    assert two.page.locator(".gc-exchange").count() == 1
    assert two.page.locator(".gv-name").inner_text() == "place.tif"


@pytest.mark.slow
def test_reloading_while_an_answer_is_written(user, engine, pictures):
    user.open(pictures / "wide.png")
    user.ask("it", "Find")
    user.ask("slow", "Question", wait=False)
    user.wait_until_writing()
    user.page.reload()
    user.page.wait_for_function("() => document.querySelector('.gv-name')?.textContent === 'wide.png'")
    user.page.wait_for_selector(".gc-exchange.stopped")
    wait_until(lambda: engine.running == 0)  # nobody is left to read it
    assert user.page.locator(".gc-exchange").count() == 2
    user.ask("again", "Question")
    assert user.page.locator(".gc-exchange").count() == 3
    user.errors.clear()  # Gradio's own, of the connection that was cut


@pytest.mark.slow
def test_closing_the_page_stops_the_answer(user, engine, pictures):
    user.open(pictures / "wide.png")
    user.ask("slow", wait=False)
    user.wait_until_writing()
    user.page.goto("about:blank")
    wait_until(lambda: engine.running == 0)
    user.errors.clear()  # Gradio's own, of the connection that was cut


def test_the_login_page(chromium, guarded):
    context = chromium.new_context()
    context.set_default_timeout(TIMEOUT_MS)
    page = context.new_page()
    page.goto(guarded.url)
    for password in ("wrong", "secret"):
        page.fill("[name=username]", "ada")
        page.fill("[name=password]", password)
        page.click("button")
        if password == "wrong":
            page.wait_for_selector("[role=alert]:has-text('Wrong name or password')")
    page.click(".gv-gallery button")
    page.wait_for_selector(".gv-open", state="hidden")
    assert "ada" in [session.username for session in guarded.sessions]
    context.close()
