"""However the server is ended, its temporary files go, and what it was computing ends."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

SERVER = """
import importlib.util, sys
spec = importlib.util.spec_from_file_location("scripted", {scripted!r})
scripted = importlib.util.module_from_spec(spec)
sys.modules["scripted"] = scripted
spec.loader.exec_module(scripted)
from geochat import GeoChat
from geochat.cli import main, options
from geochat_serve import command as serve
run = serve._serve
serve._serve = lambda *given: print("begun", flush=True) or run(*given)
options.load_model = lambda _args: GeoChat(scripted.ScriptedEngine(pause=0.05))
sys.exit(main(["serve", "--port", "0"]))
"""


@pytest.fixture
def started(tmp_path):
    """`started()` is a server's process, in which the command has begun."""
    script = SERVER.format(scripted=str(Path(__file__).with_name("scripted.py")))
    processes = []

    def start():
        environment = {**os.environ, "TMPDIR": str(tmp_path)}
        process = subprocess.Popen(
            [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
        )
        processes.append(process)
        assert process.stdout.readline() == "begun\n"
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate()


@pytest.mark.slow
@pytest.mark.parametrize(("name", "status"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)])
def test_nothing_is_left_and_nothing_goes_on(started, tmp_path, pictures, name, status):
    process = started()
    url = process.stdout.readline().split()[-1]
    with httpx.Client(base_url=f"{url}gradio_api/", timeout=30) as client:
        for question in ("slow", "slow", "slow"):  # one more than is answered at a time
            (upload,) = client.post("upload", files={"files": ("a.png", (pictures / "wide.png").read_bytes())}).json()
            image = {"path": upload, "meta": {"_type": "gradio.FileData"}}
            client.post("call/ask", json={"data": [image, question, "auto", []]}).raise_for_status()
        client.post("upload", files={"files": ("b.png", b"unclaimed")}).raise_for_status()
        time.sleep(1)
    assert list(tmp_path.glob("geochat-serve-*/uploads/*"))
    start = time.monotonic()
    process.send_signal(getattr(signal, name))
    process.send_signal(signal.SIGTERM)  # a second one does not disturb
    _, told = process.communicate(timeout=60)
    assert time.monotonic() - start < 50  # the three answers would take an hour
    assert process.returncode == status
    assert "Traceback" not in told
    assert list(tmp_path.glob("geochat*")) == []


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
@pytest.mark.parametrize("seconds", [0.0, 0.7])
def test_ending_it_before_it_has_begun_shows_no_traceback(started, tmp_path, name, seconds):
    process = started()
    time.sleep(seconds)  # Gradio and torch are being imported
    process.send_signal(getattr(signal, name))
    _, told = process.communicate(timeout=60)
    assert "Traceback" not in told
    assert process.returncode != 0
    assert list(tmp_path.glob("geochat*")) == []


SWALLOWING = SERVER.replace(
    "sys.exit(main(",
    """
import os, signal
def load(_args):
    try:
        os.kill(os.getpid(), signal.SIGINT)
        signal.sigtimedwait([], 5)
    except BaseException:  # as an import under way may do
        pass
    return GeoChat(scripted.ScriptedEngine(pause=0.05))
options.load_model = load
sys.exit(main(""",
)


def test_a_signal_that_an_import_swallows_still_ends_it(tmp_path):
    script = SWALLOWING.format(scripted=str(Path(__file__).with_name("scripted.py")))
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    argv = [sys.executable, "-c", script]
    done = subprocess.run(argv, check=False, capture_output=True, text=True, timeout=60, env=environment)
    assert done.returncode == 130
    assert "Traceback" not in done.stderr
    assert list(tmp_path.glob("geochat*")) == []


@pytest.mark.slow
def test_a_signal_that_is_ignored_stays_ignored(started):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        process = started()
    finally:
        signal.signal(signal.SIGHUP, before)
    url = process.stdout.readline().split()[-1]
    process.send_signal(signal.SIGHUP)
    time.sleep(0.5)
    assert httpx.get(f"{url}healthz").status_code == 200
