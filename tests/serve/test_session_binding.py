"""A session belongs to the browser that loaded the page: its hash is useless to others, and so are invented ones."""

import httpx
import pytest
from serve_wire import from_address, upload, wait_until

from geochat import GeoChat
from geochat_serve import ServeSettings, serve
from geochat_serve.middleware.binding import is_page


@pytest.fixture(scope="module")
def small_server(engine):
    with serve(GeoChat(engine), ServeSettings(port=0, max_sessions=6)) as running:
        yield running


def sample_of(page):
    return page.trigger("scene-viewer", "sample", {"file": "airport.tif"})


def test_loading_the_page_makes_a_session_that_its_key_finds_again(server, pages):
    page = pages(server)
    key, notifications = page.load()
    assert key
    assert notifications == []
    assert page.load(key)[0] == key
    assert pages(server, "another").load()[0] != key


def test_the_cookie_is_for_no_script_and_no_other_site(server):
    cookie = httpx.get(server.url).headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie


def test_a_program_has_no_session(server, pages):
    before = len(list(server.sessions))
    program = pages(server, "program")
    program.http.cookies.clear()
    key, notifications = program.load()
    assert not key
    assert "blocks cookies" in notifications[0]
    assert "has no session" in program.trigger("scene-viewer", "sample", {"file": "x"})[1][0]
    assert len(list(server.sessions)) == before


def test_nor_has_a_page_that_was_not_loaded(server, pages):
    before = len(list(server.sessions))
    page = pages(server, "unknown")
    assert "has no session" in page.trigger("conversation", "retry", {"exchange": 1})[1][0]
    assert len(list(server.sessions)) == before


def test_an_image_chosen_while_the_page_is_loading_waits_for_it(server, pages):
    page = pages(server, "hasty")
    assert page.join("scene-viewer", "sample", {"file": "airport.tif"}).status_code == 200
    assert page.join(None, "load", data=[""]).status_code == 200
    assert [message for message in page.messages() if message["msg"] == "log"] == []
    (session,) = [session for session in server.sessions if any(name.endswith("-hasty") for name in session.hashes)]
    assert session.scene is not None


def test_a_forged_cookie_counts_for_nothing(server, pages):
    page = pages(server, "forged")
    (name,) = page.http.cookies
    page.http.cookies.set(name, "nonce.signature", domain="127.0.0.1")
    before = len(list(server.sessions))
    assert not page.load()[0]
    assert len(list(server.sessions)) == before


@pytest.mark.parametrize("with_cookie", [True, False])
def test_a_session_is_not_displaced_by_whoever_knows_its_hash(server, pages, with_cookie):
    victim = pages(server, f"victim-{with_cookie}")
    key, _ = victim.load()
    thief = pages(server, victim.hash)
    if not with_cookie:
        thief.http.cookies.clear()
    assert thief.load()[0] != key
    with thief.http.stream("GET", f"gradio_api/heartbeat/{victim.hash}") as heartbeat:
        next(heartbeat.iter_lines())  # and closes it, which ends a page
    dependency = victim.event("ask", "click")["id"]
    thief.http.post(
        "gradio_api/cancel", json={"session_hash": victim.hash, "fn_index": dependency, "event_id": "x"}
    ).raise_for_status()
    session = next(session for session in server.sessions if session.key == key)
    assert [name for name in session.hashes if is_page(name)]
    assert sample_of(victim)[1] != ["This page is has no session, or was idle for too long; reload it"]


def test_nobody_else_reads_the_answers_of_a_page(server, pages):
    victim = pages(server, "read")
    victim.load()
    joined = victim.join("scene-viewer", "sample", {"file": "nothing"})
    assert joined.status_code == 200
    thief = pages(server, "read")
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
def test_a_hash_is_bound_however_it_is_written(server, pages, content):
    """If one reached Gradio as it is, the event would belong to another page than the one that sent it."""
    page = pages(server, "victim")
    fn_index = page.event(None, "load")["id"]
    extra = f', "fn_index": {fn_index}, "data": [""]}}'
    if isinstance(content, bytes):
        content = (content.decode("utf-16")[:-1] + extra).encode("utf-16")
    else:
        content = (content[:-1] + extra).encode()
    headers = {"content-type": "application/json"}
    joined = page.http.post("gradio_api/queue/join", content=content, headers=headers)
    assert joined.status_code != 200 or "process_completed" in [message["msg"] for message in page.messages()]


@pytest.mark.parametrize("name", ["", "a/b", "a_b", "a<gradio-sep>b", "x" * 65, "ä", 7, ["a"]])
def test_hashes_are_letters_and_digits(server, pages, name):
    page = pages(server)
    assert page.join(None, "load", data=[""], session_hash=name).status_code in (400, 422)


def test_invented_hashes_do_not_fill_the_server(small_server, pages):
    before = len(list(small_server.sessions))
    attacker = pages(small_server, "a0")
    for number in range(50):
        attacker.hash = f"a{number}"
        attacker.join("ask", "click", data=["what?", "Auto", False, ""])
    assert len(list(small_server.sessions)) == before
    assert pages(small_server, "honest", transport=from_address("127.0.0.9")).load()[0]


def test_many_pages_of_one_client_keep_nobody_out(small_server, pages):
    """Of the client that has most, the page longest idle makes room."""
    honest = pages(small_server, "honest", transport=from_address("127.0.0.9"))
    key, _ = honest.load()
    for number in range(12):
        pages(small_server, f"a{number}").load()
    assert len(list(small_server.sessions)) == 6
    assert key in {session.key for session in small_server.sessions}
    late, notifications = pages(small_server, "late", transport=from_address("127.0.0.10")).load()
    assert late
    assert notifications == []
    assert key in {session.key for session in small_server.sessions}


def test_a_page_that_is_left_is_closed(server, pages):
    page = pages(server, "leaving")
    key, _ = page.load()
    with page.http.stream("GET", f"gradio_api/heartbeat/{page.hash}") as heartbeat:
        next(heartbeat.iter_lines())
    session = next(session for session in server.sessions if session.key == key)
    wait_until(lambda: not session.hashes)


def test_equal_files_of_two_users_are_two(server, pages, pictures):
    content = (pictures / "wide.png").read_bytes()
    users = [pages(server, f"equal{number}") for number in range(2)]
    names = [upload(user.http, content, path="gradio_api/upload") for user in users]
    assert len(set(names)) == 2
    for user, name in zip(users, names, strict=True):
        user.load()
        shown, notifications = user.trigger("scene-viewer", "uploaded", {"upload": name, "name": "wide.png"})
        assert notifications == []
        assert shown
