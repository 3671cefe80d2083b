"""The conversation in a real browser: asking, streaming, notices, regions, memory, corrections, exports."""

import json
import zipfile
from dataclasses import replace

import pytest

from geochat.dialects import GEOCHAT


def test_answers_stream_with_their_boxes_and_link_phrases_to_them(user, engine, pictures, monkeypatch):
    user.open(pictures / "wide.png")
    monkeypatch.setattr(engine, "pause", 0.08)
    user.ask("where?", "Grounded description", wait=False)
    user.page.wait_for_selector(".gc-exchange.writing .gc-phrase")
    user.page.wait_for_selector(".gv-box")
    assert user.page.locator("#stop").is_enabled()
    user.wait_for_answer()
    assert user.page.locator(".gv-box").count() == 3
    user.page.hover(".gc-phrase >> text=a hangar")
    assert user.page.locator(".gv-box.highlighted").get_attribute("data-key").endswith("-3")
    assert user.page.locator(".gv-box .tag").all_text_contents() == ["1", "2", "3"]  # as in the text
    assert "a hangar" in user.page.locator(".gv-tip").inner_text()
    user.page.mouse.move(5, 5)
    assert user.page.locator(".gv-box.highlighted").count() == 0
    box = user.page.locator(".gv-box").nth(1).bounding_box()
    user.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    user.page.wait_for_selector(".gc-phrase.highlighted >> text=two airplanes")
    assert user.page.locator(".gc-chip.highlighted").inner_text() == "2"
    assert "[2] two airplanes" in user.page.locator(".gv-tip").inner_text()


@pytest.mark.slow
def test_a_region_is_kept_but_not_sent_to_find_and_clear_removes_it(user, engine, pictures):
    user.open(pictures / "wide.png")
    user.draw()
    user.wait_for_task("Identify region")
    for task, question in (("Find", "it"), ("Describe", ""), ("Question", "short"), ("Classify", "airport, harbor")):
        user.ask(question, task)
        assert GEOCHAT.parse(engine.requests[-1].messages[-1].text).regions == ()
        notice = user.page.locator(".gc-exchange:last-child .gc-notice[data-code=region-not-used]")
        assert "choose “Identify region”" in notice.inner_text()
    assert user.page.locator(".gv-region").count() == 1
    user.ask("", "Identify region")
    assert len(GEOCHAT.parse(engine.requests[-1].messages[-1].text).regions) == 1
    user.page.click("#clear")
    user.page.wait_for_selector(".gv-region", state="detached")
    user.page.wait_for_selector(".gc-exchange", state="detached")
    user.wait_for_task("Auto")
    user.ask("where?")
    assert GEOCHAT.parse(engine.requests[-1].messages[-1].text).regions == ()
    assert user.page.locator(".gc-notice").count() == 0


@pytest.mark.slow
def test_the_page_says_what_the_model_remembers(user, engine, pictures, monkeypatch):
    user.open(pictures / "wide.png")
    user.ask("short")
    user.wait_for_memory("remembers all of this conversation")
    monkeypatch.setattr(engine, "settings", replace(engine.settings, earlier_turns=2))
    user.ask("short")
    user.ask("short")
    user.wait_for_memory("remembers only the last 2 of these 3 exchanges")
    assert user.page.locator(".gc-exchanges > li").nth(1).get_attribute("class") == "gc-divider"
    user.ask("short")
    assert len(engine.requests[-1].messages) == 5  # two exchanges and the question, as it said
    assert user.page.locator(".gc-exchanges > li").nth(2).get_attribute("class") == "gc-divider"
    monkeypatch.setattr(engine, "settings", replace(engine.settings, earlier_turns=0))
    user.ask("short")
    user.wait_for_memory("each question on its own")
    assert user.page.locator(".gc-divider").count() == 0


def test_words_are_never_markup(user, pictures):
    user.open(pictures / "wide.png")
    user.ask("a script")
    assert "<script>window.hacked=1</script><img src=x" in user.words()
    assert user.page.locator("#conversation :is(img, script, b)").count() == 0
    user.page.hover(".gc-phrase")
    assert "<b>bold</b>" in user.page.locator(".gv-tip").inner_text()
    user.click_tool("Raw")
    assert "<p><b>bold</b></p> {<10>" in user.page.locator(".gc-raw").inner_text()
    user.open_results()
    assert user.rows()[0][1] == "<b>bold</b>"
    assert user.page.locator("#results :is(b, script, img)").count() == 0
    user.ask("<b>harbor</b>, airport, forest", "Classify")
    shown = user.page.locator(".gc-choices li").all_inner_texts()
    assert [" ".join(text.split()) for text in shown] == ["airport 57 %", "<b>harbor</b> 29 %", "forest 14 %"]
    assert user.words() == "airport"
    user.ask("a <i>submarine</i>", "Find")
    notice = user.page.locator(".gc-exchange:last-child .gc-answer-notice")
    assert '"a <i>submarine</i>" was asked for' in notice.inner_text()
    assert notice.get_attribute("data-code") == "not-as-asked"
    assert user.page.locator("#conversation :is(b, i)").count() == 0
    assert user.page.evaluate("window.hacked") is None


@pytest.mark.slow
def test_a_user_s_own_words_and_file_names_are_never_markup(user, pictures, tmp_path):
    evil = tmp_path / "<img src=x onerror=window.hacked=1>.png"
    evil.write_bytes((pictures / "broken.png").read_bytes())
    user.page.set_input_files(".gv-file", evil)
    user.wait_for_notification("cannot be decoded")
    user.open(pictures / "wide.png")
    user.ask("<img src=x onerror=window.hacked=1>")
    assert "<img src=x" in user.page.locator(".gc-question").inner_text()
    assert user.page.evaluate("window.hacked") is None


