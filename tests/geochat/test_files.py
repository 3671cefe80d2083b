"""One writer at a time, and whole files only."""

import hashlib
import os
import socket
import subprocess
import sys

import pytest

from geochat.errors import SettingsError
from geochat.files import atomic_draft, is_file, is_folder, is_there, locked, sha256_of

HOLD = """
import sys
from pathlib import Path
from geochat.files import locked
with locked(Path(sys.argv[1]), what="a long job"):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def other(tmp_path):
    """Another process that holds `tmp_path / "out"`."""
    command = [sys.executable, "-c", HOLD, str(tmp_path / "out")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_second_process_is_refused_by_name(tmp_path, other):
    refusal = rf"process {other.pid} on {socket.gethostname()} \(a long job, since"
    with pytest.raises(SettingsError, match=refusal), locked(tmp_path / "sub" / ".." / "out", what="mine"):
        raise AssertionError("both hold it")
    with locked(tmp_path / "another", what="mine"):
        pass


def test_a_killed_holder_holds_nothing(tmp_path, other):
    other.kill()
    other.wait()
    refused = pytest.raises(SettingsError, match=f"process {os.getpid()} ")
    with locked(tmp_path / "out", what="mine"), refused, locked(tmp_path / "out", what="again"):
        raise AssertionError("both hold it")


def test_waiting_ends_with_the_holder(tmp_path, other):
    other.stdin.close()
    with locked(tmp_path / "out", wait=True, what="mine"):
        assert other.wait(timeout=60) == 0
    assert [path.name for path in tmp_path.iterdir()] == [".out.lock"]


def test_a_folder_that_is_missing_is_told(tmp_path):
    with pytest.raises(SettingsError, match="there is no folder"), locked(tmp_path / "gone" / "out", what="mine"):
        raise AssertionError("locked nothing")


def test_drafts_are_unique_and_replace_when_whole(tmp_path):
    path = tmp_path / "file.json"
    path.write_text("old")
    with atomic_draft(path) as first, atomic_draft(path) as second:
        assert first != second
        second.write_text("second")
        first.write_text("first")
        assert path.read_text() == "old"
    assert path.read_text() == "first"
    with pytest.raises(TypeError), atomic_draft(path) as draft:
        draft.write_text(draft.write_text("half"))
    with pytest.raises(FileNotFoundError), atomic_draft(path):
        pass
    assert [found.name for found in tmp_path.iterdir()] == ["file.json"]
    assert path.read_text() == "first"


def test_a_name_no_file_system_takes_is_nothing(tmp_path):
    for name in ("x" * 300, "a\0b"):
        assert not is_there(tmp_path / name)
        assert not is_folder(tmp_path / name)
        assert not is_file(tmp_path / name)
    assert is_there(tmp_path)
    assert is_folder(tmp_path)
    assert not is_file(tmp_path)


def test_a_hash_is_of_all_bytes_in_order_or_of_the_first(tmp_path):
    first, second = tmp_path / "a", tmp_path / "b"
    first.write_bytes(b"ab" * 700_000)
    second.write_bytes(b"c")
    assert sha256_of(first) == hashlib.sha256(first.read_bytes()).hexdigest()
    assert sha256_of(first, second) == hashlib.sha256(first.read_bytes() + b"c").hexdigest()
    assert sha256_of(first, size=1_200_001) == hashlib.sha256(first.read_bytes()[:1_200_001]).hexdigest()
    assert sha256_of(second, size=0) == hashlib.sha256().hexdigest()
    with pytest.raises(OSError, match="gone"):
        sha256_of(tmp_path / "gone")
