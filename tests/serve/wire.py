"""The server over the wire: raw sockets, a page without a browser, and this process's memory."""

import contextlib
import json
import socket
import threading
import time
from urllib.parse import urlsplit

import httpx

from geochat_serve.metrics import resident_bytes

MEBI = 2**20
CHUNK = b"10000\r\n" + b"1" * 65536 + b"\r\n"


class Memory:
    """The most this process grows while it is watched, in bytes."""

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
    return socket.create_connection((address.hostname, address.port), timeout=60, source_address=(source, 0))


def send_chunks(url, path, total, cookie="", kind="application/json"):
    """Post so many bytes in chunks: the status, and how many bytes were taken before the server closed."""
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


def log_in(url, name="ada", password="secret"):
    client = httpx.Client(base_url=url, timeout=60)
    client.post("login", data={"username": name, "password": password}).raise_for_status()
    return client, "; ".join(f"{key}={value}" for key, value in client.cookies.items())


def from_address(address):
    """A client on another machine: Linux has all of 127.0.0.0/8 for this one."""
    return httpx.HTTPTransport(local_address=address)


def begin_ask(client, picture, question):
    """Upload and ask, and wait for nothing: the answer to the call."""
    (name,) = client.post("upload", files={"files": ("a.png", picture)}).json()
    image = {"path": name, "meta": {"_type": "gradio.FileData"}}
    return client.post("call/ask", json={"data": [image, question, "auto", []]})


def wait_until(happened):
    deadline = time.monotonic() + 60
    while not happened():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


def is_closed(connection):
    connection.setblocking(False)
    try:
        return connection.recv(1000) == b"" or is_closed(connection)
    except BlockingIOError:
        return False
    except ConnectionError:
        return True


class PageClient:
    """What a browser sends for a page, without a browser: its cookies, its hash, its events and their stream."""

    def __init__(self, url, session_hash="page", **options):
        self.http = httpx.Client(base_url=url, timeout=30, **options)
        self.hash = session_hash
        self.first = self.http.get("")
        self.config = self.http.get("config").json()

    def _dependency(self, element, event):
        ids = {part["props"].get("elem_id"): part["id"] for part in self.config["components"]}
        return next(
            dependency
            for dependency in self.config["dependencies"]
            for target in dependency["targets"]
            if target[1] == event and (element is None or target[0] == ids[element])
        )

    def join(self, element, event, event_data=None, data=None, **body):
        """Send an event; the answer to that."""
        dependency = self._dependency(element, event)
        content = {
            "data": [None] * len(dependency["inputs"]) if data is None else data,
            "event_data": event_data,
            "fn_index": dependency["id"],
            "session_hash": self.hash,
            **body,
        }
        headers = {"content-type": "application/json"}
        return self.http.post("gradio_api/queue/join", content=json.dumps(content), headers=headers)

    def messages(self):
        """What the stream has until all events are done."""
        with self.http.stream("GET", "gradio_api/queue/data", params={"session_hash": self.hash}) as stream:
            for line in stream.iter_lines():
                if line.startswith("data: "):
                    yield json.loads(line.removeprefix("data: "))

    def trigger(self, element, event, event_data=None, data=None):
        """Send an event and wait: its outputs, None where it failed, and the warnings told."""
        joined = self.join(element, event, event_data, data)
        assert joined.status_code == 200, joined.text
        output, warnings = None, []
        for message in self.messages():
            if message["msg"] == "log":
                warnings.append(message["log"])
            if message["msg"] == "process_completed":
                output = message["output"].get("data") if message["success"] else None
        return output, warnings

    def enter(self, key=""):
        """Load the page: its key, and the warnings told."""
        output, warnings = self.trigger(None, "load", data=[key])
        return (output[0] if output else None), warnings
