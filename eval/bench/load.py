"""Many users at once at `geochat serve`: errors, latency, fairness and memory.

    python eval/bench/load.py --users 20 --seconds 180

Starts the server in a process of its own, with the bundled model or `--model`, and speaks to it as the page does: each
user opens the bundled scene and asks one question after another, the answers streaming. Memory is the server's resident
set, read after the warm-up and after the end. Fairness is Jain's index of the answers each user got: 1 when all got as
many, 1/n when one got all.
"""

import argparse
import contextlib
import json
import os
import secrets
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np

QUESTIONS = (
    ("", "Describe"),
    ("How many airplanes are there?", "Question"),
    ("the largest airplane", "Find"),
    ("", "Classify"),
    ("Is there a ship?", "Question"),
    ("", "Grounded description"),
)


@dataclass
class User:
    """One user at one page.

    Attributes:
        url: The server.
        calls: Gradio's number of each event of the page.
        latencies: Seconds of each question, with the time it waited; first words apart.
        errors: What went wrong.
    """

    url: str
    calls: dict[str, int]
    latencies: list[float] = field(default_factory=list)
    first_words: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    session: str = field(default_factory=lambda: secrets.token_hex(8))

    def run(self, begin: float, end: float, measured_from: float) -> None:
        """Ask until `end`; what is asked before `measured_from` is warm-up."""
        with httpx.Client(base_url=f"{self.url}gradio_api", timeout=120) as client:
            time.sleep(max(0.0, begin - time.monotonic()))
            try:
                list(self._call(client, "sample", [], {"file": "airport.tif"}))
                number = 0
                while time.monotonic() < end:
                    started = time.monotonic()
                    first, last = self._ask(client, *QUESTIONS[number % len(QUESTIONS)])
                    if started >= measured_from:
                        self.first_words.append(first - started)
                        self.latencies.append(last - started)
                    number += 1
                    if number % 2 == 0:  # as long a conversation as the small model's context holds
                        list(self._call(client, "clear", [], None))
            except (httpx.HTTPError, ValueError, KeyError) as error:
                self.errors.append(repr(error)[:300])

    def _ask(self, client: httpx.Client, question: str, task: str) -> tuple[float, float]:
        first = 0.0
        for message in self._call(client, "asked", [question, task, False, ""], None):
            first = first or (time.monotonic() if "writing" in json.dumps(message) else 0.0)
        last = time.monotonic()
        return first or last, last

    def _call(self, client: httpx.Client, name: str, data: list[Any], event: Any) -> Iterator[Any]:  # noqa: ANN401
        """Join the queue as the page does, and read what comes of it."""
        body = {"data": data, "fn_index": self.calls[name], "session_hash": self.session, "event_data": event}
        joined = client.post("/queue/join", json=body).raise_for_status().json()["event_id"]
        with client.stream("GET", "/queue/data", params={"session_hash": self.session}) as stream:
            for line in stream.iter_lines():
                if not line.startswith("data: "):
                    continue
                message = json.loads(line.removeprefix("data: "))
                if message.get("event_id") not in (joined, None):
                    continue
                if message["msg"] == "log":
                    self.errors.append(f"{name}: {message.get('log')}")
                if message["msg"] == "process_completed":
                    if not message["success"]:
                        self.errors.append(f"{name}: {message.get('output')}")
                    if '\\"failed\\"' in line:
                        self.errors.append(f"{name}: an answer failed")
                    yield message.get("output")
                    return
                if message["msg"] == "close_stream":
                    return
                yield message.get("output")
        raise ValueError(f"the stream of {name} ended early")


@contextlib.contextmanager
def serving(args: argparse.Namespace) -> Iterator[tuple[str, int]]:
    """The server in a process of its own: its address and process id."""
    command = [sys.executable, "-m", "geochat", "serve", "--port", str(args.port)]
    command += ["--concurrency", str(args.concurrency), *(["--model", args.model] if args.model else [])]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            line = process.stdout.readline() if process.stdout else ""
            if "http" not in line:
                raise SystemExit(f"the server did not start: {line!r}")
            yield line.split()[-1], process.pid
        finally:
            process.terminate()


def resident_mb(process: int) -> float:
    """Megabytes of a process's memory that are resident."""
    pages = int(Path(f"/proc/{process}/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def calls_of(url: str) -> dict[str, int]:
    """Gradio's number of each event of the page."""
    config = httpx.get(f"{url}config", timeout=60).raise_for_status().json()
    return {call["api_name"]: call["id"] for call in config["dependencies"] if call["api_name"]}


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Run all users against one server."""
    with serving(args) as (url, process):
        calls = calls_of(url)
        idle = resident_mb(process)
        users = [User(url, calls) for _ in range(args.users)]
        now = time.monotonic()
        measured_from, end = now + args.warmup, now + args.warmup + args.seconds
        threads = [
            threading.Thread(target=user.run, args=(now + number * 0.1, end, measured_from))
            for number, user in enumerate(users)
        ]
        for thread in threads:
            thread.start()
        time.sleep(max(0.0, measured_from - time.monotonic()))
        warm = resident_mb(process)
        for thread in threads:
            thread.join()
        after = resident_mb(process)
    return figures(args, users, (idle, warm, after))


def figures(args: argparse.Namespace, users: list[User], memory: tuple[float, float, float]) -> dict[str, Any]:
    """The figures, JSON-ready; times in seconds, memory in MB."""
    counts = np.array([len(user.latencies) for user in users])
    latencies = np.concatenate([user.latencies for user in users])
    first = np.concatenate([user.first_words for user in users])
    percentiles = (50, 90, 99, 100)

    def spread(values: Any) -> dict[str, float]:  # noqa: ANN401 - an array
        return {f"p{p}": round(float(np.percentile(values, p)), 2) for p in percentiles} if len(values) else {}

    return {
        "users": args.users,
        "seconds": args.seconds,
        "concurrency": args.concurrency,
        "load_average": round(os.getloadavg()[0], 1),
        "answers": int(counts.sum()),
        "errors": [error for user in users for error in user.errors],
        "latency_s": spread(latencies),
        "first_words_s": spread(first),
        "answers_a_user": [int(counts.min()), int(counts.max())],
        "fairness": round(float(counts.sum() ** 2 / (len(counts) * (counts**2).sum())), 4) if counts.any() else None,
        "memory_idle_mb": round(memory[0], 1),
        "memory_warm_mb": round(memory[1], 1),
        "memory_after_mb": round(memory[2], 1),
        "memory_growth": round(memory[2] / memory[1] - 1, 4),
    }


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=180, help="measured, after the warm-up")
    parser.add_argument("--warmup", type=float, default=60)
    parser.add_argument("--concurrency", type=int, default=2)
    parser.add_argument("--port", type=int, default=7899)
    parser.add_argument("--model")
    print(json.dumps(measure(parser.parse_args()), indent=2))


if __name__ == "__main__":
    main()
