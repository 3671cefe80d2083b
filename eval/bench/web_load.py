"""Load test of `geochat serve`: answers per second, latency, errors, memory, CPU time.

    python eval/bench/web_load.py --users 20 --seconds 180 --warmup 80

Starts the server in a separate process, with the bundled model or `--model`, and sends the same requests as the page:
each user uploads an image, asks questions without a pause while the answers stream, clears the conversation, and
uploads the next image. `--finds N` searches N whole scenes at the same time through the HTTP API, each for a different
owner. `--code FOLDER` serves another version of GeoChat, for comparison.

CPU seconds are the server's own, which other programs on the machine do not change. Memory is its resident set after
the warm-up and at the end; the engine's cache of images is full after 64 of them, so the warm-up should last until then
(80 s on two cores). Fairness is Jain's index of the answers of each user.
"""

import argparse
import contextlib
import io
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.resources import files
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from PIL import Image

QUESTIONS = (
    ("", "Describe"),
    ("How many airplanes are there?", "Question"),
    ("the largest airplane", "Find"),
    ("Is there a ship?", "Question"),
    ("", "Grounded description"),
    ("Are there more buildings than ships?", "Question"),
)
CLEAR_AFTER = 2  # questions; the bundled model was not trained for long conversations


@dataclass
class User:
    """One user with one page.

    Attributes:
        url: The server.
        number: Number of the user; their images differ.
        answers: For each answer whether it is the first about an image, which is read for it, and the seconds to its
            first words and to its end, with the time it waited.
        uploads: Seconds until an uploaded image is open.
        errors: Failed events, and notifications.
    """

    url: str
    number: int
    answers: list[tuple[bool, float, float]] = field(default_factory=list)
    uploads: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def run(self, begin: float, end: float, measured_from: float) -> None:
        """Upload and ask from `begin` to `end`; actions started before `measured_from` are warm-up."""
        time.sleep(max(0.0, begin - time.monotonic()))
        try:
            with httpx.Client(base_url=self.url, timeout=300) as http:
                page = Page(http, f"user{self.number}", self.errors)
                page.call(None, "load", [""])
                for turn in count():
                    number = turn % len(QUESTIONS)
                    started = time.monotonic()
                    if started >= end:
                        return
                    if number == 0:
                        page.open(picture(self.number, turn), f"{self.number}-{turn}.png")
                        if started >= measured_from:
                            self.uploads.append(time.monotonic() - started)
                    elif number % CLEAR_AFTER == 0:
                        page.call("clear", "click")
                    started = time.monotonic()
                    question, task = QUESTIONS[number]
                    first = page.call("ask", "click", [question, task, False, ""], until='"writing')
                    if started >= measured_from:
                        self.answers.append((number == 0, first - started, time.monotonic() - started))
        except (httpx.HTTPError, ValueError, StopIteration) as error:
            self.errors.append(repr(error)[:300])


class Page:
    """A client that acts as one browser page.

    Args:
        http: A client with the browser's cookies.
        name: The page's hash.
        errors: Is added to.
    """

    def __init__(self, http: httpx.Client, name: str, errors: list[str]) -> None:
        http.get("").raise_for_status()
        config = http.get("config").raise_for_status().json()
        ids = {part["id"]: part["props"].get("elem_id") for part in config["components"]}
        self._events: dict[tuple[str | None, str], dict[str, Any]] = {}
        for event in config["dependencies"]:
            for component, trigger in event["targets"]:
                self._events.setdefault((ids.get(component), trigger), event)
        self._http, self._name, self._errors = http, name, errors

    def open(self, content: bytes, name: str) -> None:
        """Upload an image and wait until it is open."""
        sent = self._http.post("gradio_api/upload", files={"files": (name, content)}).raise_for_status()
        self.call("scene-viewer", "uploaded", event_data={"upload": sent.json()[0], "name": name})

    def call(
        self,
        element: str | None,
        trigger: str,
        data: list[Any] | None = None,
        event_data: dict[str, Any] | None = None,
        until: str = "",
    ) -> float:
        """Send an event and read its updates; returns when `until` was first read, or the end."""
        event = self._events[element, trigger]
        body = {
            "data": [None] * len(event["inputs"]) if data is None else data,
            "event_data": event_data,
            "fn_index": event["id"],
            "session_hash": self._name,
        }
        self._http.post("gradio_api/queue/join", json=body).raise_for_status()
        first = 0.0
        with self._http.stream("GET", "gradio_api/queue/data", params={"session_hash": self._name}) as stream:
            for line in stream.iter_lines():
                if until and not first and until in line:
                    first = time.monotonic()
                if '"msg":"log"' in line or '\\"failed\\"' in line or '"success":false' in line:
                    self._errors.append(f"{trigger} of {element}: {line[:300]}")
                if '"msg":"close_stream"' in line:
                    break
        return first or time.monotonic()


@dataclass
class Search:
    """One owner who searches scenes one after another, from its own address and so within its own limits."""

    url: str
    number: int
    windows: int = 0
    errors: list[str] = field(default_factory=list)

    def run(self, begin: float, end: float, measured_from: float) -> None:
        """Search from `begin` to `end`; windows computed before `measured_from` are warm-up."""
        time.sleep(max(0.0, begin - time.monotonic()))
        transport = httpx.HTTPTransport(local_address=f"127.0.0.{100 + self.number}")
        try:
            with httpx.Client(base_url=self.url, timeout=300, transport=transport) as http:
                while time.monotonic() < end:
                    fields = {"phrases": "airplanes", "window": "256"}
                    sent = http.post("api/v1/find", data=fields, files={"image": ("scene.png", scene(self.number))})
                    job = sent.raise_for_status().json()
                    while job["state"] in ("queued", "running") and time.monotonic() < end:
                        time.sleep(0.5)
                        looked = job["windows"]["done"]
                        job = http.get(f"api/v1/jobs/{job['id']}").raise_for_status().json()
                        self.windows += (job["windows"]["done"] - looked) * (time.monotonic() >= measured_from)
                    if job["state"] not in ("queued", "running", "done"):
                        self.errors.append(f"find: {job['state']}: {job['error']}")
                    http.delete(f"api/v1/jobs/{job['id']}")
        except (httpx.HTTPError, ValueError, KeyError) as error:
            self.errors.append(repr(error)[:300])


