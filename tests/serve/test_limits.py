"""No client makes the server hold much in memory, on disk or in its queue. Over real sockets."""

import asyncio
import contextlib
import time
from urllib.parse import urlsplit

import httpx
import pytest
from serve_wire import MEBI, Memory, begin_ask, connect, from_address, is_closed, log_in, send_chunks, wait_until

from geochat import GeoChat
from geochat_serve import ServeSettings, serve
from geochat_serve.bodies import BodyLimits
from geochat_serve.limits import EventLimits


@pytest.fixture(scope="module")
def guarded(engine, tmp_path_factory):
    """A server with a login."""
    users = tmp_path_factory.mktemp("auth") / "users"
    users.write_text("ada:secret\n")
    with serve(GeoChat(engine), ServeSettings(port=0, auth_file=users, max_upload_mb=512)) as running:
        yield running


POSTS = [
    "/gradio_api/queue/join",
    "/gradio_api/call/find",
    "/gradio_api/run/predict",
    "/gradio_api/cancel",
    "/gradio_api/reset",
    "/gradio_api/mcp/",
    "/login",
    "/nowhere",
    "/",
]


@pytest.mark.parametrize("path", [*POSTS, "/gradio_api/upload", "/gradio_api/component_server"])
@pytest.mark.parametrize("logged_in", [False, True])
def test_400_mb_in_chunks_do_not_reach_memory(guarded, path, logged_in):
    cookie = log_in(guarded.url)[1] if logged_in else ""
    with Memory() as memory:
        status, sent, answer = send_chunks(guarded.url, path, 400 * MEBI, cookie)
    assert status in (401, 404, 411, 413)
    assert b"connection: close" in answer.lower()
    assert memory.growth < 48 * MEBI
    print(f"{path} logged_in={logged_in}: {memory.growth / MEBI:.1f} MB of {sent / MEBI:.0f} sent")  # noqa: T201


@pytest.mark.parametrize("path", POSTS)
def test_what_says_that_it_is_large_is_refused_before_it_comes(server, path):
    with connect(server.url) as connection:
        connection.sendall(
            f"POST {path} HTTP/1.1\r\nHost: {urlsplit(server.url).netloc}\r\nContent-Length: 419430400\r\n\r\n".encode()
        )
        start, answer = time.monotonic(), b""
        while part := connection.recv(65536):
            answer += part
    assert time.monotonic() - start < 20  # closed, and not waited for
    assert answer.startswith(b"HTTP/1.1 413")


def test_before_login_nothing_is_read_but_a_short_form(guarded):
    with connect(guarded.url) as connection:
        connection.sendall(
            f"POST /gradio_api/upload HTTP/1.1\r\nHost: {urlsplit(guarded.url).netloc}\r\n"
            "Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 1000000\r\n\r\n".encode()
        )
        assert connection.recv(65536).startswith(b"HTTP/1.1 401")
    assert httpx.post(f"{guarded.url}login", data={"username": "x" * 10_000, "password": "y"}).status_code == 413
    assert guarded.workspace.size() == 0


def test_all_bodies_of_a_client_together_are_bounded():
    """Sixteen megabytes each may not be sixteen hundred of a hundred requests."""

    async def run():
        release = asyncio.Event()

        async def application(_scope, receive, _send):
            await receive()
            await release.wait()

        limits, sent = BodyLimits(application), []
        scope = {
            "type": "http",
            "method": "POST",
            "path": "/gradio_api/queue/join",
            "headers": [],
            "client": ("::1", 1),
        }

        async def post(client):
            parts = [
                {"type": "http.request", "body": bytes(4 * MEBI), "more_body": more} for more in (True, True, False)
            ]

            async def receive():
                await asyncio.sleep(0)
                return parts.pop(0) if parts else {"type": "http.disconnect"}

            async def send(message):
                sent.append(message.get("status"))

            await limits({**scope, "client": (client, 1)}, receive, send)

        tasks = [asyncio.create_task(post("10.0.0.1")) for _ in range(20)]
        await asyncio.sleep(0.3)
        held = sum(limits._held.values())
        other = asyncio.create_task(post("10.0.0.2"))
        await asyncio.sleep(0.1)
        refused = [status for status in sent if status]
        release.set()
        await asyncio.gather(*tasks, other)
        return held, refused, limits._held

    held, refused, left = asyncio.run(run())
    assert held <= 32 * MEBI
    assert set(refused) == {503}
    assert len(refused) >= 17
    assert left == {}


