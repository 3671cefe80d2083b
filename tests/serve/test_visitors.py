"""A session belongs to the browser that loaded the page: its hash is of no use to others, nor is inventing one."""

import threading
import time

import httpx
import pytest
from serve_wire import from_address

from geochat import GeoChat
from geochat_serve import ServeSettings, serve
from geochat_serve.visitors import is_page


@pytest.fixture
def small_server(engine):
    with serve(GeoChat(engine), ServeSettings(port=0, sessions=6)) as running:
        yield running


def sample_of(page):
    return page.trigger("scene-viewer", "sample", {"file": "airport.tif"})


def test_loading_the_page_makes_a_session_that_its_key_finds_again(server, pages):
    page = pages(server.url)
    key, warnings = page.enter()
    assert key
    assert warnings == []
    assert page.enter(key)[0] == key
    assert pages(server.url, "another").enter()[0] != key


def test_the_cookie_is_no_script_s_and_no_other_site_s(server):
    cookie = httpx.get(server.url).headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie


def test_no_page_no_session(server, pages):
    before = len(list(server.sessions))
    program = pages(server.url, "program")
    program.http.cookies.clear()
    key, warnings = program.enter()
    assert not key
    assert "keeps no cookies" in warnings[0]
    assert "not known here" in program.trigger("scene-viewer", "sample", {"file": "x"})[1][0]
    assert len(list(server.sessions)) == before


def test_a_page_that_was_not_entered_has_none_either(server, pages):
    before = len(list(server.sessions))
    page = pages(server.url, "unknown")
    assert "not known here" in page.trigger("scene-viewer", "sample", {"file": "x"})[1][0]
    assert len(list(server.sessions)) == before


def test_an_image_chosen_before_the_page_is_entered_waits_for_it(server, pages):
    page = pages(server.url, "hasty")
    assert page.join("scene-viewer", "sample", {"file": "airport.tif"}).status_code == 200
    time.sleep(0.3)
    assert page.join(None, "load", data=[""]).status_code == 200
    told = list(page.messages())
    assert [message for message in told if message["msg"] == "log"] == []
    (session,) = [session for session in server.sessions if any(name.endswith("-hasty") for name in session.hashes)]
    assert session.scene is not None


def test_a_forged_cookie_is_none(server, pages):
    page = pages(server.url, "forged")
    (name,) = page.http.cookies
    page.http.cookies.set(name, "nonce.signature", domain="127.0.0.1")
    before = len(list(server.sessions))
    assert not page.enter()[0]
    assert len(list(server.sessions)) == before


@pytest.mark.parametrize("with_cookie", [True, False])
def test_a_session_is_not_displaced_by_whoever_knows_its_hash(server, pages, with_cookie):
    victim = pages(server.url, f"victim-{with_cookie}")
    key, _ = victim.enter()
    thief = pages(server.url, victim.hash)
    if not with_cookie:
        thief.http.cookies.clear()
    assert thief.enter()[0] != key
    with thief.http.stream("GET", f"gradio_api/heartbeat/{victim.hash}") as heartbeat:
        next(heartbeat.iter_lines())  # and closes it, which ends a page
    dependency = victim._dependency("ask", "click")["id"]
    thief.http.post(
        "gradio_api/cancel", json={"session_hash": victim.hash, "fn_index": dependency, "event_id": "x"}
    ).raise_for_status()
    time.sleep(0.3)
    session = next(session for session in server.sessions if session.key == key)
    assert [name for name in session.hashes if is_page(name)]
    assert sample_of(victim)[1] != ["This page is not known here, or was idle for too long; reload it"]


def test_nobody_else_reads_the_answers_of_a_page(server, pages):
    victim = pages(server.url, "read")
    victim.enter()
    joined = victim.join("scene-viewer", "sample", {"file": "nothing"})
    assert joined.status_code == 200
    thief = pages(server.url, "read")
    stolen = [message["msg"] for message in thief.messages()]
    assert stolen == ["unexpected_error"]  # no such session
    assert "process_completed" in [message["msg"] for message in victim.messages()]


@pytest.mark.parametrize(
    "content",
    [
        '{"session_hash": "victim", "session_hash": "victim"}',
        '{"session\\u005fhash": "victim"}',
        '{"session_hash": "victim"}'.encode("utf-16"),
        '\ufeff{"session_hash": "victim"}',
    ],
)
def test_a_hash_is_completed_however_it_is_written(server, pages, content):
    """None of these may reach Gradio as it is: the queue would know the bare hash."""
    page = pages(server.url, "victim")
    fn_index = page._dependency(None, "load")["id"]
    extra = f', "fn_index": {fn_index}, "data": [""]}}'
    if isinstance(content, bytes):
        content = (content.decode("utf-16")[:-1] + extra).encode("utf-16")
    else:
        content = (content[:-1] + extra).encode()
    page.http.post("gradio_api/queue/join", content=content, headers={"content-type": "application/json"})
    assert "victim" not in server.page._queue.pending_event_ids_session


@pytest.mark.parametrize("name", ["", "a/b", "a_b", "a<gradio-sep>b", "x" * 65, "ä", 7, ["a"]])
def test_hashes_are_letters_and_digits(server, pages, name):
    page = pages(server.url)
    assert page.join(None, "load", data=[""], session_hash=name).status_code in (400, 422)


def test_invented_hashes_do_not_fill_the_server(small_server, pages):
    attacker = pages(small_server.url, "a0")
    for number in range(100):
        attacker.hash = f"a{number}"
        attacker.join("ask", "click", data=["what?", "Auto", False, ""])
    assert list(small_server.sessions) == []
    assert pages(small_server.url, "honest", transport=from_address("127.0.0.9")).enter()[0]


def test_one_client_s_many_pages_keep_nobody_out(small_server, pages):
    """Of the client that has most, the page longest idle makes room."""
    honest = pages(small_server.url, "honest", transport=from_address("127.0.0.9"))
    key, _ = honest.enter()
    for number in range(12):
        pages(small_server.url, f"a{number}").enter()
    assert len(list(small_server.sessions)) == 6
    assert key in {session.key for session in small_server.sessions}
    late, warnings = pages(small_server.url, "late", transport=from_address("127.0.0.10")).enter()
    assert late
    assert warnings == []
    assert key in {session.key for session in small_server.sessions}


def test_a_page_that_is_left_is_closed(small_server, pages):
    page = pages(small_server.url, "leaving")
    page.enter()
    with page.http.stream("GET", f"gradio_api/heartbeat/{page.hash}") as heartbeat:
        next(heartbeat.iter_lines())
    deadline = time.monotonic() + 30
    (session,) = small_server.sessions
    while session.hashes and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not session.hashes


def test_two_equal_files_of_two_users_are_two(server, pages, pictures):
    content = (pictures / "wide.png").read_bytes()
    users = [pages(server.url, f"equal{number}") for number in range(2)]
    paths = []

    def upload(user):
        paths.extend(user.http.post("gradio_api/upload", files={"files": ("wide.png", content)}).json())

    threads = [threading.Thread(target=upload, args=[user]) for user in users]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(paths)) == 2
    for user, path in zip(users, paths, strict=True):
        user.enter()
        shown, warnings = user.trigger("scene-viewer", "opened", {"upload": path, "name": "wide.png"})
        assert warnings == []
        assert shown
