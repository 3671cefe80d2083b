"""No client takes much of the server's memory, disk, queue or connections. Over real sockets."""

import asyncio
import contextlib
import threading
from urllib.parse import urlsplit

import httpx
import pytest
import uvicorn
from serve_wire import (
    MEBI,
    WAIT_S,
    Memory,
    api_client,
    begin_ask,
    connect,
    from_address,
    is_closed,
    log_in,
    run,
    send_chunks,
    upload,
    wait_until,
)
from starlette.responses import PlainTextResponse

from geochat import GeoChat
from geochat_serve import ServeSettings, serve
from geochat_serve.middleware import limits
from geochat_serve.middleware.bodies import BodyLimits

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
    cookie = "; ".join(map("=".join, log_in(guarded).cookies.items())) if logged_in else ""
    with Memory() as memory:
        status, _, answer = send_chunks(guarded.url, path, 400 * MEBI, cookie)
    assert status in (401, 404, 411, 413)
    assert b"connection: close" in answer.lower()
    assert memory.growth < 48 * MEBI


@pytest.mark.parametrize("path", POSTS)
def test_a_body_that_is_stated_to_be_large_is_refused_before_it_comes(server, path):
    with connect(server.url) as connection:
        connection.sendall(
            f"POST {path} HTTP/1.1\r\nHost: {urlsplit(server.url).netloc}\r\nContent-Length: 419430400\r\n\r\n".encode()
        )
        answer = connection.recv(65536)
    assert answer.startswith(b"HTTP/1.1 413")
    assert b"connection: close" in answer.lower()


def test_before_login_nothing_is_read_but_a_short_form(guarded):
    guarded.storage.remove_expired(0, -1)
    with connect(guarded.url) as connection:
        connection.sendall(
            f"POST /gradio_api/upload HTTP/1.1\r\nHost: {urlsplit(guarded.url).netloc}\r\n"
            "Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 1000000\r\n\r\n".encode()
        )
        assert connection.recv(65536).startswith(b"HTTP/1.1 401")
    assert httpx.post(f"{guarded.url}login", data={"username": "x" * 10_000, "password": "y"}).status_code == 413
    assert guarded.storage.size() == 0


def scope(path, client="10.0.0.1"):
    return {"type": "http", "method": "POST", "path": path, "headers": [], "client": (client, 1)}


async def post(app, path, parts=(b"",), client="10.0.0.1"):
    """Send a request to a middleware: the status, None if it was passed on to an application that answers nothing."""
    messages = [
        {"type": "http.request", "body": part, "more_body": number + 1 < len(parts)}
        for number, part in enumerate(parts)
    ]
    statuses = []

    async def receive():
        await asyncio.sleep(0)
        return messages.pop(0) if messages else {"type": "http.disconnect"}

    async def send(message):
        statuses.extend([message["status"]] if "status" in message else [])

    await app(scope(path, client), receive, send)
    return statuses[0] if statuses else None


def test_all_bodies_of_a_client_together_are_limited():
    """Sixteen megabytes each may not become sixteen hundred in a hundred requests."""

    async def scenario():
        release = asyncio.Event()

        async def application(_scope, receive, _send):
            await receive()
            await release.wait()

        app, parts = BodyLimits(application), [bytes(4 * MEBI)] * 3
        tasks = [asyncio.create_task(post(app, "/gradio_api/queue/join", parts)) for _ in range(20)]
        while sum(task.done() for task in tasks) < 18:  # refused
            await asyncio.sleep(0)
        held = app.held_bytes
        other = asyncio.create_task(post(app, "/gradio_api/queue/join", parts, "10.0.0.2"))
        while app.held_bytes == held or app.held_bytes % (12 * MEBI):
            await asyncio.sleep(0)
        release.set()
        return held, await asyncio.gather(*tasks), await other, app.held_bytes

    held, statuses, other, left = run(scenario())
    assert held <= 32 * MEBI
    assert sorted(map(str, statuses)) == ["503"] * 18 + ["None"] * 2
    assert other is None
    assert left == 0


