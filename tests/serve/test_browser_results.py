"""The answer and the map in a real browser: numbers, phrases, layers, the result table, what is exported."""

import csv
import io
import json

import pytest
from serve_browser import PHONE
from serve_wire import wait_until

TOLD = """() => {
  const told = [];
  const note = (changes) => changes.forEach(({addedNodes}) => told.push(...[...addedNodes].map((node) => node.data)));
  new MutationObserver(note).observe(document.querySelector('.gr-saving .gc-percent'), {childList: true});
  return told;
}"""


def features(user, kind="geojson"):
    return json.loads(user.export(kind).path().read_text(encoding="utf-8"))["features"]


def centre_of(user, selector):
    """Middle of boxes on the screen, as fractions of the stage, and their larger side as a fraction of it."""
    left, top, width, height = user.stage()
    sides = [node.bounding_box() for node in user.page.locator(selector).all()]
    x1, y1 = min(box["x"] for box in sides), min(box["y"] for box in sides)
    x2, y2 = max(box["x"] + box["width"] for box in sides), max(box["y"] + box["height"] for box in sides)
    share = max((x2 - x1) / width, (y2 - y1) / height)
    return ((x1 + x2) / 2 - left) / width, ((y1 + y2) / 2 - top) / height, share


@pytest.mark.slow
def test_a_phrase_lights_all_its_boxes_and_goes_there(user, pictures):
    user.open(pictures / "wide.png")
    user.ask("where?", "Grounded description")
    assert user.page.locator(".gv-box .tag").all_text_contents() == ["1", "2", "3"]  # as in the text
    assert user.page.locator(".gc-chip").all_inner_texts() == ["1", "2", "3"]
    user.page.hover(".gc-phrase >> text=two airplanes")
    lit = ".gv-box.highlighted .over"
    assert user.page.locator(lit).count() == 2
    assert "and 1 more" in user.page.locator(".gv-tip").inner_text()
    user.page.mouse.move(5, 5)
    user.page.focus(".gc-phrase >> text=two airplanes")  # by keyboard as well
    assert user.page.locator(lit).count() == 2
    user.page.keyboard.press("Enter")
    assert centre_of(user, lit) == pytest.approx((0.5, 0.5, 0.6), abs=0.02)
    user.page.click(".gc-chip >> text=3")
    assert user.page.locator(lit).count() == 1
    assert centre_of(user, lit) == pytest.approx((0.5, 0.5, 0.6), abs=0.02)
    user.page.check("#visible-only input")
    user.ask("it", "Find")
    user.page.click("[data-action=fit]")
    zoom = user.zoom()
    user.page.click(".gc-view")
    assert user.zoom() > zoom


