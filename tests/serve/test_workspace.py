"""Uploads are claimed by name and by nothing else; what is on disk is bounded."""

import os

import pytest

from geochat.errors import ImageError
from geochat_serve.workspace import NoRoomError, Workspace, safe_name

HASH = "ab" * 32


@pytest.fixture
def workspace():
    made = Workspace(1000)
    yield made
    made.close()


def upload(workspace, content=b"x" * 100, name="scene.tif", folder=HASH):
    place = workspace.uploads / folder
    place.mkdir(exist_ok=True)
    (place / name).write_bytes(content)
    return str(place / name)


def test_an_upload_is_claimed_once_and_moved(workspace):
    named = upload(workspace)
    claimed = workspace.claim(named)
    assert claimed.read_bytes() == b"x" * 100
    assert not claimed.is_relative_to(workspace.uploads)
    with pytest.raises(ImageError, match="not uploaded"):
        workspace.claim(named)
    workspace.remove(claimed)
    assert workspace.size() == 0


@pytest.mark.parametrize(
    "said",
    [
        None,
        7,
        "",
        "\0",
        "/etc/passwd",
        "http://localhost/a.tif",
        "file:///etc/passwd",
        "/vsicurl/http://localhost/a.tif",
        f"{HASH}/../{HASH}/scene.tif",
        f"{HASH}//scene.tif",
        f"{HASH}/other.tif",
        f"{HASH}/{'x' * 5000}",
        f"/elsewhere/{HASH}/scene.tif",
    ],
)
def test_nothing_else_is_opened(workspace, said):
    upload(workspace)
    with pytest.raises(ImageError, match="not uploaded"):
        workspace.claim(said)


def test_no_way_out_of_the_folder(workspace, tmp_path):
    secret = tmp_path / "secret.tif"
    secret.write_bytes(b"secret")
    named = upload(workspace)
    (workspace.uploads / HASH / "link.tif").symlink_to(secret)
    for said in (
        f"{workspace.uploads}/{HASH}/../{HASH}/scene.tif",
        f"{workspace.uploads}/{HASH}/..",
        f"{workspace.uploads}/{HASH}/link.tif",
        f"{workspace.uploads}/../scenes",
    ):
        with pytest.raises(ImageError):
            workspace.claim(said)
    assert secret.read_bytes() == b"secret"
    assert workspace.claim(named)


def test_an_upload_has_a_public_name_that_tells_no_folder(workspace):
    place = workspace.place("../../etc/scene.tif", "somebody")
    place.write_bytes(b"x")
    name = workspace.public_name(place)
    assert name.endswith("/scene.tif")
    assert str(workspace.uploads.parent) not in name
    assert workspace.find(name) == place
    assert workspace.claim(name).read_bytes() == b"x"


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("scene.tif", "scene.tif"),
        ("C:\\pictures\\scene.tif", "scene.tif"),
        ("../../..", "image"),
        ("", "image"),
        ("\0\r\n\x1b[2J.png", "____[2J.png"),
        ("\ud800\u202e.png", "__.png"),
        ("x" * 4000 + ".tiff", "x" * 95 + ".tiff"),
        ("é" * 4000, "é" * 50),
        ("." * 300, "image"),
    ],
)
def test_names_are_what_every_file_system_takes(workspace, said, kept):
    assert safe_name(said) == kept
    workspace.place(said, "somebody").write_bytes(b"x")


def refused(workspace, size, client="somebody"):
    try:
        with workspace.room(size, client):
            return False
    except NoRoomError:
        return True


def test_room_is_bounded_and_stale_uploads_make_some(workspace):
    named = upload(workspace, b"x" * 900)
    assert refused(workspace, 200)
    assert not refused(workspace, 50)
    os.utime(workspace.uploads / HASH, (0, 0))
    assert not refused(workspace, 200)
    with pytest.raises(ImageError):
        workspace.claim(named)


def test_room_that_is_being_filled_is_taken(workspace):
    with workspace.room(800, "one"):
        assert refused(workspace, 300, "other")
        assert not refused(workspace, 200, "other")
    assert not refused(workspace, 300, "other")


def test_one_client_s_unclaimed_uploads_leave_room_for_others(workspace):
    workspace.place("a.tif", "one").write_bytes(b"x" * 200)
    assert refused(workspace, 100, "one")
    assert not refused(workspace, 700, "other")


def test_what_was_cut_off_is_swept_too(workspace):
    (workspace.uploads / "tmpabc").write_bytes(b"x")
    workspace.sweep(-1)
    assert workspace.size() == 0


def test_remove_touches_nothing_outside(workspace, tmp_path):
    other = tmp_path / "other"
    other.write_bytes(b"")
    workspace.remove(other)
    assert other.exists()


def test_closing_leaves_nothing():
    workspace = Workspace(1000)
    claimed = workspace.claim(upload(workspace))
    workspace.close()
    assert not claimed.exists()
    assert not workspace.uploads.exists()