def test_one_client_may_have_so_many_unfinished_events(engine, pictures):
    with (
        serve(GeoChat(engine), ServeSettings(port=0, concurrency=1, max_queued=100)) as single,
        api_client(single) as greedy,
        api_client(single, transport=from_address("127.0.0.7")) as other,
    ):
        image = upload(greedy, (pictures / "wide.png").read_bytes())
        statuses = [begin_ask(greedy, image, "slow").status_code for _ in range(70)]
        assert statuses == [200] * 64 + [429] * 6
        wait_until(lambda: engine.running == 1)
        assert begin_ask(other, image, "short").status_code == 200
        wait_until(lambda: "address 127.0.0.7" in single.answers.queue.clients)


def test_events_come_no_faster_than_they_may(server):
    now = [0.0]
    app = limits.EventLimits(PlainTextResponse("ok"), server.page, clock=lambda: now[0])

    async def send(count):
        return [await post(app, "/gradio_api/run/x") for _ in range(count)]

    assert run(send(510)) == [200] * 500 + [429] * 10
    now[0] += 1.0
    assert run(send(60)) == [200] * 50 + [429] * 10


def test_a_page_that_reads_nothing_gets_no_more(server, pages):
    page = pages(server, "deaf")
    page.load()
    statuses = [page.join("scene-viewer", "sample", {"file": "none"}).status_code]
    while statuses[-1] == 200:
        statuses.append(page.join("scene-viewer", "sample", {"file": "none"}).status_code)
        assert len(statuses) < 1000
    assert statuses[-1] == 429


@pytest.fixture
def plain_server():
    """`plain_server(...)` is the URL of an application whose connections are limited so."""
    with contextlib.ExitStack() as stack:

        def start(**options):
            server = uvicorn.Server(uvicorn.Config(PlainTextResponse("ok"), port=0, ws="none", log_level="critical"))
            server.config.load()
            limits.limit_connections(server.config, **options)
            thread = threading.Thread(target=server.run, daemon=True)
            thread.start()

            def end():
                server.should_exit = server.force_exit = True
                thread.join(WAIT_S)

            stack.callback(end)
            wait_until(lambda: server.started)
            return f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/"

        yield start


def test_silent_connections_make_room(plain_server):
    url = plain_server(max_per_address=20)
    with contextlib.ExitStack() as stack:
        silent = [stack.enter_context(connect(url)) for _ in range(40)]
        assert httpx.get(url).status_code == 200
        wait_until(lambda: all(is_closed(connection) for connection in silent[:20]))


def test_a_connection_has_to_send_a_request(plain_server):
    url = plain_server(first_request_s=0.5)
    with connect(url) as silent, connect(url) as slow:
        with contextlib.suppress(ConnectionError):  # closed already
            slow.sendall(b"GET / HTTP/1.1\r\nHost: loc")
        wait_until(lambda: is_closed(silent) and is_closed(slow))


def test_a_client_may_have_so_many_requests_open(server, monkeypatch):
    monkeypatch.setattr(limits, "MAX_REQUESTS", 5)
    with contextlib.ExitStack() as stack:
        opened = []
        for number in range(5):
            client = stack.enter_context(httpx.Client(base_url=server.url, transport=from_address("127.0.0.8")))
            stream = stack.enter_context(client.stream("GET", f"gradio_api/heartbeat/x{number}"))
            lines = stream.iter_lines()
            next(lines)
            opened.append(lines)
        same = stack.enter_context(httpx.Client(transport=from_address("127.0.0.8"), timeout=WAIT_S))
        assert same.get(server.url).status_code == 429
        assert httpx.get(server.url).status_code == 200
    with httpx.Client(transport=from_address("127.0.0.8"), timeout=WAIT_S) as same:
        wait_until(lambda: same.get(server.url).status_code == 200)


def test_finished_calls_that_nobody_fetches_are_forgotten(server, monkeypatch):
    monkeypatch.setattr(limits, "MAX_FINISHED_EVENTS", 10)
    with api_client(server) as client:

        def is_forgotten(event):
            client.post("call/find", json={"data": [None, "it"]}).raise_for_status()
            return client.get(f"call/find/{event}").status_code == 404

        events = [client.post("call/find", json={"data": [None, "it"]}).json()["event_id"] for _ in range(15)]
        wait_until(lambda: is_forgotten(events[0]))
        assert client.get(f"call/find/{'0' * 32}").status_code == 404
