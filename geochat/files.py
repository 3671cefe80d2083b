"""File names, and files written by several processes: one writer at a time, written atomically.

`locked` admits one process, or one thread, to a path; the operating system releases the lock when its holder ends,
killed or not. `atomic_draft` provides a draft file that replaces the path when it is complete.
"""

import hashlib
import json
import os
import socket
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from filelock import FileLock, Timeout

from geochat.errors import SettingsError

_BLOCK = 1 << 20  # bytes


@contextmanager
def locked(path: Path, *, wait: bool = False, what: str) -> Iterator[None]:
    """Lock `path`, a file or folder that need not exist yet, against other processes.

    The lock is the hidden file `.NAME.lock` next to it, which is empty and remains; `.NAME.holder` names the holder.

    Args:
        path: Path to write; its folder must exist.
        wait: Whether to wait for another holder to release it; otherwise its presence is an error.
        what: Activity of the holder, for the other's message, such as "geochat data build".

    Raises:
        SettingsError: Another process holds it, which the message names, or the lock cannot be made.
    """
    target = path.resolve()
    if not target.parent.is_dir():
        raise SettingsError(f"{path} cannot be locked: there is no folder {path.parent}; create it first")
    holder = target.with_name(f".{target.name}.holder")
    lock = FileLock(target.with_name(f".{target.name}.lock"))
    try:
        lock.acquire(timeout=-1 if wait else 0)
    except Timeout:
        raise SettingsError(
            f"{path} is being written by {_holder(holder)}; wait until it has ended, or choose another place"
        ) from None
    except (OSError, NotImplementedError) as error:
        raise SettingsError(f"{path} cannot be locked: {error}; choose a folder that is writable") from error
    try:
        with suppress(OSError):  # without it the message names nobody
            now = datetime.now().astimezone().isoformat(sep=" ", timespec="seconds")
            told = {"process": os.getpid(), "host": socket.gethostname(), "what": what, "since": now}
            with atomic_draft(holder) as draft:
                draft.write_text(json.dumps(told), encoding="utf-8")
        yield
    finally:
        with suppress(OSError):
            holder.unlink(missing_ok=True)
        lock.release()


@contextmanager
def atomic_draft(path: Path, ending: str = ".part") -> Iterator[Path]:
    """Yield a unique path next to `path`; the file written there replaces `path` atomically.

    If the body raises, or the file cannot be moved, the draft is removed and an earlier `path` is unchanged.

    Args:
        path: The file to be.
        ending: Suffix of the draft's name, for libraries that detect formats by it.

    Raises:
        OSError: The draft was not written, or cannot become `path`.
    """
    draft = path.with_name(f".{uuid.uuid4().hex}{ending}")
    try:
        yield draft
        with draft.open("rb") as file:
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def _holder(path: Path) -> str:
    """Return the holder of a lock, if known."""
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        return f"process {told['process']} on {told['host']} ({told['what']}, since {told['since']})"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"


def sha256_of(*paths: Path, size: int | None = None) -> str:
    """Return the SHA-256 of the bytes of one or more files in order, as a hex digest.

    Args:
        paths: The files; they are read a megabyte at a time.
        size: Number of bytes to hash; None hashes all.

    Raises:
        OSError: A file cannot be read.
    """
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            while block := file.read(_BLOCK if size is None else min(_BLOCK, size)):
                digest.update(block)
                size = None if size is None else size - len(block)
    return digest.hexdigest()


def is_there(path: Path) -> bool:
    """Return whether a path exists; False for names that no file system accepts."""
    return os.path.exists(path)  # noqa: PTH110 - `Path.exists` raises for such names


def is_folder(path: Path) -> bool:
    """Return whether a folder exists; False for names that no file system accepts."""
    return os.path.isdir(path)  # noqa: PTH112 - as above


def is_file(path: Path) -> bool:
    """Return whether a regular file exists; False for names that no file system accepts."""
    return os.path.isfile(path)  # noqa: PTH113 - as above
