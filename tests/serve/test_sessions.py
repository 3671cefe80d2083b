"""Sessions belong to their users, come back with their key, and are bounded."""

import pytest

from geochat.errors import GeoChatError
from geochat_serve.open_scene import OpenScene
from geochat_serve.sessions import SessionStore


@pytest.fixture
def sessions(storage):
    return SessionStore(storage, max_sessions=3, timeout_s=3600, max_corrections=5)


def open_upload(session, storage, picture):
    path = storage.new_path(picture.name, "somebody")
    path.write_bytes(picture.read_bytes())
    claimed = storage.claim(storage.public_name(path))
    session.open_scene(OpenScene.open(claimed, picture.name), storage)
    return claimed


def test_each_page_has_its_own(sessions):
    first, second = sessions.attach("a", None, None), sessions.attach("b", None, None)
    assert first is not second
    assert sessions.get("a", None) is first
    assert sessions.get("b", None) is second
    assert first.key != second.key


def test_a_reloaded_page_finds_its_session_again(sessions):
    first = sessions.attach("a", None, None)
    sessions.detach("a")
    assert sessions.attach("b", None, first.key) is first
    assert sessions.attach("c", None, "a guess") is not first


def test_another_user_gets_nothing_by_key_or_by_page(sessions):
    alice = sessions.attach("a", "alice", None)
    assert sessions.attach("b", "bob", alice.key) is not alice
    with pytest.raises(GeoChatError, match="another user"):
        sessions.get("a", "bob")


def test_closed_pages_make_room_with_their_files(sessions, storage, pictures):
    first = sessions.attach("a", None, None)
    path = open_upload(first, storage, pictures / "wide.png")
    for name in "bc":
        sessions.attach(name, None, None)
    with pytest.raises(GeoChatError, match="full with 3 sessions"):
        sessions.attach("d", None, None)
    sessions.detach("a")
    assert path.exists()
    sessions.attach("d", None, None)
    assert not path.exists()
    assert len(list(sessions)) == 3


def test_an_idle_page_makes_room_when_it_is_full(sessions):
    idle = sessions.attach("a", None, None)
    for name in "bc":
        sessions.attach(name, None, None)
    idle.active_at -= 10_000
    sessions.attach("d", None, None)
    assert idle not in list(sessions)


def test_a_page_without_an_image_makes_room_first(sessions, storage, pictures):
    used = sessions.attach("a", None, None)
    open_upload(used, storage, pictures / "wide.png")
    unused, _ = sessions.attach("b", None, None), sessions.attach("c", None, None)
    used.active_at -= 1000
    unused.active_at -= 100
    sessions.attach("d", None, None)
    assert unused not in list(sessions)
    assert used in list(sessions)


def test_the_client_with_the_most_sessions_makes_room_for_others(sessions, storage, pictures):
    for name in "abc":
        open_upload(sessions.attach(name, None, None, "greedy"), storage, pictures / "wide.png")
    first, second, third = sessions
    with pytest.raises(GeoChatError, match="full with 3 sessions"):
        sessions.attach("d", None, None, "greedy")
    sessions.attach("e", None, None, "other")
    assert first not in list(sessions)
    with pytest.raises(GeoChatError, match="full with 3 sessions"):
        sessions.attach("f", None, None, "other")  # they have one each but for one
    assert {second, third} <= set(sessions)


def test_nothing_but_loading_the_page_makes_a_session(sessions):
    for name in (None, "", "invented"):
        with pytest.raises(GeoChatError, match="has no session"):
            sessions.get(name, None)
    assert list(sessions) == []


def test_a_page_that_is_loaded_again_leaves_no_session_behind(sessions):
    first = sessions.attach("a", None, None)
    sessions.attach("a", None, None)
    assert first.hashes == set()


def test_after_the_timeout_a_session_is_gone(storage):
    sessions = SessionStore(storage, max_sessions=3, timeout_s=0, max_corrections=5)
    first = sessions.attach("a", None, None)
    sessions.detach("a")
    assert sessions.attach("b", None, first.key) is not first


def test_another_image_deletes_the_one_before(sessions, storage, pictures):
    session = sessions.attach("a", None, None)
    before = open_upload(session, storage, pictures / "wide.png")
    first = session.scene
    after = open_upload(session, storage, pictures / "wide.png")
    assert not before.exists()
    assert first.scene.closed
    second = session.scene
    sessions.close()
    assert not after.exists()
    assert second.scene.closed
