"""Addresses of Ray clusters: what answers there, and what does not, without Ray."""

import socket
import threading
import time

import pytest

from geochat.archive.cluster import Cluster, require_reachable
from geochat.errors import EngineError, SettingsError

SETTINGS = bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))


@pytest.fixture
def listening():
    """Starts servers that answer the first words of a client with some bytes, or never; gives their ports."""
    servers = []

    def listen(answer):
        server = socket.create_server(("127.0.0.1", 0))
        servers.append(server)

        def serve():
            try:
                client, _ = server.accept()
            except OSError:
                return
            with client:
                client.recv(100)
                if answer is None:
                    client.recv(1)  # until the client leaves
                else:
                    client.sendall(answer)

        threading.Thread(target=serve, daemon=True).start()
        return server.getsockname()[1]

    yield listen
    for server in servers:
        server.close()


@pytest.mark.parametrize("address", ["127.0.0.1:{}", "localhost:{}"])
def test_what_speaks_as_ray_is_reached(listening, address):
    require_reachable(address.format(listening(SETTINGS)))


@pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"-ERR unknown command\r\n", b""])
def test_what_listens_and_is_not_ray(listening, answer):
    with pytest.raises(EngineError, match="is not Ray; its port"):
        require_reachable(f"127.0.0.1:{listening(answer)}")


def test_what_never_answers_is_given_up_in_time(listening):
    begun = time.monotonic()
    with pytest.raises(EngineError, match=r"no Ray answers at .*timed out"):
        require_reachable(f"127.0.0.1:{listening(None)}", within=0.3)
    assert time.monotonic() - begun < 5


def test_a_port_at_which_nothing_listens():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(EngineError, match=rf"no Ray answers at 127.0.0.1:{port} .*refused.*--ray local"):
        require_reachable(f"127.0.0.1:{port}")


def test_an_encrypted_cluster_is_only_connected_to(listening, monkeypatch):
    monkeypatch.setenv("RAY_USE_TLS", "1")
    require_reachable(f"127.0.0.1:{listening(b'')}")


@pytest.mark.parametrize("address", ["head", "head:", ":6379", "head:ray", "head:99999", "[::1", ""])
def test_words_that_are_no_address(address):
    with pytest.raises(SettingsError, match="is no address; give HOST:6379, auto or local"):
        require_reachable(address)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"workers": 0}, "--workers 0"),
        ({"cpus": 0}, "some CPU"),
        ({"gpus": 0}, "more than 0 of a GPU"),
        ({"address": "ray://head:10001"}, "with --ray auto, or hand it in there"),
    ],
)
def test_clusters_that_cannot_be(options, message):
    with pytest.raises(SettingsError, match=message):
        Cluster(**{"address": "local", **options})
