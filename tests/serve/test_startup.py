"""What prevents a server from starting is reported before the model is loaded; how it ends, nothing is left behind."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from serve_wire import WAIT_S, api_client, begin_ask, upload

from geochat import GeoChat
from geochat.cli import main
from geochat_serve import ServeSettings, serve

SERVER = """
import importlib.util, os, signal, sys
spec = importlib.util.spec_from_file_location("scripted", {scripted!r})
scripted = importlib.util.module_from_spec(spec)
sys.modules["scripted"] = scripted
spec.loader.exec_module(scripted)
from geochat import GeoChat
from geochat.cli import main, options
from geochat.models import finding
finding.check_checkpoint = lambda *_args, **_options: print("started", flush=True)  # the first thing the command does
def load_model(_args):
    {loading}
    return GeoChat(scripted.ScriptedEngine(pause=0.05))
options.load_model = load_model
sys.exit(main(["serve", "--port", "0", *sys.argv[1:]]))
"""
NO_RELAY = """
    import gradio.networking
    gradio.networking.GRADIO_API_SERVER = "http://127.0.0.1:9/no-relay-here"
"""
SWALLOWED = """
    try:
        os.kill(os.getpid(), signal.SIGINT)
        signal.pause()
    except BaseException:  # as an import in progress may do
        pass
"""


def argv(loading="pass"):
    scripted = str(Path(__file__).with_name("scripted.py"))
    return [sys.executable, "-c", SERVER.format(scripted=scripted, loading=loading.strip())]


@pytest.fixture
def started(tmp_path):
    """`started()` is the process of a server, in which the command has begun."""
    processes = []

    def start(loading="pass", *arguments):
        environment = {**os.environ, "TMPDIR": str(tmp_path)}
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        processes.append(subprocess.Popen([*argv(loading), *arguments], env=environment, **pipes))
        assert processes[-1].stdout.readline() == "started\n"
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.communicate()


@pytest.fixture
def no_model(monkeypatch):
    def load(_args):
        pytest.fail("the model was loaded in vain")

    monkeypatch.setattr("geochat.cli.options.load_model", load)


@pytest.fixture
def taken():
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        yield holder.getsockname()[1]


def refused(capsys, *options):
    assert main(["serve", *options]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    (line,) = printed.err.splitlines()
    return line


@pytest.mark.usefixtures("no_model")
def test_a_port_that_is_taken(capsys, taken):
    message = refused(capsys, "--port", str(taken))
    assert f"cannot listen on 127.0.0.1:{taken}: Address already in use; choose another --port" in message


@pytest.mark.usefixtures("no_model")
def test_an_address_of_another_machine(capsys):
    message = refused(capsys, "--host", "192.0.2.1")  # reserved for documentation
    assert "cannot listen on 192.0.2.1:7860" in message
    assert "a --host of this machine" in message


@pytest.mark.usefixtures("no_model")
def test_mcp_without_its_package(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "mcp", None)
    assert "pip install 'geochat[mcp]'" in refused(capsys, "--mcp", "--port", "0")


@pytest.mark.usefixtures("no_model")
def test_an_auth_file_that_is_missing_or_wrong(capsys, tmp_path):
    file = tmp_path / "users"
    options = ("--port", "0", "--auth-file", str(file))
    assert f"the auth file {file} cannot be read" in refused(capsys, *options)
    file.write_text("ada:secret\ngrace\n")
    assert f"line 2 of the auth file {file} is not name:password" in refused(capsys, *options)
    file.write_bytes(b"\xff\xfe\x00")
    assert "write lines of name:password" in refused(capsys, *options)


@pytest.mark.slow
def test_without_a_relay_the_server_goes_on_and_says_so(started):
    process = started(NO_RELAY, "--share")
    told = process.stdout.readline()
    assert told.startswith("GeoChat is at http://127.0.0.1:")
    assert any("no public link" in line for line in process.stderr)  # reads until it says so
    assert httpx.get(told.split()[-1]).status_code == 200
    process.send_signal(signal.SIGINT)
    printed, _ = process.communicate(timeout=WAIT_S)
    assert (process.returncode, printed) == (130, "")


def test_without_a_relay_there_is_a_server_and_no_public_link(engine, monkeypatch):
    monkeypatch.setattr("gradio.networking.GRADIO_API_SERVER", "http://127.0.0.1:9/no-relay-here")
    with serve(GeoChat(engine), ServeSettings(port=0, share=True)) as server:
        assert server.share_url is None
        assert httpx.get(server.url).status_code == 200


def test_a_proxy_in_the_environment_does_not_interfere(engine, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with serve(GeoChat(engine), ServeSettings(port=0)) as server, httpx.Client(trust_env=False) as client:
        assert client.get(server.url).status_code == 200


@pytest.mark.slow
@pytest.mark.parametrize(("name", "status"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)])
def test_a_signal_stops_the_answers_and_leaves_no_file(started, tmp_path, pictures, name, status):
    process = started()
    process.url = process.stdout.readline().split()[-1]
    with api_client(process) as client:
        image = upload(client, (pictures / "wide.png").read_bytes())
        for _ in range(3):  # one more than are answered at a time
            begin_ask(client, image, "slow").raise_for_status()
        upload(client, b"unclaimed")
    assert list(tmp_path.glob("geochat-serve-*/uploads/*"))
    process.send_signal(getattr(signal, name))
    process.send_signal(signal.SIGTERM)  # a second one is ignored
    _, errors = process.communicate(timeout=WAIT_S)  # the three answers would take an hour
    assert process.returncode == status
    assert "Traceback" not in errors
    assert list(tmp_path.glob("geochat*")) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_during_start_up_shows_no_traceback(started, tmp_path, name):
    process = started()
    process.send_signal(getattr(signal, name))
    _, errors = process.communicate(timeout=WAIT_S)
    assert "Traceback" not in errors
    assert process.returncode != 0
    assert list(tmp_path.glob("geochat*")) == []


@pytest.mark.slow
def test_a_signal_that_an_import_swallows_still_ends_it(started, tmp_path):
    process = started(SWALLOWED)
    _, errors = process.communicate(timeout=WAIT_S)
    assert process.returncode == 130
    assert "Traceback" not in errors
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
    assert httpx.get(f"{url}healthz", timeout=WAIT_S).status_code == 200
    assert process.poll() is None
