"""The server answers to its own host names, and to its own pages."""

import socket
from urllib.parse import urlsplit

import httpx
import pytest
from serve_wire import WAIT_S

from geochat import GeoChat
from geochat_serve import ServeSettings, serve
from geochat_serve.middleware.hosts import AllowedHosts


@pytest.fixture(scope="module")
def proxied(engine):
    settings = ServeSettings(
        port=0, allowed_hosts=("maps.example.org", "gpu:8443"), root_path="https://example.org/geochat"
    )
    with serve(GeoChat(engine), settings) as running:
        yield running


def get(server, path="", **headers):
    return httpx.get(f"{server.url}{path}", headers=headers).status_code


@pytest.mark.parametrize("path", ["", "config", "gradio_api/info", "gradio_api/queue/data?session_hash=x", "theme.css"])
@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:7860", "127.0.0.1.evil.example", "localhost.evil.example", "10.0.0.1", ""]
)
def test_a_rebound_name_gets_nothing(server, path, host):
    assert get(server, path, host=host) in (400, 421)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost:7860", "LOCALHOST", "[::1]:7860", "localhost."])
def test_names_of_this_machine_are_answered(server, host):
    assert get(server, host=host) == 200


def test_a_request_without_a_host_gets_nothing(server):
    address = urlsplit(server.url)
    with socket.create_connection((address.hostname, address.port), timeout=WAIT_S) as connection:
        connection.sendall(b"GET /config HTTP/1.0\r\n\r\n")
        assert connection.recv(1000).startswith(b"HTTP/1.1 4")


def test_a_proxy_may_not_say_another_name_either(server):
    assert get(server, **{"x-forwarded-host": "evil.example"}) == 421
    assert "evil.example" not in httpx.get(server.url).text


def test_names_that_were_given_are_answered(proxied):
    for host in ("maps.example.org", "maps.example.org:80", "example.org", "gpu:8443", "127.0.0.1"):
        assert get(proxied, host=host) == 200
    for host in ("gpu", "gpu:80", "a.maps.example.org", "org"):
        assert get(proxied, host=host) == 421


def test_the_health_check_has_any_name(server):
    assert get(server, "healthz", host="10.1.2.3:8080") == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://localhost:3000"},
        {"origin": "http://127.0.0.1"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site", "origin": "http://localhost:3000"},
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"},
    ],
)
@pytest.mark.parametrize("path", ["queue/join", "call/find", "upload", "run/x", "cancel", "mcp/"])
def test_pages_of_others_post_nothing(server, path, headers):
    answer = httpx.post(f"{server.url}gradio_api/{path}", json={"data": []}, headers=headers)
    assert answer.status_code == 403


@pytest.mark.parametrize("headers", [{"origin": "https://evil.example"}, {"sec-fetch-site": "cross-site"}])
@pytest.mark.parametrize("path", ["config", "gradio_api/heartbeat/x", "gradio_api/queue/data?session_hash=x"])
def test_pages_of_others_read_nothing_and_open_no_stream(server, path, headers):
    answer = httpx.get(f"{server.url}{path}", headers=headers)
    assert answer.status_code == 403


def test_pages_of_others_may_link_here(server):
    link = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
    assert get(server, **link) == 200
    assert get(server, **{**link, "sec-fetch-dest": "iframe"}) == 403


def test_a_websocket_of_another_page_is_refused(server):
    address = urlsplit(server.url)
    with socket.create_connection((address.hostname, address.port), timeout=WAIT_S) as connection:
        connection.sendall(
            f"GET /gradio_api/queue/join HTTP/1.1\r\nHost: {address.netloc}\r\nOrigin: https://evil.example\r\n"
            "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
        )
        assert connection.recv(1000).startswith(b"HTTP/1.1 403")


def test_the_page_s_own_requests_are_answered(server):
    own = {"origin": server.url.rstrip("/"), "sec-fetch-site": "same-origin"}
    for headers in (own, {"origin": own["origin"]}, {"sec-fetch-site": "same-origin", "origin": "null"}, {}):
        answer = httpx.post(f"{server.url}gradio_api/call/find", json={"data": [None, "it"]}, headers=headers)
        assert answer.status_code == 200


def test_behind_a_proxy_the_origin_is_the_proxy_s(proxied):
    post = {"json": {"data": [None, "it"]}}
    for headers in (
        {"host": "maps.example.org", "origin": "https://maps.example.org"},
        {"host": "127.0.0.1", "x-forwarded-host": "maps.example.org", "origin": "https://maps.example.org"},
        {"origin": "https://example.org"},  # a proxy that hides the host
    ):
        assert httpx.post(f"{proxied.url}gradio_api/call/find", headers=headers, **post).status_code == 200
    headers = {"host": "maps.example.org", "origin": "https://evil.example"}
    assert httpx.post(f"{proxied.url}gradio_api/call/find", headers=headers, **post).status_code == 403


@pytest.mark.parametrize(
    ("settings", "host", "allowed"),
    [
        (("0.0.0.0",), "192.168.1.7:7860", True),
        (("0.0.0.0",), socket.gethostname(), True),
        (("0.0.0.0",), "evil.example", False),
        (("::",), "[fe80::1]:7860", True),
        (("192.168.1.7",), "192.168.1.7", True),
        (("192.168.1.7",), "192.168.1.8", False),
        (("127.0.0.1", ("example.org",)), "example.org:7860", True),
        (("127.0.0.1", ("example.org:8443",)), "example.org:7860", False),
        (("127.0.0.1", (".example.org",)), "a.b.example.org", True),
        (("127.0.0.1", (".example.org",)), "badexample.org", False),
    ],
)
def test_which_names_are_allowed(settings, host, allowed):
    assert AllowedHosts(*settings).allows(host) is allowed