@pytest.mark.slow
def test_a_tap_on_a_phone_lights_boxes_and_phrases(people, pictures):
    user = people(**PHONE)
    assert "Tap a phrase" in user.page.locator(".gc-empty").inner_text()
    assert "Drop" not in user.page.locator(".gv-card").inner_text()
    user.open(pictures / "wide.png")
    user.page.evaluate("document.querySelector('#question textarea').value = ''")
    user.choose("Grounded description")
    user.page.tap("#ask")
    user.wait_for_answer()
    user.page.tap(".gc-phrase >> text=two airplanes")
    assert user.page.locator(".gv-box.highlighted").count() == 2
    user.page.tap("[data-action=fit]")
    box = user.page.locator(".gv-box .over").nth(2).bounding_box()
    user.page.touchscreen.tap(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    user.page.wait_for_selector(".gc-phrase.highlighted >> text=a hangar")
    user.page.tap(".gr-toggle")
    user.page.tap("#results tbody tr:first-child button")
    assert user.page.locator(".gv-box.highlighted").count() == 1


@pytest.mark.slow
def test_answers_are_layers_and_what_is_hidden_is_not_exported(user, pictures):
    user.open(pictures / "place.tif")
    user.ask("where?", "Grounded description")
    user.ask("it", "Find")
    boxes = user.page.locator(".gv-box")
    assert boxes.count() == 1  # of the latest answer
    assert [feature["properties"]["question"] for feature in features(user)] == ["it"]
    user.page.click(".gc-exchange:first-child button:text-is('Show boxes')")
    assert boxes.count() == 4
    user.open_results()
    assert user.page.locator(".gr-layer-name").all_inner_texts() == ["2. it", "1. where?"]
    assert len(user.rows()) == 4
    user.page.locator(".gr-opacity").nth(1).fill("0.4")
    assert [box.get_attribute("opacity") for box in boxes.all()] == ["0.4"] * 3 + ["1"]
    user.page.uncheck("[data-control='show-2']")
    assert len(features(user)) == 3
    user.page.click(".gc-phrase >> text=it")  # going to a hidden layer shows it
    assert boxes.count() == 4
    user.page.click("[data-action=boxes]")
    assert boxes.count() == 0
    asked = len(user.requested)
    user.page.click("#results [data-kind=geojson]")  # is told at once; an export of nothing would be refused
    user.page.wait_for_selector(".gr-saving:has-text('No boxes are shown')")
    assert not [url for url in user.requested[asked:] if url.endswith("/exports")]
    user.page.click("[data-action=boxes]")
    told = user.page.evaluate_handle(TOLD)
    assert user.export("png").suggested_filename == "place-geochat.png"
    wait_until(lambda: "100 %" in told.json_value() and not user.page.inner_text(".gr-saving"))
    user.ask("it", "Find")  # the newest is shown, and what the user chose stays
    assert boxes.count() == 5


def test_the_result_table(user, pictures):
    user.open(pictures / "place.tif")  # 400 x 320 px of 0.5 m in a square of 400 px
    user.ask("scored", "Auto")
    user.open_results()
    assert [row[:4] for row in user.rows()] == [
        ("1", "a ship", "90 %", "1,601 m²"),
        ("2", "a ship", "50 %", "1,601 m²"),
        ("3", "a pier", "10 %", "3,203 m²"),
    ]
    assert all(row[4].startswith("41.99") and "°" in row[4] for row in user.rows())
    user.page.click("th[data-sort=area] button")
    user.page.click("th[data-sort=area] button")
    assert [row[0] for row in user.rows()] == ["3", "1", "2"]
    assert user.page.get_attribute("th[data-sort=area]", "aria-sort") == "descending"
    user.page.fill(".gr-threshold input", "40")
    assert [row[0] for row in user.rows()] == ["1", "2"]
    assert user.page.locator(".gv-box").count() == 2
    user.page.fill(".gr-threshold input", "0")
    user.page.fill(".gr-filter", "PIER")
    assert [row[0] for row in user.rows()] == ["3"]
    assert [feature["properties"]["phrase"] for feature in features(user)] == ["a pier"]
    user.page.fill(".gr-filter", "")
    user.page.click("#results tbody tr >> text=a pier")
    assert centre_of(user, ".gv-box.highlighted .over") == pytest.approx((0.5, 0.5, 0.6), abs=0.02)
    user.page.check("[data-control='choose-1-2']")
    assert "1 selected" in user.page.locator(".gr-what").inner_text()
    (row,) = csv.DictReader(io.StringIO(user.export("csv").path().read_text(encoding="utf-8-sig")))
    assert (row["number_in_answer"], row["question"], row["score"]) == ("2", "scored", "0.5")
    user.page.click("[data-do=delete]")
    assert [row[0] for row in user.rows()] == ["3", "1"]
    assert user.page.evaluate("document.activeElement.closest('#results') !== null")
    user.page.focus("#results tbody tr:first-child button")
    user.page.keyboard.press("Delete")
    assert [row[0] for row in user.rows()] == ["1"]
    assert user.page.evaluate("document.activeElement.dataset.control") == "go-1-1"
    user.page.keyboard.press("Control+z")
    user.page.keyboard.press("Control+z")
    assert len(user.rows()) == 3
    user.page.keyboard.press("Control+Shift+z")
    assert [row[0] for row in user.rows()] == ["3", "1"]
    user.page.fill(".gr-opacity", "0.4")
    user.page.reload()
    user.page.wait_for_selector("#results tbody tr")
    assert user.page.input_value(".gr-opacity") == "0.4"
    assert user.page.locator(".gv-box").first.get_attribute("opacity") == "0.4"
    assert [row[0] for row in user.rows()] == ["1", "3"]  # deleted boxes stay so
    user.errors.clear()  # Gradio's own, of the connection that was cut


@pytest.mark.slow
def test_a_hundred_boxes_fold(user, pictures):
    user.open(pictures / "wide.png")
    user.ask("hundred", "Auto")
    assert user.page.locator(".gv-box").count() == 100
    assert user.page.locator(".gc-chip:visible").count() == 12
    user.page.click(".gc-unfold >> text=+ 88 more")
    assert user.page.locator(".gc-chip:visible").count() == 100
    user.open_results()
    assert len(user.rows()) == 100
    assert user.rows()[0][3].endswith(" px")
