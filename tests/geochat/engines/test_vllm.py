"""A vLLM is started, shared and ended."""

import json
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from PIL import Image

from geochat import GeoChat
from geochat.engines import EngineOptions, open_engine
from geochat.engines.vllm import keeper, serve, sharing, starting
from geochat.engines.vllm.starting import command_for, find_python
from geochat.errors import CheckpointError, EngineError, SettingsError
from geochat.models import bundled_path

STUB = """#!{python}
import json, os, sys, time
from http.server import BaseHTTPRequestHandler, HTTPServer
if sys.argv[1] == "-c":
    print("vllm")
    sys.exit()
arguments = dict(zip(sys.argv[3::2], sys.argv[4::2]))
if "--fail" in arguments:
    sys.exit("no memory for the weights")

class Handler(BaseHTTPRequestHandler):
    def reply(self, told):
        ok = self.headers["authorization"] == "Bearer " + os.environ["VLLM_API_KEY"]
        self.send_response(200 if ok else 401)
        self.end_headers()
        self.wfile.write(json.dumps(told).encode())

    def do_GET(self):
        self.reply({{"data": [{{"id": arguments["--served-model-name"], "root": arguments["--model"]}}]}})

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.reply({{"choices": [{{"message": {{"content": "I am " + str(os.getpid())}}, "finish_reason": "stop"}}]}})

    def log_message(self, *args):
        pass

time.sleep(0.1)
HTTPServer((arguments["--host"], int(arguments["--port"])), Handler).serve_forever()
"""


@pytest.fixture
def stub(tmp_path, monkeypatch):
    """A program that stands for the Python of vLLM's environment; servers of the test are ended with it."""
    program = tmp_path / "python"
    program.write_text(STUB.format(python=sys.executable))
    program.chmod(program.stat().st_mode | stat.S_IEXEC)
    monkeypatch.setattr(sharing, "_POLL_S", 0.02)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv("GEOCHAT_VLLM_PYTHON", str(program))
    for name in ("GEOCHAT_VLLM_ARGS", "GEOCHAT_VLLM_KEEP"):
        monkeypatch.delenv(name, raising=False)
    yield program
    for _, folder in sharing.running():
        sharing.stop(folder)


def ended(pid, within=10.0):
    """Whether a process ends in time."""
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
            if " Z " in Path(f"/proc/{pid}/stat").read_text():  # nobody has taken notice of its end yet
                return True
        except ProcessLookupError:
            return True
        except FileNotFoundError:  # no Linux
            pass
        time.sleep(0.02)
    return False


def server_of(folder):
    return json.loads((folder / keeper.SERVER).read_text())


USER = """
import sys, time
from geochat.engines.vllm.sharing import use
from geochat.engines.vllm.starting import command_for
used = use(command_for(None), print)
print(used.url, flush=True)
time.sleep(600)
"""


def test_it_is_started_and_ends_with_its_last_user(stub):
    told = []
    engine = serve(tell=told.append)
    assert engine.info.name == "geochat-mini"
    assert engine.info.image_size == 288
    assert told[0].startswith("vLLM starts at http://127.0.0.1:")
    ((url, folder),) = sharing.running()
    assert url == engine.url
    answer = GeoChat(engine).ask(Image.new("RGB", (40, 30)), "who?", raw=True).text
    assert answer == f"I am {server_of(folder)['pid']}"
    pid = server_of(folder)["pid"]
    del engine
    assert ended(pid)
    assert not list(sharing.running())


def test_processes_share_it_and_a_killed_one_does_not_keep_it(stub):
    users = [subprocess.Popen([sys.executable, "-c", USER], stdout=subprocess.PIPE, text=True) for _ in range(3)]
    try:
        urls = [next(line.strip() for line in user.stdout if line.startswith("http")) for user in users]
        assert len(set(urls)) == 1
        ((_, folder),) = sharing.running()
        pid = server_of(folder)["pid"]
        users[0].kill()
        users[1].terminate()
        time.sleep(0.4)  # a few looks at its users
        assert not ended(pid, within=0.1)
        users[2].kill()
        assert ended(pid)
    finally:
        for user in users:
            user.kill()
            user.wait()
            user.stdout.close()


