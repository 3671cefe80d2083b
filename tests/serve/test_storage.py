"""Uploads are claimed by name and by nothing else; what is on disk is bounded."""

import errno
import os
import shutil
from pathlib import Path

import pytest

from geochat.errors import ImageError
from geochat_serve.storage import StorageFullError, UploadStorage, safe_name

HASH = "ab" * 32


@pytest.fixture
def storage():
    created = UploadStorage(1000)
    yield created
    created.close()


def upload(storage, content=b"x" * 100, name="scene.tif", folder=HASH):
    place = storage.uploads / folder
    place.mkdir(exist_ok=True)
    (place / name).write_bytes(content)
    return f"{folder}/{name}"


def test_an_upload_is_claimed_once_and_moved(storage):
    named = upload(storage)
    claimed = storage.claim(named)
    assert claimed.read_bytes() == b"x" * 100
    assert not claimed.is_relative_to(storage.uploads)
    with pytest.raises(ImageError, match="was not uploaded"):
        storage.claim(named)
    storage.remove(claimed)
    assert storage.size() == 0


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
def test_nothing_else_is_opened(storage, said):
    upload(storage)
    with pytest.raises(ImageError, match="was not uploaded"):
        storage.claim(said)


def test_no_way_out_of_the_folder(storage, tmp_path):
    secret = tmp_path / "secret.tif"
    secret.write_bytes(b"secret")
    named = upload(storage)
    (storage.uploads / HASH / "link.tif").symlink_to(secret)
    for said in (
        f"{HASH}/../{HASH}/scene.tif",
        f"{HASH}/..",
        f"{HASH}/link.tif",
        f"{storage.uploads}/{HASH}/scene.tif",
        f"{storage.uploads}/../claimed",
    ):
        with pytest.raises(ImageError):
            storage.claim(said)
    assert secret.read_bytes() == b"secret"
    assert storage.claim(named)


def test_an_upload_has_a_public_name_that_tells_no_folder(storage):
    place = storage.new_path("../../etc/scene.tif", "somebody")
    place.write_bytes(b"x")
    name = storage.public_name(place)
    assert name.endswith("/scene.tif")
    assert str(storage.uploads.parent) not in name
    assert storage.find(name) == place
    assert storage.claim(name).read_bytes() == b"x"


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
def test_names_are_what_every_file_system_takes(storage, said, kept):
    assert safe_name(said) == kept
    storage.new_path(said, "somebody").write_bytes(b"x")


def refused(storage, size, client="somebody"):
    try:
        with storage.reserve(size, client):
            return False
    except StorageFullError:
        return True


def test_space_is_limited_and_expired_uploads_free_some(storage):
    named = upload(storage, b"x" * 900)
    assert refused(storage, 200)
    assert not refused(storage, 50)
    os.utime(storage.uploads / HASH, (0, 0))
    assert not refused(storage, 200)
    with pytest.raises(ImageError):
        storage.claim(named)


def test_space_that_is_reserved_is_taken(storage):
    with storage.reserve(800, "one"):
        assert refused(storage, 300, "other")
        assert not refused(storage, 200, "other")
    assert not refused(storage, 300, "other")


def test_one_client_s_unclaimed_uploads_leave_space_for_others(storage):
    storage.new_path("a.tif", "one").write_bytes(b"x" * 200)
    assert refused(storage, 100, "one")
    assert not refused(storage, 700, "other")


def test_partial_uploads_expire_too(storage):
    (storage.uploads / "tmpabc").write_bytes(b"x")
    storage.remove_expired(-1)
    assert storage.size() == 0


def test_remove_touches_nothing_outside(storage, tmp_path):
    other = tmp_path / "other"
    other.write_bytes(b"")
    storage.remove(other)
    assert other.exists()


def test_closing_leaves_nothing():
    storage = UploadStorage(1000)
    claimed = storage.claim(upload(storage))
    storage.close()
    assert not claimed.exists()
    assert not storage.uploads.exists()


def claim(storage, name):
    return storage.claim(name, reusable=True)


def test_calls_share_an_upload(storage):
    """It is read while other calls read it, and may be named again for a minute."""
    named = upload(storage)
    first, second = claim(storage, named), claim(storage, named)
    storage.remove(first)
    assert second.read_bytes() == b"x" * 100
    storage.remove(second)
    storage.remove_expired()
    third = claim(storage, named)
    assert storage.size() == 100  # one file, however many names it has
    storage.remove_expired(linger_s=-1)
    assert third.read_bytes() == b"x" * 100
    storage.remove(third)
    assert storage.size() == 0


def test_uploads_that_calls_have_read_make_space_first(storage):
    path = storage.new_path("a.tif", "one")
    path.write_bytes(b"x" * 900)
    storage.remove(claim(storage, storage.public_name(path)))
    assert not refused(storage, 900, "one")  # nor does it count as unclaimed


def test_many_claim_one_upload_at_once(storage):
    from concurrent.futures import ThreadPoolExecutor

    named = upload(storage)
    with ThreadPoolExecutor(8) as threads:
        claimed = list(threads.map(lambda _: claim(storage, named), range(16)))
    assert len(set(claimed)) == 16
    assert {path.read_bytes() for path in claimed} == {b"x" * 100}


def test_bytes_in_memory_are_stored_or_leave_nothing(storage, monkeypatch):
    assert storage.find(storage.store("../a.png", b"abc", "ada")).read_bytes() == b"abc"
    before = list(storage.uploads.rglob("*"))

    def fail(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", fail)
    with pytest.raises(StorageFullError, match="No space left"):
        storage.store("b.png", b"abc", "ada")
    assert list(storage.uploads.rglob("*")) == before


def test_a_folder_that_goes_while_the_files_are_counted_is_left_out(storage, monkeypatch):
    """Another thread deletes it after it was listed and before it is looked into."""
    upload(storage)
    gone = storage.uploads / ("cd" * 32)
    scan = os.scandir

    def scan_late(path):
        if str(path) == str(gone):
            shutil.rmtree(gone)
        return scan(path)

    monkeypatch.setattr(os, "scandir", scan_late)
    upload(storage, folder=gone.name)
    assert storage.size() == 100
    assert not gone.exists()
    upload(storage, folder=gone.name)
    storage._owners[gone.name] = "somebody"
    assert not refused(storage, 100)
    assert not gone.exists()
