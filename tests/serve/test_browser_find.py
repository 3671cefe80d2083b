"""Finding in the whole scene in a real browser: progress, partial results, area, cancelling, resuming, exporting."""

import json

import numpy as np
import pytest
from serve_wire import wait_until

SKY = np.array([0x56, 0xB4, 0xE9])  # colour of the first layer


def find(user, phrases, window=100, *, inside=False):
    """Start a search from the panel."""
    user.page.evaluate("document.querySelector('#find details').open = true")
    user.page.fill(".gf-phrases", phrases)
    user.page.evaluate("document.querySelector('.gf-more').open = true")
    user.page.fill(".gf-window", str(window))
    user.page.set_checked(".gf-inside", inside)
    user.page.click(".gf-start")


def wait_for_state(user, state):
    user.page.wait_for_selector(f".gf-jobs li[data-state={state}]")


def drawn(user):
    """Pixels of the stage in the colour of the first layer."""
    user.page.mouse.move(5, 5)
    return int((np.abs(user.screenshot() - SKY).sum(axis=2) < 12).sum())


def test_what_is_found_becomes_a_layer_and_a_file(user, pictures):
    user.open(pictures / "wide.png")
    assert drawn(user) == 0
    find(user, "it")
    wait_for_state(user, "done")
    user.page.wait_for_selector(".gy-list li", state="attached")
    wait_until(lambda: drawn(user) > 200)
    user.page.evaluate("document.querySelector('#layers details').open = true")
    found = int(user.page.inner_text(".gy-count"))
    with user.page.expect_download() as download:
        user.page.click("[data-action=export]")
    features = json.loads(download.value.path().read_text())["features"]
    assert download.value.suggested_filename == "wide-found.geojson"
    assert len(features) == found > 4
    user.page.uncheck(".gy-list [type=checkbox]")
    wait_until(lambda: drawn(user) == 0)
    user.page.check(".gy-list [type=checkbox]")
    user.page.click(".gy-list button:text-is('Go to')")
    wait_until(lambda: drawn(user) > 200)
    user.page.click("[data-action=remove]")
    user.page.wait_for_selector(".gy-list li", state="detached")
    assert user.page.locator(".gf-jobs li").count() == 0


@pytest.mark.slow
def test_a_drawn_region_limits_the_search(user, pictures):
    user.open(pictures / "wide.png")
    find(user, "it", inside=True)
    user.page.wait_for_selector(".gf-message.bad:has-text('No region is drawn')")
    user.draw((0.45, 0.45), (0.5, 0.5))
    user.page.wait_for_selector(".gf-inside-text:has-text('(1)')")
    find(user, "it", inside=True)
    wait_for_state(user, "done")
    state = user.page.inner_text(".gf-state")
    assert "inside an area" in state
    assert int(state.split(" of ")[1].split()[0]) <= 4


@pytest.mark.slow
def test_a_search_is_cancelled_kept_over_a_reload_and_resumed(user, pictures, server):
    user.open(pictures / "wide.png")
    find(user, "it slow", 200)
    wait_for_state(user, "running")
    user.page.click("[data-action=cancel]")
    wait_for_state(user, "cancelled")
    user.page.reload()
    wait_for_state(user, "cancelled")
    user.page.click("[data-action=resume]")
    wait_for_state(user, "running")
    user.page.click("[data-action=remove]")
    user.page.wait_for_selector(".gf-jobs li", state="detached")
    wait_until(lambda: not server.jobs.running)


@pytest.mark.slow
def test_what_cannot_be_searched_is_said_below_the_form(user, pictures, server):
    user.page.evaluate("document.querySelector('#find details').open = true")
    user.page.click(".gf-start")
    user.page.wait_for_selector(".gf-message.bad:has-text('No image is open')")
    user.open(pictures / "wide.png")
    for phrases, window, words in (
        (" ", 100, "nothing to find"),
        ("it", 2, "too small"),
        ("x" * 300, 100, "shorten it"),
    ):
        find(user, phrases, window)
        user.page.wait_for_selector(f".gf-message.bad:has-text('{words}')")
    user.errors.clear()  # the browser notes each refused request
    find(user, "it slow", 200)
    wait_for_state(user, "running")
    (session,) = [each for each in server.sessions if any(not job.finished for job in server.jobs.of(each.key))]
    server.jobs.remove_all(session.key)  # as after a restart
    wait_for_state(user, "failed")
    user.page.wait_for_selector(".gf-state.bad:has-text('There is no such search')")
    user.page.click("[data-action=remove]")
    user.page.wait_for_selector(".gf-jobs li", state="detached")
    user.errors.clear()


@pytest.mark.slow
def test_words_of_a_search_are_text(user, pictures):
    user.open(pictures / "wide.png")
    find(user, "it <img src=x onerror=alert(1)>", 300)
    wait_for_state(user, "done")
    assert user.page.inner_text(".gf-jobs b") == "it <img src=x onerror=alert(1)>"
    assert user.page.locator(".gf-jobs img").count() == 0


@pytest.mark.parametrize("key", [None, "", "guess"])
def test_requests_without_the_session_are_refused(pages, server, key):
    page = pages(server)
    mine, _ = page.load()
    headers = {} if key is None else {"x-geochat-session": key}
    for method, path in (("GET", "jobs"), ("POST", "jobs"), ("GET", "jobs/x"), ("POST", "jobs/x/cancel")):
        refused = page.http.request(method, f"page/{path}", headers=headers)
        assert (refused.status_code, "no session" in refused.json()["error"]) == (403, True)
    headers = {"x-geochat-session": mine}
    assert page.http.get("page/jobs", headers=headers).json() == []
    assert page.http.get("page/jobs/x", headers=headers).status_code == 404
    assert page.http.post("page/jobs", headers=headers, content="[").status_code == 400
    assert page.http.get("page/nothing", headers=headers).status_code == 404
    crossing = page.http.post("page/jobs", headers={**headers, "sec-fetch-site": "cross-site"}, json={})
    assert crossing.status_code == 403
