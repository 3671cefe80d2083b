"""The server over the network: raw sockets, a page without a browser, and the memory of this process."""

import asyncio
import base64
import contextlib
import json
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import httpx

from geochat_serve.metrics import resident_bytes

MEBI = 2**20
WAIT_S = 300  # for what takes moments on an idle machine: a busy one is slow, not wrong
CHUNK = b"10000\r\n" + b"1" * 65536 + b"\r\n"


def run(coroutine):
    """Run a coroutine in a thread of its own: Playwright keeps an event loop running in this one."""

    async def limited():
        return await asyncio.wait_for(coroutine, WAIT_S)

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(lambda: asyncio.run(limited())).result()


def wait_until(condition):
    """Wait until a condition holds."""
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


class Memory:
    """The growth of this process while it is watched, in bytes."""

    def __enter__(self):
        self.before = self.most = resident_bytes()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def _watch(self):
        while not self._done.wait(0.01):
            self.most = max(self.most, resident_bytes())

    def __exit__(self, *_):
        self._done.set()
        self._thread.join()

    @property
    def growth(self):
        return self.most - self.before


def connect(url, source="127.0.0.1"):
    address = urlsplit(url)
    return socket.create_connection((address.hostname, address.port), timeout=WAIT_S, source_address=(source, 0))


def send_chunks(url, path, total, cookie="", kind="application/json"):
    """Post `total` bytes in chunks: the status, the bytes taken before the server closed, and the answer."""
    with connect(url) as connection:
        head = (
            f"POST {path} HTTP/1.1\r\nHost: {urlsplit(url).netloc}\r\nContent-Type: {kind}\r\n"
            f"Transfer-Encoding: chunked\r\nCookie: {cookie}\r\n\r\n"
        )
        connection.sendall(head.encode())
        sent = 0
        with contextlib.suppress(ConnectionError):
            while sent < total:
                connection.sendall(CHUNK)
                sent += len(CHUNK)
        answer = b""
        with contextlib.suppress(ConnectionError):
            while part := connection.recv(65536):
                answer += part
    return int(answer.split(b" ", 2)[1]) if answer else None, sent, answer


def is_closed(connection):
    connection.setblocking(False)
    try:
        return connection.recv(1000) == b"" or is_closed(connection)
    except BlockingIOError:
        return False
    except ConnectionError:
        return True


def from_address(address):
    """A transport of a client on another machine: on Linux all of 127.0.0.0/8 is this one."""
    return httpx.HTTPTransport(local_address=address)


def log_in(server, name="ada", password="secret"):
    """A client that is logged in."""
    client = httpx.Client(base_url=server.url, timeout=WAIT_S)
    client.post("login", data={"username": name, "password": password}).raise_for_status()
    return client


def api_client(server, **options):
    return httpx.Client(base_url=f"{server.url}gradio_api/", timeout=WAIT_S, **options)


def in_base64(content):
    return base64.b64encode(content).decode()


def problem_of(answer):
    """The problem details of an answer, which has the right form."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    values = answer.json()
    assert values["status"] == answer.status_code
    assert values["detail"]
    return values


def upload(client, content, name="a.png", path="upload"):
    """Upload a file: its public name."""
    (public_name,) = client.post(path, files={"files": (name, content)}).raise_for_status().json()
    return public_name


def file_reference(name):
    return {"path": name, "meta": {"_type": "gradio.FileData"}}


def begin_ask(client, image, question):
    """Ask about an upload and wait for nothing: the answer to the call."""
    return client.post("call/ask", json={"data": [file_reference(image), question, "auto", []]})


def call(client, name, data):
    """Call an endpoint: the status, and the stream of its events or what was said instead."""
    content = json.dumps({"data": data})  # with NaN and Infinity, as Python writes them
    started = client.post(f"call/{name}", content=content, headers={"content-type": "application/json"})
    if started.status_code != 200:
        return started.status_code, started.text
    return 200, client.get(f"call/{name}/{started.json()['event_id']}").text


class PageClient:
    """What a browser sends for a page, without a browser: its cookies, its hash, its events and their stream."""

    def __init__(self, url, session_hash="page", **options):
        self.http = httpx.Client(base_url=url, timeout=WAIT_S, **options)
        self.hash = session_hash
        self.first = self.http.get("")
        self.config = self.http.get("config").json()

    def event(self, element, name):
        """Gradio's description of an event of an element, or of the page itself."""
        ids = {part["props"].get("elem_id"): part["id"] for part in self.config["components"]}
        return next(
            dependency
            for dependency in self.config["dependencies"]
            for target in dependency["targets"]
            if target[1] == name and (element is None or target[0] == ids[element])
        )

    def join(self, element, name, event_data=None, data=None, **body):
        """Send an event; the answer to that."""
        event = self.event(element, name)
        content = {
            "data": [None] * len(event["inputs"]) if data is None else data,
            "event_data": event_data,
            "fn_index": event["id"],
            "session_hash": self.hash,
            **body,
        }
        headers = {"content-type": "application/json"}
        return self.http.post("gradio_api/queue/join", content=json.dumps(content), headers=headers)

    def messages(self):
        """The stream, until all events are done."""
        with self.http.stream("GET", "gradio_api/queue/data", params={"session_hash": self.hash}) as stream:
            for line in stream.iter_lines():
                if line.startswith("data: "):
                    yield json.loads(line.removeprefix("data: "))

    def trigger(self, element, name, event_data=None, data=None):
        """Send an event and wait: its outputs, None if it failed, and the notifications."""
        joined = self.join(element, name, event_data, data)
        assert joined.status_code == 200, joined.text
        output, notifications = None, []
        for message in self.messages():
            if message["msg"] == "log":
                notifications.append(message["log"])
            if message["msg"] == "process_completed":
                output = message["output"].get("data") if message["success"] else None
        return output, notifications

    def load(self, key=""):
        """Load the page: the key of its session, and the notifications."""
        output, notifications = self.trigger(None, "load", data=[key])
        return (output[0] if output else None), notifications
