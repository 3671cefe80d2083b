"""Sessions belong to their users, come back with their key, and are bounded."""

import pytest

from geochat.errors import GeoChatError
from geochat_serve.open_scene import OpenScene
from geochat_serve.sessions import Sessions


@pytest.fixture
def sessions(workspace):
    return Sessions(workspace, most=3, grace_s=3600, kept=5)


def open_scene(session, workspace, pictures, folder):
    place = workspace.uploads / folder
    place.mkdir()
    (place / "wide.png").write_bytes((pictures / "wide.png").read_bytes())
    path = workspace.claim(str(place / "wide.png"))
    session.open(OpenScene.open(path, "wide.png"), workspace)
    return path


def test_each_page_has_its_own(sessions):
    first, second = sessions.enter("a", None, None), sessions.enter("b", None, None)
    assert first is not second
    assert sessions.of("a", None) is first
    assert sessions.of("b", None) is second
    assert first.key != second.key


def test_a_reloaded_page_finds_its_session_again(sessions):
    first = sessions.enter("a", None, None)
    sessions.leave("a")
    assert sessions.enter("b", None, first.key) is first
    assert sessions.enter("c", None, "a guess") is not first


def test_another_user_gets_nothing_by_key_or_by_page(sessions):
    alice = sessions.enter("a", "alice", None)
    assert sessions.enter("b", "bob", alice.key) is not alice
    with pytest.raises(GeoChatError, match="another user"):
        sessions.of("a", "bob")


def test_those_who_left_make_room_with_their_files(sessions, workspace, pictures):
    first = sessions.enter("a", None, None)
    path = open_scene(first, workspace, pictures, "ab" * 32)
    for name in "bc":
        sessions.enter(name, None, None)
    with pytest.raises(GeoChatError, match="3 people are here"):
        sessions.enter("d", None, None)
    sessions.leave("a")
    assert path.exists()
    sessions.enter("d", None, None)
    assert not path.exists()
    assert len(list(sessions)) == 3


def test_a_page_long_idle_makes_room_when_it_is_full(sessions):
    idle = sessions.enter("a", None, None)
    for name in "bc":
        sessions.enter(name, None, None)
    idle.active_at -= 10_000
    sessions.enter("d", None, None)
    assert idle not in list(sessions)


def test_a_page_that_opened_nothing_makes_room_before_one_that_did(sessions, workspace, pictures):
    used = sessions.enter("a", None, None)
    open_scene(used, workspace, pictures, "ab" * 32)
    unused, _ = sessions.enter("b", None, None), sessions.enter("c", None, None)
    used.active_at -= 1000
    unused.active_at -= 100
    sessions.enter("d", None, None)
    assert unused not in list(sessions)
    assert used in list(sessions)


def test_of_the_client_that_has_most_the_longest_idle_makes_room_for_others(sessions, workspace, pictures):
    for number, name in enumerate("abc"):
        open_scene(sessions.enter(name, None, None, "greedy"), workspace, pictures, f"{number}" * 64)
    first, second, third = sessions
    with pytest.raises(GeoChatError, match="3 people are here"):
        sessions.enter("d", None, None, "greedy")
    sessions.enter("e", None, None, "other")
    assert first not in list(sessions)
    with pytest.raises(GeoChatError, match="3 people are here"):
        sessions.enter("f", None, None, "other")  # they have one each but for one
    assert {second, third} <= set(sessions)


def test_nothing_but_loading_the_page_makes_a_session(sessions):
    for name in (None, "", "invented"):
        with pytest.raises(GeoChatError, match="not known here"):
            sessions.of(name, None)
    assert list(sessions) == []


def test_a_page_that_enters_again_leaves_no_session_behind(sessions):
    first = sessions.enter("a", None, None)
    sessions.enter("a", None, None)
    assert first.hashes == set()


def test_after_the_grace_a_session_is_gone(workspace):
    sessions = Sessions(workspace, most=3, grace_s=0, kept=5)
    first = sessions.enter("a", None, None)
    sessions.leave("a")
    assert sessions.enter("b", None, first.key) is not first


def test_another_image_deletes_the_one_before(sessions, workspace, pictures):
    session = sessions.enter("a", None, None)
    before = open_scene(session, workspace, pictures, "ab" * 32)
    first = session.scene
    after = open_scene(session, workspace, pictures, "cd" * 32)
    assert not before.exists()
    assert first.scene.closed
    second = session.scene
    sessions.close()
    assert not after.exists()
    assert second.scene.closed
