"""The client against servers that are none, break off, or misbehave. `tests/serve` has it against the real one."""

import contextlib
import http.server
import json
import subprocess
import sys
import threading

import pytest

from geochat import Client
from geochat.errors import EngineError, GeoChatError, SettingsError

START = b'event: start\ndata: {"prompt": "p", "notices": []}\n\n'
TEXT = b'event: text\ndata: {"text": "a"}\n\n'


@pytest.fixture
def serving():
    """`serving(status, kind, body)` is the address of a server that always says the same, and what it was sent."""
    with contextlib.ExitStack() as stack:

        def start(status, kind, body, **headers):
            got = []

            class Handler(http.server.BaseHTTPRequestHandler):
                def do_POST(self):
                    got.append(
                        (self.path, dict(self.headers), self.rfile.read(int(self.headers["content-length"] or 0)))
                    )
                    self.send_response(status)
                    for name, value in {"content-type": kind, **headers}.items():
                        self.send_header(name, value)
                    self.end_headers()
                    self.wfile.write(body)

                do_GET = do_POST  # noqa: N815 - as the base class calls it

                def log_message(self, *_args):
                    pass

            server = stack.enter_context(http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler))
            threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
            stack.callback(server.shutdown)
            return f"http://127.0.0.1:{server.server_port}", got

        yield start


def problem(status, **values):
    return json.dumps({"type": "about:blank", "title": "t", "status": status, **values}).encode()


ANSWERS = [
    (200, "text/html", b"<html>", EngineError, "broke off"),
    (200, "text/event-stream", START + TEXT, EngineError, "in the middle"),
    (
        200,
        "text/event-stream",
        START + b"event: answer\ndata: {\n\n",
        EngineError,
        "does not answer as a GeoChat server",
    ),
    (
        200,
        "text/event-stream",
        START + b"event: error\ndata: " + problem(422, detail="bad", error="RegionError") + b"\n\n",
        GeoChatError,
        "bad",
    ),
    (404, "text/html", b"nothing", EngineError, "has no GeoChat API"),
    (302, "text/html", b"", EngineError, "leads to http://elsewhere/"),
    (502, "text/html", b"<h1>Bad gateway</h1>", EngineError, "502: <h1>Bad"),
    (401, "application/problem+json", problem(401, detail="Wrong API token."), SettingsError, "GEOCHAT_API_TOKEN"),
    (500, "application/problem+json", problem(500, detail="oh", error="SystemExit"), EngineError, "500: oh"),
    (503, "application/problem+json", b"{", EngineError, "does not answer as a GeoChat server"),
]


@pytest.mark.parametrize(("status", "kind", "body", "error", "words"), ANSWERS)
def test_a_server_that_fails_is_one_clear_error(serving, status, kind, body, error, words):
    url, _ = serving(status, kind, body, location="http://elsewhere/")
    with Client(url) as client, pytest.raises(error, match=words):
        client.ask(b"image", "?")


def test_an_image_and_its_fields_are_a_form_and_the_token_a_header(serving, tmp_path):
    url, got = serving(200, "text/event-stream", b"")
    (tmp_path / "a b.png").write_bytes(b"\x89PNG" + bytes(300_000))
    with Client(f"{url}/geochat/", token="t0ken") as client, pytest.raises(EngineError):
        client.ask(tmp_path / "a b.png", "how many?", window=(0, 0, 9, 9), task="vqa")
    ((path, headers, body),) = got
    assert path == "/geochat/api/v1/ask"
    assert headers["authorization"] == "Bearer t0ken"
    assert b'name="window"\r\n\r\n[0, 0, 9, 9]' in body
    assert b'name="question"\r\n\r\nhow many?' in body
    assert b'filename="a b.png"' in body
    assert len(body) > 300_000


def test_address_and_token_come_from_the_environment(serving, monkeypatch):
    url, got = serving(200, "application/json", b'{"model": "m"}')
    monkeypatch.setenv("GEOCHAT_SERVER", url)
    monkeypatch.setenv("GEOCHAT_API_TOKEN", "from-the-environment")
    with Client() as client:
        assert client.server() == {"model": "m"}
    assert got[0][1]["authorization"] == "Bearer from-the-environment"
    with pytest.raises(SettingsError, match="timeout"):
        Client(url, timeout=0)


def test_the_client_imports_nothing_heavy():
    code = "import sys; from geochat import Client; Client('http://127.0.0.1:1'); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.split(".")[0] for name in done.stdout.split()}
    assert not loaded & {"torch", "transformers", "gradio", "numpy", "rasterio", "shapely", "PIL"}