def test_threads_share_it(stub):
    urls = []
    threads = [threading.Thread(target=lambda: urls.append(serve().url)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(urls)) == 1


def test_what_it_is_started_with_tells_servers_apart(stub, monkeypatch):
    one, other = serve(), serve(dtype="bfloat16")
    assert one.url != other.url
    monkeypatch.setenv("GEOCHAT_VLLM_ARGS", "--max-model-len 512")
    assert serve().url not in {one.url, other.url}


def test_it_may_stay_for_a_while(stub, monkeypatch):
    monkeypatch.setenv("GEOCHAT_VLLM_KEEP", "60")
    url = serve().url
    time.sleep(0.4)
    assert serve().url == url


def test_it_is_ended_whoever_uses_it(stub):
    engine = serve()
    ((_, folder),) = sharing.running()
    pid = server_of(folder)["pid"]
    sharing.stop(folder)
    assert ended(pid, within=1)
    assert serve().url != engine.url  # and started again for who comes next


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process of its parent's death")
def test_it_ends_when_its_keeper_is_killed(stub):
    engine = serve()
    ((_, folder),) = sharing.running()
    pid = server_of(folder)["pid"]
    parent = int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
    os.kill(parent, signal.SIGKILL)
    assert ended(pid)
    assert serve().url != engine.url


def test_one_that_does_not_start_shows_its_log(stub, monkeypatch):
    monkeypatch.setenv("GEOCHAT_VLLM_ARGS", "--fail now")
    with pytest.raises(EngineError, match=r"(?s)ended before it answered.*no memory for the weights"):
        serve()


def test_its_key_and_address_are_for_its_user_alone(stub):
    engine = serve()
    ((_, folder),) = sharing.running()
    assert stat.S_IMODE((folder / keeper.SERVER).stat().st_mode) == 0o600
    assert server_of(folder)["key"] not in (folder / keeper.COMMAND).read_text()
    assert server_of(folder)["key"] not in repr(engine)
    arguments = Path(f"/proc/{server_of(folder)['pid']}/cmdline")
    if arguments.exists():
        assert server_of(folder)["key"] not in arguments.read_text()


def test_the_command(stub, monkeypatch, tmp_path):
    monkeypatch.setenv("GEOCHAT_VLLM_ARGS", "--tensor-parallel-size 2")
    command = command_for(None, dtype="bfloat16")
    text = " ".join(command.argv)
    assert text.startswith(f"{stub} -m vllm.entrypoints.openai.api_server --model {bundled_path().resolve()}")
    assert text.endswith("--tensor-parallel-size 2")
    assert "--dtype bfloat16" in text
    assert command.env["HF_HUB_OFFLINE"] == "1"
    assert "HF_HUB_OFFLINE" not in command_for("somebody/some-model").env
    monkeypatch.setattr(starting, "find_python", lambda _stated: (stub, True))  # a build for CPUs
    packed = tmp_path / "packed"
    packed.mkdir()
    (packed / "config.json").write_text(json.dumps({"vision_config": {}, "quantization_config": {}}))
    for folder, dtype in ((None, "float32"), (packed, "auto")):
        assert f"--dtype {dtype} " in " ".join(command_for(folder).argv)
    monkeypatch.setenv("GEOCHAT_VLLM_KEEP", "long")
    with pytest.raises(SettingsError, match="GEOCHAT_VLLM_KEEP='long'"):
        command_for(None)


def test_checkpoints_it_cannot_serve(stub, tmp_path):
    original = tmp_path / "original"
    original.mkdir()
    (original / "config.json").write_text(json.dumps({"model_type": "geochat", "mm_vision_tower": "clip"}))
    with pytest.raises(CheckpointError, match="geochat convert"):
        command_for(original)
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    (adapter / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": "geochat-mini"}))
    with pytest.raises(CheckpointError, match="geochat merge"):
        command_for(adapter)
    with pytest.raises(CheckpointError, match="no checkpoint directory"):
        command_for(tmp_path / "missing")


def test_without_vllm_the_error_says_how_to_install_it(monkeypatch, tmp_path):
    monkeypatch.delenv("GEOCHAT_VLLM_PYTHON", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SettingsError, match="pip install vllm"):
        find_python()
    with pytest.raises(SettingsError, match="cannot be run"):
        find_python(tmp_path / "python")
    with pytest.raises(SettingsError, match="has no vLLM"):
        find_python(sys.executable)


@pytest.mark.parametrize(
    ("engine", "options", "words"),
    [
        ("vllm", {"device": "cuda:1"}, "--device means nothing to vLLM"),
        ("http://localhost:1/v1", {"dtype": "float32"}, "--dtype means nothing to a server"),
        ("local", {"vllm_python": "python"}, "--vllm-python means nothing to the local engine"),
        ("nothing", {}, "no engine is called 'nothing'; choose one of local, vllm"),
    ],
)
def test_options_that_an_engine_cannot_heed(engine, options, words):
    with pytest.raises(SettingsError, match=words):
        open_engine(engine, EngineOptions(**options))
