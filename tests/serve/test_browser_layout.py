"""The page fits, in a real browser: every width, phones, notifications, keyboard, and axe-core's rules."""

import json
import os
import shutil
import subprocess
import tarfile

import pytest
from serve_browser import PHONE, TIMEOUT_MS

WIDTHS = (320, 390, 600, 820, 821, 900, 1000, 1200, 1440, 2560, 3840)
BAD = ("moderate", "serious", "critical")


@pytest.fixture(scope="session")
def axe(tmp_path_factory):
    """The script of axe-core, which checks the rules of WCAG: fetched by npm, never part of the project."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("needs npm, which fetches axe-core")
    folder = tmp_path_factory.mktemp("axe")
    command = [npm, "pack", "axe-core", "--silent", "--cache", str(folder / "cache")]
    try:
        subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=120, env=os.environ)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        pytest.skip(f"axe-core cannot be fetched: {(error.stderr or b'').decode()[-200:] or error}")
    (packed,) = folder.glob("axe-core-*.tgz")
    with tarfile.open(packed) as archive:
        return archive.extractfile("package/axe.min.js").read().decode()


def violations(page, axe):
    """Rules of axe-core that a page breaks badly, each with the elements that do."""
    page.evaluate(axe)
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
    return [(rule["id"], node["html"][:200]) for rule in found if rule["impact"] in BAD for node in rule["nodes"]]


def sides(page, selector):
    return page.eval_on_selector(
        selector, "node => (({left, top, right, bottom}) => [left, top, right, bottom])(node.getBoundingClientRect())"
    )


@pytest.mark.slow
def test_ask_is_in_view_at_every_width(user, pictures):
    user.open(pictures / "wide.png")
    user.ask("where?", "Grounded description")
    for width in WIDTHS:
        for height in (640, 900):
            user.page.set_viewport_size({"width": width, "height": height})
            for selector in ("#ask", "#clear", "#stop", "#visible-only input", "#question textarea"):
                left, top, right, bottom = sides(user.page, selector)
                assert 0 <= left < right <= width, (width, height, selector)
                assert 0 <= top < bottom <= height, (width, height, selector)
            assert user.page.evaluate("document.documentElement.scrollWidth") <= width
            if width > 820:
                assert user.page.evaluate("document.documentElement.scrollHeight") <= height


@pytest.mark.slow
def test_open_panels_leave_room_for_the_conversation_and_esc_closes_them(user, pictures):
    user.open(pictures / "wide.png")
    user.ask("where?", "Grounded description")
    user.open_panel("Image and regions")
    user.open_panel("Zero-shot classification")
    user.open_panel("Conversation and corrections")
    _, top, _, bottom = sides(user.page, "#conversation")
    assert bottom - top > 200
    assert sides(user.page, "#ask")[3] <= 800
    user.page.focus("#pasted textarea")
    user.page.keyboard.press("Escape")
    user.page.wait_for_selector("#pasted", state="hidden")
    assert user.page.evaluate("document.activeElement.innerText").startswith("Image and regions")
    user.open_results()
    user.page.focus(".gr-filter")
    user.page.keyboard.press("Escape")
    assert user.page.get_attribute(".gr-toggle", "aria-expanded") == "false"
    user.page.click("[data-action=open]")
    user.page.keyboard.press("Escape")
    user.page.wait_for_selector(".gv-open", state="hidden")


def test_tasks_are_one_group(user, pictures):
    user.open(pictures / "wide.png")
    user.page.focus("#task input:checked")
    for expected in ("Describe", "Grounded description"):
        user.page.keyboard.press("ArrowRight")
        user.wait_for_task(expected)
    user.page.keyboard.press("ArrowLeft")
    user.wait_for_task("Describe")
    for _ in range(5):  # at once, while Gradio shows the change
        user.page.focus("#task input:checked")
        user.page.keyboard.press("ArrowRight")
        user.page.keyboard.press("Tab")
        assert user.page.evaluate("document.activeElement.matches('#question textarea')")


@pytest.mark.slow
def test_on_a_phone_image_and_composer_stay_while_the_rest_scrolls(people, pictures):
    user = people(**PHONE)
    user.open(pictures / "wide.png")
    for _ in range(3):
        user.ask("where?", "Grounded description")
    user.page.evaluate("window.scrollTo(0, document.documentElement.scrollHeight)")
    stage, composer = sides(user.page, ".gv-stage"), sides(user.page, "#composer")
    assert stage[1] >= 0
    assert stage[3] < composer[1]
    assert composer[3] == pytest.approx(740, abs=1)
    user.page.evaluate("window.scrollTo(0, 0)")
    gap = user.page.evaluate("""() => {
      const shown = [...document.querySelectorAll('#scene-viewer, #results, #conversation, #more')];
      const edges = shown.map(node => [node.offsetTop, node.offsetTop + node.offsetHeight]).sort((a, b) => a[0] - b[0]);
      return Math.max(...edges.slice(1).map(([top], at) => top - edges[at][1]));
    }""")
    assert gap < 12
    user.page.set_input_files(".gv-file", pictures / "broken.png")
    user.wait_for_notification("cannot be decoded")
    _, top, _, bottom = sides(user.page, ".toast-body")
    assert top >= user.page.locator(".gv-bar").bounding_box()["height"]
    assert bottom <= composer[1]


def open_layers(user, pictures):
    """Open the panels of searches and layers, with a search, its layer, two image layers and the swipe in them."""
    user.page.evaluate("document.querySelectorAll('#more details').forEach((each) => (each.open = true))")
    user.page.fill(".gf-phrases", "it")
    user.page.click(".gf-start")
    user.page.wait_for_selector(".gf-jobs li[data-state=done]")
    user.page.wait_for_selector(".gy-list:not(.gy-images) li")
    for count in (1, 2):
        user.page.set_input_files(".gy-image-file", pictures / "place.tif")
        user.page.wait_for_function("n => document.querySelectorAll('.gy-images li').length === n", arg=count)
    user.page.click(".gy-swiping")
    user.page.wait_for_selector(".gv-swipe")
    user.page.check(".gy-grid")
    user.page.fill(".gy-place", "nowhere")
    user.page.click(".gy-goto button")
    user.page.wait_for_selector(".gy-message.bad")


@pytest.mark.slow
def test_no_rule_of_axe_is_broken_badly(people, pictures, axe):
    for options in ({}, {"color_scheme": "dark"}, PHONE):
        user = people(**options)
        user.open(pictures / "place.tif")
        user.ask("scored", "Auto")
        user.ask("airport, harbor", "Classify")
        user.ask("where?", "Grounded description")
        user.draw()
        user.open_results()
        open_layers(user, pictures)
        for panel in ("Image and regions", "Zero-shot classification", "Conversation and corrections"):
            user.open_panel(panel)
        user.page.click("#add-region")
        user.wait_for_notification("has no region")
        user.click_tool("Correct")
        assert violations(user.page, axe) == [], json.dumps(options)
        placeholder = user.page.evaluate(
            "getComputedStyle(document.querySelector('#pasted textarea'), '::placeholder').color"
        )
        soft = user.page.evaluate("getComputedStyle(document.querySelector('#hint span, #hint div, #hint')).color")
        assert placeholder == soft  # whose contrast axe checks


@pytest.mark.slow
def test_the_login_page_breaks_no_rule_of_axe(chromium, guarded, axe):
    for options in ({}, {"color_scheme": "dark"}, PHONE):
        context = chromium.new_context(**options)
        context.set_default_timeout(TIMEOUT_MS)
        page = context.new_page()
        page.goto(guarded.url)
        assert violations(page, axe) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]
        context.close()
