"""Addresses, models, dialects and keys of servers, and the command line."""

import json
import logging
import pickle

import httpx
import pytest
from fake_server import Fault, about, echo
from PIL import Image

from geochat import GeoChat
from geochat.cli import main
from geochat.engines import Usage
from geochat.engines.openai import RemoteLimits
from geochat.engines.openai.connection import checked_url, key_for
from geochat.errors import EngineError, SettingsError
from geochat.models import bundled_path

CANARY = "sk-canary-5ecret"


def test_what_is_no_openai_server(server, connect):
    server.models = Fault(200, "<html>hello</html>", {"content-type": "text/html"})
    with pytest.raises(EngineError, match="answers no JSON"):
        connect(server.url)
    server.models = Fault(200, "[]")
    with pytest.raises(EngineError, match="answers a list"):
        connect(server.url)
    server.models = Fault(200, "{}")
    with pytest.raises(EngineError, match="lists none"):
        connect(server.url)


def test_a_server_that_is_not_there(connect):
    with pytest.raises(EngineError, match="is the server running there"):
        connect("http://127.0.0.1:9/v1")


def test_https_to_a_server_that_does_not_speak_it(server, connect):
    with pytest.raises(EngineError, match="is it an http:// address"):
        connect(server.url.replace("http:", "https:"))


@pytest.mark.parametrize(
    "url", ["host:8000", "ftp://host/v1", "http://", "http://user:secret@host/v1", "http://host/?k=secret"]
)
def test_addresses_that_are_none(url):
    with pytest.raises(SettingsError) as caught:
        checked_url(url)
    assert "secret" not in str(caught.value)


def test_an_address_may_leave_out_v1(server, connect):
    assert connect(f"http://127.0.0.1:{server.port}").url == server.url


def test_which_of_several_models(server, connect):
    server.models = [{"id": "one"}, {"id": "two"}]
    with pytest.raises(SettingsError, match="several models; name one with --model: one, two"):
        connect(server.url)
    with pytest.raises(EngineError, match="no model 'three'; it has one, two"):
        connect(server.url, model="three")
    assert connect(server.url, model="two").generate(about("hi")).text == echo("hi")
    assert server.bodies[-1]["model"] == "two"


def test_a_server_without_a_list_of_models(server, connect):
    server.models = None
    with pytest.raises(SettingsError, match="no list of models; name one"):
        connect(server.url)
    assert connect(server.url, model="fake").generate(about("hi")).text == echo("hi")


def test_the_dialect_is_stated_and_never_guessed(server, connect, tmp_path):
    with pytest.raises(SettingsError, match="--dialect"):
        connect(server.url, dialect=None)
    with pytest.raises(SettingsError, match="no dialect is called"):
        connect(server.url, dialect="klingon")
    (tmp_path / "geochat.json").write_text(json.dumps({"name": "mine", "second_look": True}))
    for settings in (tmp_path, tmp_path / "geochat.json"):
        assert connect(server.url, dialect=None, settings=settings).info.name == "mine"
    assert connect(server.url).info.name == "fake"


def test_the_settings_of_a_checkpoint_on_this_machine_are_taken(server, connect):
    server.models = [{"id": "fake", "root": str(bundled_path()), "max_model_len": 1024}]
    info = connect(server.url, dialect=None).info
    assert (info.name, info.image_size, info.patch_size, info.context) == ("geochat-mini", 288, 16, 1024)
    assert info.sha256 is not None
    assert connect(server.url).info.settings.second_look


def test_options_a_server_does_not_know_are_left_out(server, connect):
    server.unknown_options = {"stream_options", "skip_special_tokens", "max_tokens", "prompt_logprobs", "logprobs"}
    engine = connect(server.url)
    completion = engine.generate(about("hi"))
    assert completion.text == echo("hi")
    assert completion.tokens == ()
    assert completion.usage == Usage(7, 5)
    assert not engine.info.capabilities.logprobs
    assert server.bodies[-1]["max_completion_tokens"] == 512
    before = len(server.bodies)
    engine.generate(about("hi"))
    assert len(server.bodies) == before + 1


def test_the_key_goes_into_the_header_alone(server, connect, caplog, monkeypatch, tmp_path):
    monkeypatch.setenv("GEOCHAT_API_KEY", f"{CANARY}\n")
    caplog.set_level(logging.DEBUG)
    engine = connect(server.url, limits=RemoteLimits(attempts=2, backoff=0))
    answer = GeoChat(engine).ask(Image.new("RGB", (60, 40)), "what?", raw=True)
    assert set(server.keys) == {f"Bearer {CANARY}"}
    told = [repr(engine), repr(vars(engine)), json.dumps(answer.to_dict()), json.dumps(answer.provenance)]
    told += [answer.save_geojson(tmp_path / "a.geojson").read_text(), str(answer.save_overlay(tmp_path / "a.png"))]
    for status, body in [
        (401, f'{{"error": {{"message": "Incorrect key {CANARY}"}}}}'),
        (404, f"the model for {CANARY} does not exist"),
        (500, f"<b>{CANARY}</b>"),
    ]:
        server.faults = lambda number, _, answered=(status, body): Fault(*answered)
        with pytest.raises(EngineError) as caught:
            engine.generate(about("what?"))
        told += [str(caught.value), *map(repr, _chain(caught.value))]
    server.faults = lambda number, _: Fault(body=f'data: {{"error": {{"message": "{CANARY}", "code": 400}}}}\n\n')
    with pytest.raises(EngineError) as caught:
        engine.generate(about("what?"))
    told += [str(caught.value), caplog.text]
    with pytest.raises(TypeError):
        pickle.dumps(engine)
    assert CANARY not in "\n".join(told)
    assert "***" in str(caught.value)


def _chain(error):
    while error is not None:
        yield error
        error = error.__cause__


def test_which_key_goes_where(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "general")
    monkeypatch.delenv("GEOCHAT_API_KEY", raising=False)
    assert key_for(httpx.URL("https://api.example.org/v1")) == "general"
    assert key_for(httpx.URL("http://127.0.0.1:8000/v1")) == "general"
    assert key_for(httpx.URL("http://api.example.org/v1")) is None  # unencrypted, to another machine
    monkeypatch.setenv("GEOCHAT_API_KEY", "own")
    assert key_for(httpx.URL("http://api.example.org/v1")) == "own"
    monkeypatch.setenv("GEOCHAT_API_KEY", "söcret")
    with pytest.raises(SettingsError) as caught:
        key_for(httpx.URL("http://127.0.0.1/v1"))
    assert "söcret" not in str(caught.value)


@pytest.mark.parametrize("limits", [{"concurrency": 0}, {"attempts": 0}, {"timeout": 0.0}, {"backoff": -1}])
def test_impossible_limits(limits):
    with pytest.raises(SettingsError, match=next(iter(limits))):
        RemoteLimits(**limits)


def test_the_command_line_asks_a_server(server, capsys, tmp_path):
    image = tmp_path / "a.png"
    Image.new("RGB", (60, 40)).save(image)
    words = ["ask", str(image), "what?", "--engine", server.url, "--dialect", "geochat"]
    assert main([*words, "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["model"], answer["text"]) == ("fake", echo("what?"))
    assert len(answer["regions"]) == 1
    assert main([*words, "--device", "cuda"]) == 1
    assert "--device means nothing to a server" in capsys.readouterr().err
    assert main(words[:-2]) == 1
    assert "name its dialect with --dialect" in capsys.readouterr().err
