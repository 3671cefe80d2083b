"""Sharing of one server among all processes of a user that need it.

Each server is identified by its command, which has a folder. The first user starts a supervisor there (`keeper`), which
runs the server; every user holds a lock while using it.
"""

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from filelock import FileLock, Timeout

from geochat.engines.vllm import keeper
from geochat.errors import EngineError

Tell = Callable[[str], None]

_POLL_S = 0.2
_TOLD_S = 15.0  # how often somebody who waits is told so
_LINES = 12  # of the log, shown where the server does not start


@dataclass(frozen=True, slots=True)
class Command:
    """Arguments that start a server.

    Attributes:
        argv: Program and arguments; its address is added as `--host` and `--port`.
        env: Added to the environment, as is VLLM_API_KEY.
        keep_s: Seconds to keep it running after its last user.
    """

    argv: Sequence[str]
    env: Mapping[str, str]
    keep_s: float = 0.0

    @property
    def folder(self) -> Path:
        """Path of the shared state."""
        told = json.dumps([list(self.argv), dict(self.env)], sort_keys=True)
        return _shared() / f"vllm-{hashlib.sha256(told.encode()).hexdigest()[:12]}"


@dataclass(frozen=True, slots=True)
class Use:
    """A use of a shared server; without uses, the server may end.

    Attributes:
        url: Its address.
        key: Key that it requires.
    """

    url: str
    key: str = field(repr=False)
    _lock: FileLock = field(repr=False)

    def release(self) -> None:
        """End the use. Idempotent; for a process that exits, the operating system does this."""
        self._lock.release()


def use(command: Command, tell: Tell) -> Use:
    """Use the server of a command, starting it if needed, and wait until it answers.

    Args:
        command: Command that starts it.
        tell: Called with the waiting time.

    Raises:
        EngineError: It ends before it answers.
    """
    folder = command.folder
    (folder / keeper.USERS).mkdir(mode=0o700, parents=True, exist_ok=True)
    mine = FileLock(folder / keeper.USERS / f"{uuid.uuid4().hex}.lock", thread_local=False)
    with FileLock(folder / keeper.LOCK):
        mine.acquire()
        started = not _is_held(folder / keeper.KEEPER)
        if started:
            _start(folder, command)
    try:
        told = json.loads((folder / keeper.SERVER).read_text())
        if started:
            tell(f"vLLM starts at {told['url']}; its log is {folder / keeper.LOG}")
        _wait(folder, told["url"], told["key"], tell)
    except OSError as error:
        mine.release()
        raise EngineError(f"vLLM has just been stopped in {folder}; ask again") from error
    except BaseException:
        mine.release()
        raise
    return Use(told["url"], told["key"], mine)


def running() -> Iterator[tuple[str, Path]]:
    """Yield the address and folder of every shared server of this user."""
    for folder in _shared().glob("vllm-*"):
        if _is_kept(folder) and (folder / keeper.SERVER).is_file():
            yield json.loads((folder / keeper.SERVER).read_text())["url"], folder


def stop(folder: Path) -> None:
    """Stop a shared server with all its users, and wait until it has ended."""
    (folder / keeper.STOP).touch()
    while _is_kept(folder) and (folder / keeper.STOP).exists():
        time.sleep(_POLL_S)


def _start(folder: Path, command: Command) -> None:
    """Start a supervisor and wait until it has started the server. Call this while holding the folder's lock."""
    for name in (keeper.SERVER, keeper.STOP):
        (folder / name).unlink(missing_ok=True)
    told = {"argv": list(command.argv), "env": dict(command.env), "keep_s": command.keep_s}
    (folder / keeper.COMMAND).write_text(json.dumps(told))
    with (folder / "keeper.txt").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-P", keeper.__file__, str(folder)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    while not (folder / keeper.SERVER).is_file():
        if process.poll() is not None:
            raise EngineError(f"vLLM cannot be started: {_tail(folder / 'keeper.txt')}")
        time.sleep(0.02)
    process.returncode = 0  # it goes on without this process, which is no reason for a warning


def _wait(folder: Path, url: str, key: str, tell: Tell) -> None:
    """Wait until a server answers."""
    begun = last = time.monotonic()
    while True:
        try:
            if httpx.get(f"{url}/models", headers={"Authorization": f"Bearer {key}"}, trust_env=False).is_success:
                break
        except httpx.HTTPError:
            pass
        if not _is_kept(folder):
            raise EngineError(f"vLLM ended before it answered. Its log, {folder / keeper.LOG}, ends:\n"
                              f"{_tail(folder / keeper.LOG)}")  # fmt: skip
        if time.monotonic() - last > _TOLD_S:
            last = time.monotonic()
            tell(f"vLLM has been starting for {last - begun:.0f} s: {_tail(folder / keeper.LOG, 1)[-150:]}")
        time.sleep(_POLL_S)
    if time.monotonic() - begun > 1:
        tell(f"vLLM answers after {time.monotonic() - begun:.0f} s")


def _is_kept(folder: Path) -> bool:
    """Return whether a folder's supervisor is running."""
    with FileLock(folder / keeper.LOCK):
        return _is_held(folder / keeper.KEEPER)


def _is_held(path: Path) -> bool:
    """Return whether a lock is held. Call this under the folder's own lock, or two checks would see each other."""
    try:
        with FileLock(path, timeout=0):
            return False
    except Timeout:
        return True


def _tail(path: Path, lines: int = _LINES) -> str:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 10_000))
        told = file.read().decode(errors="replace")
    return "\n".join([line for line in told.splitlines() if line.strip()][-lines:])


def _shared() -> Path:
    """Return the folder of this user's servers.

    Raises:
        EngineError: Somebody else has taken its place.
    """
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    user = os.getuid() if hasattr(os, "getuid") else 0
    folder = Path(runtime) / "geochat" if runtime else Path(tempfile.gettempdir()) / f"geochat-{user}"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if hasattr(os, "getuid") and folder.stat().st_uid != user:
        raise EngineError(f"{folder} belongs to somebody else; set XDG_RUNTIME_DIR to a folder of your own")
    return folder