def scene(number: int) -> bytes:
    """Return a PNG of 2048 x 2048 pixels, some 100 windows."""
    with Image.open(io.BytesIO(picture(number, 0))) as image:
        return png(image.resize((2048, 2048)))


def picture(user: int, turn: int) -> bytes:
    """Return a unique PNG: a bundled scene with its own mark."""
    names = ("airport.tif", "harbour.png", "tanks.png", "tennis.png")
    folder = files("geochat") / "samples"
    with Image.open(io.BytesIO((folder / names[(user + turn) % len(names)]).read_bytes())) as image:
        marked = image.convert("RGB")
    marked.putpixel((0, 0), (user % 256, turn % 256, 7))
    return png(marked)


def png(image: Image.Image) -> bytes:
    """Encode an image as a file."""
    content = io.BytesIO()
    image.save(content, "png", compress_level=1)
    return content.getvalue()


@dataclass(frozen=True)
class Process:
    """The server's process."""

    pid: int

    @property
    def resident_mb(self) -> float:
        """Resident memory in megabytes."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text(encoding="ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20

    @property
    def cpu_s(self) -> float:
        """CPU seconds of all its threads."""
        user, system = Path(f"/proc/{self.pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def serving(args: argparse.Namespace) -> Iterator[tuple[str, Process]]:
    """Run the server in its own process."""
    command = [sys.executable, "-m", "geochat", "serve", "--port", str(args.port), *args.serve.split()]
    command += ["--model", args.model] if args.model else []
    environment = dict(os.environ)
    if args.code:
        rooms = ("", "serve", "train", "eval", "data")
        environment["PYTHONPATH"] = os.pathsep.join(str(Path(args.code, room).resolve()) for room in rooms)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment, cwd=args.code) as process:
        try:
            line = process.stdout.readline() if process.stdout else ""
            if "http" not in line:
                raise SystemExit(f"the server did not start: {line!r}")
            yield line.split()[-1], Process(process.pid)
        finally:
            process.terminate()


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Run all users against one server; returns the figures, JSON-ready: seconds, megabytes."""
    with serving(args) as (url, server):
        users = [User(url, number) for number in range(args.users)]
        searches = [Search(url, number) for number in range(args.finds)]
        idle, now = server.resident_mb, time.monotonic()
        measured_from, end = now + args.warmup, now + args.warmup + args.seconds
        threads = [
            threading.Thread(target=each.run, args=(now + number * 0.1, end, measured_from))
            for number, each in enumerate((*users, *searches))
        ]
        for thread in threads:
            thread.start()
        time.sleep(max(0.0, measured_from - time.monotonic()))
        warm, cpu = server.resident_mb, server.cpu_s
        time.sleep(max(0.0, end - time.monotonic()))
        after, cpu = server.resident_mb, server.cpu_s - cpu
        in_time = sum(len(user.answers) for user in users)
        for thread in threads:
            thread.join()
    counts = np.array([len(user.answers) for user in users])
    answers = [answer for user in users for answer in user.answers]
    return {
        "users": args.users,
        "seconds": args.seconds,
        "load_average": round(os.getloadavg()[0], 1),
        "answers": in_time,
        "answers_a_second": round(in_time / args.seconds, 3),
        "cpu_s_an_answer": round(cpu / max(1, in_time), 4),
        "cores_used": round(cpu / args.seconds, 2),
        "windows": sum(search.windows for search in searches),
        "errors": [error for each in (*users, *searches) for error in each.errors],
        "latency_s": percentiles([whole for _, _, whole in answers]),
        "latency_on_new_images_s": percentiles([whole for is_first, _, whole in answers if is_first]),
        "first_words_s": percentiles([first for _, first, _ in answers]),
        "upload_s": percentiles([value for user in users for value in user.uploads]),
        "fairness": round(float(counts.sum() ** 2 / (len(counts) * (counts**2).sum())), 4) if counts.any() else None,
        "memory_mb": {"idle": round(idle), "warm": round(warm), "after": round(after)},
        "memory_growth": round(after / warm - 1, 4),
    }


def percentiles(values: list[float]) -> dict[str, float]:
    """Return count, median, 90th and 99th percentile and maximum."""
    found = {f"p{p}": round(float(np.percentile(values, p)), 2) for p in (50, 90, 99, 100)} if values else {}
    return {"count": len(values), **found}


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=180, help="measured, after the warm-up")
    parser.add_argument("--warmup", type=float, default=30)
    parser.add_argument("--finds", type=int, default=0, help="searches of whole scenes beside the users")
    parser.add_argument("--port", type=int, default=7899)
    parser.add_argument("--model")
    parser.add_argument("--serve", default="", help="further arguments of `geochat serve`, such as '--concurrency 4'")
    parser.add_argument("--code", type=Path, help="a checkout of GeoChat to serve, in the place of the installed one")
    print(json.dumps(measure(parser.parse_args()), indent=2))


if __name__ == "__main__":
    main()
