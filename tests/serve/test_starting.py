"""What stands in the way of a server is told before the model is loaded, with the next step; and what is told then."""

import socket
import sys
from types import SimpleNamespace

import httpx
import pytest

from geochat import GeoChat
from geochat.cli import main
from geochat_serve import ServeSettings, serve


@pytest.fixture
def no_model(monkeypatch):
    def load(_args):
        pytest.fail("the model was loaded for nothing")

    monkeypatch.setattr("geochat.cli.options.load_model", load)


@pytest.fixture
def taken():
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        yield holder.getsockname()[1]


def refused(capsys, *options):
    assert main(["serve", *options]) == 1
    told = capsys.readouterr()
    assert told.out == ""
    (line,) = told.err.splitlines()
    return line


@pytest.mark.usefixtures("no_model")
def test_a_port_that_is_taken(capsys, taken):
    told = refused(capsys, "--port", str(taken))
    assert f"127.0.0.1:{taken} cannot be listened on: Address already in use; choose another --port" in told


@pytest.mark.usefixtures("no_model")
def test_an_address_that_is_not_of_this_machine(capsys):
    told = refused(capsys, "--host", "192.0.2.1")  # kept for documentation: nobody has it
    assert "192.0.2.1:7860 cannot be listened on" in told
    assert "a --host of this machine" in told


@pytest.mark.usefixtures("no_model")
def test_mcp_without_its_package(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "mcp", None)
    assert "pip install 'geochat[mcp]'" in refused(capsys, "--mcp", "--port", "0")


@pytest.mark.usefixtures("no_model")
def test_an_auth_file_that_is_missing_or_wrong(capsys, tmp_path):
    file = tmp_path / "users"
    assert f"the auth file {file} cannot be read" in refused(capsys, "--port", "0", "--auth-file", str(file))
    file.write_text("ada:secret\ngrace\n")
    assert f"line 2 of the auth file {file} is not name:password" in refused(
        capsys, "--port", "0", "--auth-file", str(file)
    )
    file.write_bytes(b"\xff\xfe\x00")
    assert "write lines of name:password" in refused(capsys, "--port", "0", "--auth-file", str(file))


def test_a_public_link_that_cannot_be_had_is_told_and_the_server_goes_on(capsys, engine, monkeypatch, caplog):
    seen = []

    class Interrupted:
        """Stands for the wait until Ctrl-C."""

        def wait(self):
            told = capsys.readouterr()
            seen.append((told.out, told.err + caplog.text, httpx.get(told.out.split()[-1]).status_code))
            raise KeyboardInterrupt

    monkeypatch.setattr("gradio.networking.GRADIO_API_SERVER", "http://127.0.0.1:9/no-relay-here")
    monkeypatch.setattr("geochat.cli.options.load_model", lambda _args: GeoChat(engine))
    monkeypatch.setattr("geochat_serve.command.threading", SimpleNamespace(Event=Interrupted))
    assert main(["serve", "--port", "0", "--share"]) == 130
    ((out, told, status),) = seen
    assert out.startswith("GeoChat is at http://127.0.0.1:")
    assert out.count("\n") == 1
    assert "there is no public link" in told
    assert status == 200


def test_a_proxy_in_the_environment_is_not_in_the_way(engine, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with serve(GeoChat(engine), ServeSettings(port=0)) as server, httpx.Client(trust_env=False) as client:
        assert client.get(server.url).status_code == 200
