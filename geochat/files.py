"""Names of files, and files that several processes may write: one writer at a time, and whole files only.

`locked` admits one process, or one thread, to a path; the operating system frees the lock when its holder ends, killed
or not. `atomic_draft` gives a file of its own to write to, which takes its place when it is complete.
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
    """Hold `path`, a file or a folder that need not exist yet, against every other process that asks for it.

    The lock is the hidden file `.NAME.lock` beside it, empty and left there; `.NAME.holder` says who holds it.

    Args:
        path: What is about to be written; its folder must exist.
        wait: Whether to wait for another holder to end; else its presence is an error.
        what: What the holder is doing, for the other's message, such as "geochat data build".

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
    """A path beside `path` that nobody else has; the file written there becomes `path`, whole or not at all.

    When the body raises, or the file cannot be moved, the draft is removed and an earlier `path` stays as it was.

    Args:
        path: The file to be.
        ending: Of the draft's name, for libraries that tell formats by it.

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
    """Holder of a lock, as far as it is known."""
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        return f"process {told['process']} on {told['host']} ({told['what']}, since {told['since']})"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"


def sha256_of(*paths: Path, size: int | None = None) -> str:
    """SHA-256 of the bytes of one or more files in order, as a hex digest.

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
    """Return whether there is anything of that name; of a name that no file system takes there is nothing."""
    return os.path.exists(path)  # noqa: PTH110 - `Path.exists` raises for such names


def is_folder(path: Path) -> bool:
    """Return whether there is a folder of that name; of a name that no file system takes there is none."""
    return os.path.isdir(path)  # noqa: PTH112 - as above


def is_file(path: Path) -> bool:
    """Return whether there is an ordinary file of that name; of a name that no file system takes there is none."""
    return os.path.isfile(path)  # noqa: PTH113 - as above
