"""The supervisor process of a shared server, which runs while the server has users.

    python keeper.py FOLDER

Users hold locks on files in FOLDER/users, which the operating system releases when they end, killed or not. The server
is ended when it has had no users for `keep_s`, when FOLDER/stop appears, and, on Linux, when this process is killed.
This module imports nothing of the project, so that it starts immediately.
"""

import ctypes
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

COMMAND = "command.json"  # {"argv": [...], "env": {...}, "keep_s": 0.0}
SERVER = "server.json"  # {"url": ..., "key": ..., "pid": ...}
LOG = "log.txt"
STOP = "stop"
USERS = "users"
LOCK = "lock"  # held to look at the users, to become one, to start, and to end
KEEPER = "keeper.lock"  # held as long as this process lives

_POLL_S = 0.1
_GRACE_S = 20.0  # that the server has to end
_PR_SET_PDEATHSIG = 1
_PORTS = range(20_000, 32_000)


def keep(folder: Path) -> None:
    """Run the server of a folder until it has no users."""
    told = json.loads((folder / COMMAND).read_text())
    with FileLock(folder / KEEPER, timeout=0), _running(folder, told) as server:
        alone_since: float | None = None
        while server.poll() is None:
            time.sleep(_POLL_S)
            with FileLock(folder / LOCK):
                used = bool(users(folder))
                alone_since = None if used else alone_since or time.monotonic()
                alone = alone_since is not None and time.monotonic() - alone_since >= told["keep_s"]
                if alone or (folder / STOP).exists():
                    end(server)  # in the lock: whoever comes next starts another once this one is gone
                    for name in (SERVER, STOP):
                        (folder / name).unlink(missing_ok=True)
                    return


def users(folder: Path) -> list[Path]:
    """Return the files of the server's users and remove unlocked ones. Call this while holding `LOCK`."""
    held = []
    for file in (folder / USERS).iterdir():
        try:
            with FileLock(file, timeout=0):
                file.unlink()
        except Timeout:
            held.append(file)
    return held


@contextmanager
def _running(folder: Path, told: dict[str, Any]) -> Iterator[subprocess.Popen[bytes]]:
    """Run the server and end it on exit. Its key and address are readable only by the folder's owner."""
    port, key = _free_port(), secrets.token_urlsafe(24)
    argv = [*told["argv"], "--host", "127.0.0.1", "--port", str(port)]
    with (folder / LOG).open("wb") as log:
        server = subprocess.Popen(
            argv,
            env=os.environ | told["env"] | {"VLLM_API_KEY": key},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_end_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509 - there are no threads
        )
    try:
        draft = folder / f"{SERVER}.part"
        draft.write_text(json.dumps({"url": f"http://127.0.0.1:{port}/v1", "key": key, "pid": server.pid}))
        draft.replace(folder / SERVER)
        yield server
    finally:
        end(server)


def end(server: "subprocess.Popen[bytes]") -> None:
    """End the server and its children. Idempotent."""
    for number, seconds in ((signal.SIGTERM, _GRACE_S), (signal.SIGKILL, _GRACE_S)):
        try:
            os.killpg(server.pid, number)
        except ProcessLookupError:
            break
        try:
            server.wait(seconds)
        except subprocess.TimeoutExpired:
            continue


def _end_with_parent() -> None:
    """Have the kernel end this process when its parent exits."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _free_port() -> int:
    """Find a free port below the range for clients, so that no client takes it before vLLM does."""
    while True:
        try:
            with socket.create_server(("127.0.0.1", _PORTS.start + secrets.randbelow(len(_PORTS)))) as found:
                return int(found.getsockname()[1])
        except OSError:
            continue


def _terminated(*_: object) -> None:
    raise SystemExit(0)


if __name__ == "__main__":
    os.umask(0o077)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # meant for the program that started this one
    signal.signal(signal.SIGTERM, _terminated)
    keep(Path(sys.argv[1]))