def test_one_client_may_have_so_many_events_under_way(engine, pictures):
    picture = (pictures / "wide.png").read_bytes()
    with (
        serve(GeoChat(engine), ServeSettings(port=0, concurrency=1, waiting=100)) as server,
        httpx.Client(base_url=f"{server.url}gradio_api/", timeout=60) as greedy,
        httpx.Client(base_url=f"{server.url}gradio_api/", transport=from_address("127.0.0.7")) as other,
    ):
        statuses = [begin_ask(greedy, picture, "slow").status_code for _ in range(70)]
        assert statuses == [200] * 64 + [429] * 6
        wait_until(lambda: engine.running == 1)
        assert begin_ask(other, picture, "short").status_code == 200
        queue = server.answerer.queue
        wait_until(lambda: "address 127.0.0.7" in [ticket.client for ticket in queue._order()])
        assert [ticket.client for ticket in queue._order()].index("address 127.0.0.7") <= 1


def test_events_come_no_faster_than_they_may(server):
    now = [0.0]

    async def application(_scope, _receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def run(limits, count):
        statuses = []

        async def send(message):
            statuses.extend([message["status"]] if "status" in message else [])

        scope = {
            "type": "http",
            "method": "POST",
            "path": "/gradio_api/run/x",
            "headers": [],
            "client": ("10.0.0.1", 1),
        }
        for _ in range(count):
            await limits(dict(scope), None, send)
        return statuses

    limits = EventLimits(application, server.page, clock=lambda: now[0])
    assert asyncio.run(run(limits, 510)) == [200] * 500 + [429] * 10
    now[0] += 1.0
    assert asyncio.run(run(limits, 60)) == [200] * 50 + [429] * 10


def test_a_page_that_reads_nothing_gets_no_more(server, pages):
    page = pages(server.url, "deaf")
    page.enter()
    statuses = [page.join("scene-viewer", "sample", {"file": "none"}).status_code for _ in range(80)]
    wait_until(lambda: not server.page._queue.event_ids_to_events)
    statuses.append(page.join("scene-viewer", "sample", {"file": "none"}).status_code)
    assert 429 in statuses
    assert statuses[0] == 200


def test_silent_connections_make_room(monkeypatch, engine):
    monkeypatch.setattr("geochat_serve.connections._PER_ADDRESS", 20)
    monkeypatch.setattr("geochat_serve.connections._SILENCE_S", 1.0)
    with serve(GeoChat(engine), ServeSettings(port=0)) as server, contextlib.ExitStack() as stack:
        silent = [stack.enter_context(connect(server.url)) for _ in range(40)]
        assert httpx.get(f"{server.url}healthz").status_code == 200
        wait_until(lambda: all(is_closed(connection) for connection in silent))
        slow = stack.enter_context(connect(server.url))
        slow.sendall(b"GET / HTTP/1.1\r\nHost: loc")
        wait_until(lambda: is_closed(slow))


def test_a_client_may_have_so_many_requests_open(server, monkeypatch):
    monkeypatch.setattr("geochat_serve.limits._REQUESTS", 5)
    with contextlib.ExitStack() as stack:
        clients = []
        for number in range(5):
            client = stack.enter_context(httpx.Client(base_url=server.url, timeout=30))
            stream = stack.enter_context(client.stream("GET", f"gradio_api/heartbeat/x{number}"))
            lines = stream.iter_lines()
            next(lines)
            clients.append((client, lines))
        assert httpx.get(server.url).status_code == 429
        other = stack.enter_context(httpx.Client(transport=httpx.HTTPTransport(local_address="127.0.0.8")))
        assert other.get(server.url).status_code == 200
    wait_until(lambda: httpx.get(server.url).status_code == 200)


def test_finished_calls_that_nobody_fetches_are_forgotten(server, monkeypatch):
    monkeypatch.setattr("geochat_serve.limits._HASHES", 10)
    for _ in range(30):
        httpx.post(f"{server.url}gradio_api/call/find", json={"data": [None, "it"]}).raise_for_status()
        wait_until(lambda: not server.page._queue.event_ids_to_events)
    assert len(server.page._queue.pending_event_ids_session) <= 12
    assert httpx.get(f"{server.url}gradio_api/call/find/{'0' * 32}").status_code == 404
