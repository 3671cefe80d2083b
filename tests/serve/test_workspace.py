"""Uploads are claimed by name and by nothing else; what is on disk is bounded."""

import os

import pytest

from geochat.errors import ImageError
from geochat_serve.workspace import Workspace

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
        f"{HASH}/scene.tif",
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


def test_room_is_bounded_and_stale_uploads_make_some(workspace):
    named = upload(workspace, b"x" * 900)
    assert not workspace.has_room_for(200)
    assert workspace.has_room_for(50)
    os.utime(workspace.uploads / HASH, (0, 0))
    assert workspace.has_room_for(200)
    with pytest.raises(ImageError):
        workspace.claim(named)


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
