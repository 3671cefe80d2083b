"""Counts of what the server did, in Prometheus' text format."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from geochat_serve.paths import route

_SECONDS = (0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)
_CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """What happened since the server started. May be used from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests: Counter[tuple[str, int]] = Counter()
        self._answers: Counter[tuple[str, str]] = Counter()
        self._buckets = [0] * (len(_SECONDS) + 1)
        self._seconds = 0.0
        self._gauges: dict[str, tuple[str, Callable[[], float]]] = {}
        self.gauge("process_resident_memory_bytes", "Resident memory of the process.", resident_bytes)
        started_at = time.time()
        self.gauge("process_start_time_seconds", "Start of the server, in Unix time.", lambda: started_at)

    def gauge(self, name: str, text: str, value: Callable[[], float]) -> None:
        """Add a value that is read when asked for."""
        self._gauges[name] = (text, value)

    def count_request(self, method: str, status: int) -> None:
        """Count a request by its method and the status it was answered with."""
        with self._lock:
            self._requests[method if method in ("GET", "HEAD", "POST") else "other", status] += 1

    @contextmanager
    def answer(self, source: str) -> Iterator[Callable[[str], None]]:
        """Time an answer.

        Args:
            source: Who asked: "page" or "api".

        Yields:
            A function that says how it ended: "done", "stopped" or "failed"; unless told, and where an exception
            ends it, "failed".
        """
        outcome, start = "failed", time.monotonic()

        def end(how: str) -> None:
            nonlocal outcome
            outcome = how

        try:
            yield end
        finally:
            seconds = time.monotonic() - start
            with self._lock:
                self._answers[source, outcome] += 1
                self._seconds += seconds
                self._buckets[next((i for i, edge in enumerate(_SECONDS) if seconds <= edge), len(_SECONDS))] += 1

    def text(self) -> str:
        """All of it, for Prometheus to read."""
        with self._lock:
            requests, answers = sorted(self._requests.items()), sorted(self._answers.items())
            buckets, seconds = list(self._buckets), self._seconds
        lines = list(_head("geochat_requests_total", "counter", "HTTP requests answered."))
        for (method, status), count in requests:
            lines.append(f'geochat_requests_total{{method="{method}",status="{status}"}} {count}')
        lines += _head("geochat_answers_total", "counter", "Questions answered, failed ones included.")
        for (source, outcome), count in answers:
            lines.append(f'geochat_answers_total{{source="{source}",outcome="{outcome}"}} {count}')
        failed = sum(count for (_, outcome), count in answers if outcome == "failed")
        lines += _head("geochat_errors_total", "counter", "Questions that got no answer.")
        lines.append(f"geochat_errors_total {failed}")
        lines += _head("geochat_answer_seconds", "histogram", "From the question to the end of its answer.")
        below = 0
        for edge, count in zip((*_SECONDS, "+Inf"), buckets, strict=True):
            below += count
            lines.append(f'geochat_answer_seconds_bucket{{le="{edge}"}} {below}')
        lines += [f"geochat_answer_seconds_sum {seconds:.6f}", f"geochat_answer_seconds_count {below}"]
        for name, (text, value) in self._gauges.items():
            lines += [*_head(name, "gauge", text), f"{name} {value():.15g}"]
        return "\n".join(lines) + "\n"


class CountRequests:
    """Middleware that counts every request, refused ones too."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, and count."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_and_count(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._metrics.count_request(scope["method"], message["status"])
            await send(message)

        await self._app(scope, receive, send_and_count)


class HealthRoute:
    """Middleware that answers `/healthz`: to everybody, under any name, and with one word."""

    def __init__(self, app: ASGIApp, root_path: str | None = None) -> None:
        self._app = app
        self._root = root_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer or pass on."""
        if _asks_for(scope, "/healthz", self._root):
            await PlainTextResponse("ok\n")(scope, receive, send)
        else:
            await self._app(scope, receive, send)


class MetricsRoute:
    """Middleware that answers `/metrics`."""

    def __init__(self, app: ASGIApp, metrics: Metrics, root_path: str | None = None) -> None:
        self._app = app
        self._metrics = metrics
        self._root = root_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer or pass on."""
        if _asks_for(scope, "/metrics", self._root):
            await PlainTextResponse(self._metrics.text(), media_type=_CONTENT_TYPE)(scope, receive, send)
        else:
            await self._app(scope, receive, send)


def resident_bytes() -> float:
    """Resident memory of this process; 0 where the system does not say."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return 0.0
    import resource  # noqa: PLC0415 - only where there is a /proc

    return float(pages * resource.getpagesize())


def _asks_for(scope: Scope, path: str, root_path: str | None) -> bool:
    return scope["type"] == "http" and scope["method"] in ("GET", "HEAD") and route(scope, root_path) == path


def _head(name: str, kind: str, text: str) -> Iterator[str]:
    yield f"# HELP {name} {text}"
    yield f"# TYPE {name} {kind}"