@pytest.mark.slow
def test_an_unreadable_box_stays_in_the_text_and_a_notice_says_so(user, pictures):
    user.open(pictures / "wide.png")
    user.ask("malformed")
    assert "could not be read" in user.page.locator(".gc-answer-notice").inner_text()
    assert user.page.locator(".gv-box").count() == 1


@pytest.mark.slow
def test_stopping_ends_the_computation_and_keeps_what_was_written(user, engine, pictures):
    user.open(pictures / "wide.png")
    user.ask("slow", wait=False)
    user.page.wait_for_selector(".gc-exchange.writing .gc-words:has-text('word5')")
    user.stop()
    assert engine.running == 0
    assert user.words().startswith("word0 word1")
    user.ask("it", "Find")
    assert user.page.locator(".gc-exchange").count() == 2


@pytest.mark.slow
def test_retry_samples_another_answer(user, engine, pictures):
    user.open(pictures / "wide.png")
    user.ask("it", "Find")
    user.click_tool("Retry")
    user.page.wait_for_function("() => document.querySelector('.gc-exchange.done')?.dataset.exchange === '2'")
    assert user.page.locator(".gc-exchange").count() == 1
    assert engine.requests[-1].generation.temperature > 0
    assert len(engine.requests[-1].messages) == 1  # the answer before is forgotten


@pytest.mark.slow
def test_editing_the_last_question_replaces_it(user, engine, pictures):
    user.open(pictures / "wide.png")
    user.ask("a shipp", "Find")
    user.click_tool("Edit")
    user.page.wait_for_function("() => document.querySelector('#question textarea').value === 'a shipp'")
    user.page.fill("#question textarea", "a ship")
    user.page.press("#question textarea", "Enter")
    user.page.wait_for_selector(".gc-question:text-is('a ship')")
    user.wait_for_answer()
    assert user.page.locator(".gc-exchange").count() == 1
    assert len(engine.requests[-1].messages) == 1


@pytest.mark.slow
def test_another_image_starts_a_new_conversation(user, engine, pictures):
    user.open(pictures / "wide.png")
    user.ask("one")
    user.ask("two")
    assert len(engine.requests[-1].messages) == 3
    user.open(pictures / "place.tif")
    user.page.wait_for_selector(".gc-exchange", state="detached")
    user.ask("three")
    assert len(engine.requests[-1].messages) == 1


@pytest.mark.parametrize(
    ("question", "message"), [("explode", "The model failed"), ("too long", "too long for the model")]
)
@pytest.mark.slow
def test_a_failed_answer_is_reported_and_the_page_goes_on(user, pictures, question, message):
    user.open(pictures / "wide.png")
    user.ask(question)
    text = user.page.locator(".gc-exchange.failed").inner_text()
    assert message in text
    assert "/secret" not in text
    user.ask("it", "Find")
    assert user.page.locator(".gc-exchange.done").count() == 1


@pytest.mark.slow
def test_a_question_that_cannot_be_asked_is_refused(user, pictures):
    user.page.click("#ask")
    user.wait_for_notification("No image is open")
    user.open(pictures / "wide.png")
    user.choose("Identify region")
    user.page.click("#ask")
    user.wait_for_notification("region")


@pytest.mark.slow
def test_exports_and_loading_a_conversation(user, pictures, tmp_path):
    user.open(pictures / "place.tif")
    user.ask("where?", "Grounded description")
    user.open_panel("Conversation and corrections")
    suffixes = {"png": ".png", "geojson": ".geojson", "gpkg": ".gpkg", "csv": ".csv", "markdown": ".md"}
    for kind, suffix in suffixes.items():
        file = user.export(kind)
        assert file.suggested_filename == f"place-geochat{suffix}"
        assert file.path().stat().st_size > 100
    conversation = tmp_path / "conversation.json"
    user.export("json").save_as(conversation)
    user.page.click("#clear")
    user.page.wait_for_selector(".gc-exchange", state="detached")
    user.page.set_input_files("#exports input", conversation)
    user.page.wait_for_selector(".gc-exchange.done")
    assert user.page.locator(".gv-box").count() == 3
    user.page.set_input_files("#exports input", pictures / "wide.png")
    user.wait_for_notification("not a saved conversation")


@pytest.mark.slow
def test_correcting_an_answer(user, pictures):
    user.open(pictures / "wide.png")
    user.ask("it", "Find")
    user.click_tool("Correct")
    user.page.wait_for_selector(".gv-region.chosen")
    middle, _ = user.region()
    user.drag(middle, (middle[0] + user.stage()[2] * 0.096, middle[1]))  # by a tenth of the image
    user.page.fill(".gc-editor textarea", "<p>the ship</p>")
    user.page.click(".gc-editor button:text-is('Save')")
    user.wait_for_notification("does not name box")
    user.page.fill(".gc-editor textarea", "<p>the ship</p> [1]")
    user.page.click(".gc-editor button:text-is('Save')")
    user.page.wait_for_selector(".gc-corrected")
    assert user.page.locator(".gc-phrase").inner_text() == "the ship"
    user.page.wait_for_selector(".gv-region", state="detached")
    user.open_panel("Conversation and corrections")
    user.page.wait_for_selector(".ge-corrections:text-is('1')")
    with zipfile.ZipFile(user.export("training").path()) as archive:
        (row,) = json.loads(archive.read("corrections.json"))
    (region,) = GEOCHAT.parse(row["conversations"][1]["value"]).regions
    assert region.box.center == pytest.approx((60, 37.5), abs=1)
