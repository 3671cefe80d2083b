"""Nothing is lost, in a real browser: undo, clearing, other images, reloading, refused entries, a busy model."""

import pytest
from serve_wire import wait_until


def regions(user):
    return user.page.locator(".gv-region").count()


def session_of(user, server):
    return server.sessions.with_key(user.page.evaluate("sessionStorage['geochat-session']"), None)


def place(user):
    return user.page.locator(".gv-region .over").first.get_attribute("points")


def test_regions_and_clearing_are_undone_and_redone(user, pictures):
    user.open(pictures / "wide.png")
    assert user.page.locator("[data-action=undo]").is_disabled()
    user.draw()
    user.page.wait_for_selector("[data-action=undo]:enabled")
    before = place(user)
    user.page.focus(".gv-region")
    user.page.keyboard.press("ArrowRight")
    wait_until(lambda: place(user) != before)
    user.page.wait_for_selector("[data-action=undo][title*='changed region']")
    user.page.keyboard.press("Control+z")
    assert place(user) == before
    user.page.click("[data-action=undo]")
    assert regions(user) == 0
    user.page.click("[data-action=redo]")
    user.page.keyboard.press("Control+Shift+z")
    assert regions(user) == 1
    assert place(user) != before
    user.ask("it", "Find")
    user.page.click("#clear")
    user.page.wait_for_selector(".gc-exchange", state="detached")
    user.page.wait_for_selector("[data-action=undo][title*='cleared conversation']")
    assert regions(user) == 0
    user.page.click("[data-action=undo]")
    user.page.wait_for_selector(".gc-exchange.done")
    assert regions(user) == 1
    user.page.click("[data-action=redo]")
    user.page.wait_for_selector(".gc-exchange", state="detached")
    assert regions(user) == 0
    user.page.click("[data-action=undo]")
    user.page.wait_for_selector(".gc-exchange.done")
    user.page.focus("#question textarea")
    user.page.keyboard.press("Control+z")  # of the text box, not of the page
    assert regions(user) == 1


@pytest.mark.slow
def test_a_correction_is_undone_and_redone(user, pictures):
    user.open(pictures / "wide.png")
    user.ask("it", "Find")
    user.click_tool("Correct")
    user.page.wait_for_selector(".gv-region.chosen")
    user.page.focus(".gv-region")
    user.page.keyboard.press("Delete")
    user.page.wait_for_selector(".gv-region", state="detached")
    user.page.click("[data-action=undo]")  # a box being corrected
    assert regions(user) == 1
    user.page.fill(".gc-editor textarea", "<p>the ship</p> [1]")
    user.page.click(".gc-editor button:text-is('Save')")
    user.page.wait_for_selector(".gc-corrected")
    user.page.wait_for_function("document.activeElement.dataset.tool === 'Correct'")
    user.page.keyboard.press("Control+z")
    user.page.wait_for_selector(".gc-corrected", state="detached")
    assert user.words().startswith("it")
    user.page.keyboard.press("Control+y")
    user.page.wait_for_selector(".gc-corrected")
    assert user.words().startswith("the ship")
    user.page.click(".gc-tools button:text-is('Correct')")
    user.page.keyboard.press("Escape")
    assert user.page.locator(".gc-editor").count() == 0


@pytest.mark.slow
def test_another_image_asks_first(user, pictures):
    user.open(pictures / "wide.png")
    assert user.asked == []  # nothing to lose
    user.ask("it", "Find")
    answer = []
    user.page.remove_listener("dialog", user.confirm)
    user.page.once("dialog", lambda dialog: answer.append(dialog.message) or dialog.dismiss())
    user.page.set_input_files(".gv-file", pictures / "place.tif")
    wait_until(lambda: answer)
    assert "removes the conversation" in answer[0]
    assert user.page.locator(".gc-exchange").count() == 1
    assert user.page.locator(".gv-name").inner_text() == "wide.png"
    user.page.on("dialog", user.confirm)
    user.open(pictures / "place.tif")
    assert user.page.locator(".gc-exchange").count() == 0


@pytest.mark.slow
def test_a_reload_brings_back_question_region_view_bands_and_stretch(user, pictures, server):
    user.open(pictures / "place.tif")
    user.page.click("[data-action=in]")
    user.draw()
    user.wait_for_task("Identify region")
    user.choose("Question")
    user.page.fill("#question textarea", "how many?")
    user.open_panel("Image and regions")
    user.page.fill("#bands input", "4,3,2")
    user.page.press("#bands input", "Enter")
    user.page.click("#stretch input")
    user.page.click("[role=option]:has-text('Percentiles 2–98')")
    session = session_of(user, server)
    wait_until(lambda: (session.bands, session.stretch) == ("4,3,2", "Percentiles 2–98"))  # Gradio sends them in turn
    user.page.click("[data-action=out]")
    shape, zoom = place(user), user.zoom()
    user.page.reload()  # at once
    user.page.wait_for_selector(".gv-region")
    user.wait_for_task("Question")
    assert user.page.input_value("#question textarea") == "how many?"
    assert user.zoom() == zoom
    assert place(user) == shape
    user.open_panel("Image and regions")
    user.page.wait_for_function("() => document.querySelector('#bands input')?.value === '4,3,2'")
    user.page.wait_for_function("() => document.querySelector('#stretch input').value === 'Percentiles 2–98'")
    user.errors.clear()  # Gradio's own, of the connection that was cut


@pytest.mark.slow
def test_wrong_bands_are_refused_once_and_the_last_good_ones_stay(user, pictures, server):
    user.open(pictures / "place.tif")
    user.open_panel("Image and regions")
    user.page.fill("#bands input", "4,3,2")
    user.page.press("#bands input", "Enter")
    session = session_of(user, server)
    wait_until(lambda: session.bands == "4,3,2")
    user.page.fill("#bands input", "9,9,9")
    user.page.press("#bands input", "Enter")
    user.page.click(".gb h1")
    user.wait_for_notification("4 bands")
    user.page.wait_for_function("() => document.querySelector('#bands input').value === '4,3,2'")
    user.page.wait_for_timeout(500)
    assert user.page.locator(".toast-message-item").count() == 1
    assert user.page.locator(".gv-name").inner_text() == "place.tif"


@pytest.mark.slow
def test_asking_while_an_answer_is_written_says_so(user, pictures):
    user.open(pictures / "wide.png")
    user.ask("slow", wait=False)
    user.wait_until_writing()
    user.page.fill("#question textarea", "and the ships?")
    user.page.click("#ask")
    user.wait_for_notification("An answer is being written")
    assert user.page.input_value("#question textarea") == "and the ships?"
    assert user.page.locator(".gc-exchange").count() == 1
    user.stop()
    user.page.click("#ask")
    user.page.wait_for_selector(".gc-exchange:nth-child(2).done")


@pytest.mark.slow
def test_a_conversation_that_cannot_be_loaded_leaves_the_one_that_is_there(user, pictures, tmp_path):
    user.open(pictures / "wide.png")
    user.ask("it", "Find")
    user.open_panel("Conversation and corrections")
    path = tmp_path / "conversation.json"
    text = user.export("json").path().read_text(encoding="utf-8")
    path.write_text(text.replace('"task": "Find"', '"task": "Dance"'))
    user.page.set_input_files("#exports input", path)
    user.wait_for_notification("there is no task")
    assert user.page.locator(".gc-exchange.done").count() == 1
