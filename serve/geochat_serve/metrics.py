"""Metrics of the server, in Prometheus' text format."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

_BUCKETS_S = (0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)


class Metrics:
    """Counters and gauges since the server started. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests: Counter[tuple[str, int]] = Counter()  # by method and status
        self._answers: Counter[tuple[str, str]] = Counter()  # by source and outcome
        self._buckets = [0] * (len(_BUCKETS_S) + 1)
        self._seconds = 0.0
        self._gauges: dict[str, tuple[str, Callable[[], float]]] = {}
        self.add_gauge("process_resident_memory_bytes", "Resident memory of the process.", resident_bytes)
        started_at = time.time()
        self.add_gauge("process_start_time_seconds", "Start of the server, in Unix time.", lambda: started_at)

    def add_gauge(self, name: str, text: str, value: Callable[[], float]) -> None:
        """Add a value that is read whenever the metrics are."""
        self._gauges[name] = (text, value)

    def count_request(self, method: str, status: int) -> None:
        """Count a request by its method and the status of its response."""
        with self._lock:
            self._requests[method if method in ("GET", "HEAD", "POST") else "other", status] += 1

    @contextmanager
    def time_answer(self, source: str) -> Iterator[Callable[[str], None]]:
        """Time an answer and count it by outcome.

        Args:
            source: "page" or "api".

        Yields:
            A function that sets the outcome: "done", "stopped" or "failed". The default is "failed".
        """
        outcome, start = "failed", time.monotonic()

        def set_outcome(value: str) -> None:
            nonlocal outcome
            outcome = value

        try:
            yield set_outcome
        finally:
            seconds = time.monotonic() - start
            with self._lock:
                self._answers[source, outcome] += 1
                self._seconds += seconds
                bucket = next((i for i, edge in enumerate(_BUCKETS_S) if seconds <= edge), len(_BUCKETS_S))
                self._buckets[bucket] += 1

    def text(self) -> str:
        """Return all metrics."""
        with self._lock:
            requests, answers = sorted(self._requests.items()), sorted(self._answers.items())
            buckets, seconds = list(self._buckets), self._seconds
        lines = list(_header("geochat_requests_total", "counter", "HTTP requests answered."))
        for (method, status), count in requests:
            lines.append(f'geochat_requests_total{{method="{method}",status="{status}"}} {count}')
        lines += _header("geochat_answers_total", "counter", "Questions answered, including failed ones.")
        for (source, outcome), count in answers:
            lines.append(f'geochat_answers_total{{source="{source}",outcome="{outcome}"}} {count}')
        failed = sum(count for (_, outcome), count in answers if outcome == "failed")
        lines += _header("geochat_errors_total", "counter", "Questions without an answer.")
        lines.append(f"geochat_errors_total {failed}")
        lines += _header("geochat_answer_seconds", "histogram", "Time from the question to the end of its answer.")
        below = 0
        for edge, count in zip((*_BUCKETS_S, "+Inf"), buckets, strict=True):
            below += count
            lines.append(f'geochat_answer_seconds_bucket{{le="{edge}"}} {below}')
        lines += [f"geochat_answer_seconds_sum {seconds:.6f}", f"geochat_answer_seconds_count {below}"]
        for name, (text, value) in self._gauges.items():
            lines += [*_header(name, "gauge", text), f"{name} {value():.15g}"]
        return "\n".join(lines) + "\n"


def resident_bytes() -> float:
    """Return the resident memory of this process, 0 if the system does not report it."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return 0.0
    import resource  # noqa: PLC0415 - exists wherever /proc does

    return float(pages * resource.getpagesize())


def _header(name: str, kind: str, text: str) -> Iterator[str]:
    yield f"# HELP {name} {text}"
    yield f"# TYPE {name} {kind}"
