"""What the training tests share."""

import os
import socket
import subprocess
import sys
import textwrap

import pytest


@pytest.fixture(scope="session")
def processes():
    """Run a script in several processes that talk over gloo, as `torchrun` would start them."""
    return run_processes


def run_processes(script: str, count: int, *arguments: object, timeout: int = 240) -> list[str]:
    """Run a script in `count` processes of one group; returns what each printed.

    The environment is what `torchrun` and `accelerate launch` set.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    started = [
        subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(script), *map(str, arguments)],
            env=os.environ
            | {
                "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
                "OMP_NUM_THREADS": "1",
                "MASTER_ADDR": "127.0.0.1",
                "MASTER_PORT": str(port),
                "WORLD_SIZE": str(count),
                "RANK": str(rank),
                "LOCAL_RANK": str(rank),
                "LOCAL_WORLD_SIZE": str(count),
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(count)
    ]
    try:
        ended = [process.communicate(timeout=timeout) for process in started]
    finally:
        for process in started:
            process.kill()
    for process, (_, err) in zip(started, ended, strict=True):
        assert process.returncode == 0, err
    return [out for out, _ in ended]
