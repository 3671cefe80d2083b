"""Cost of a served model: per request over a bare HTTP client, and vLLM against the local engine.

    python eval/bench/served.py [--requests 200] [--json]
    GEOCHAT_VLLM_PYTHON=DIR python eval/bench/served.py --vllm [--model DIR] [--runs 3] [--json]

The overhead is measured against a server in a separate process that answers immediately: the same request, an image of
512 x 512 pixels and 24 tokens with log-probabilities, alternately through `httpx.Client` with a prepared body and
through the engine. With --vllm the same model in float32 answers 32 questions about one image, and one about each of 32
images, alternately in this process and in vLLM. CPU seconds are those of the process, or of vLLM's processes, and are
more reliable than wall time if other programs run.
"""

import argparse
import json
import multiprocessing
import os
import random
import statistics
import time
from collections.abc import Callable, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import httpx
from PIL import Image
from report import machine, tell

from geochat.engines import GenerationSettings, Request, complete_all
from geochat.engines.openai import OpenAIEngine
from geochat.prompts import Message

NOUNS = ("airplane", "ship", "car", "building", "storage tank", "tennis court", "baseball diamond", "solar panel")
FORMS = ("Is there a {} in the image?", "How many {}s are there?", "[refer] Give me the location of <p> {} </p>",
         "[grounding] Describe every {}.")  # fmt: skip
QUESTIONS = [form.format(noun) for form in FORMS for noun in NOUNS]
TOKENS = 24


def picture(number: int) -> Image.Image:
    """Return an image of coloured noise on a gradient."""
    noise = Image.frombytes("RGB", (64, 64), random.Random(number).randbytes(3 * 64 * 64)).resize((512, 512))
    return Image.blend(noise, Image.radial_gradient("L").resize((512, 512)).convert("RGB"), 0.5)


def asked(question: str, image: Image.Image) -> Request:
    """Return a request of the benchmark."""
    return Request((Message("user", question),), (image,), GenerationSettings(64))


class Instant(BaseHTTPRequestHandler):
    """Answers every request immediately with the same tokens."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # as servers for models do; else 40 ms are those of TCP's delayed acknowledgement

    def do_GET(self) -> None:
        """Send the list of models."""
        self._reply(b'{"data": [{"id": "instant"}]}', "application/json")

    def do_POST(self) -> None:
        """Send an answer."""
        body = self.rfile.read(int(self.headers["content-length"]))
        if b'"stream"' not in body:
            self._reply(b'{"choices": []}', "application/json")
            return
        event = {"choices": [{"delta": {"content": " word"}, "finish_reason": None,
                              "logprobs": {"content": [{"token": " word", "logprob": -0.1}]}}]}  # fmt: skip
        last = {"choices": [{"delta": {}, "finish_reason": "stop"}], "usage": {"prompt_tokens": 9}}
        events = [*[json.dumps(event)] * TOKENS, json.dumps(last), "[DONE]"]
        self._reply("".join(f"data: {text}\n\n" for text in events).encode(), "text/event-stream")

    def _reply(self, body: bytes, kind: str) -> None:
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Log nothing."""


def _serve_instantly(port: Connection) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Instant)
    port.send(server.server_address[1])
    server.serve_forever()


def bare(client: httpx.Client, url: str, body: bytes) -> str:
    """Send one request and read it to its end, with nothing but HTTP and JSON."""
    text = []
    headers = {"content-type": "application/json"}
    with client.stream("POST", f"{url}/chat/completions", content=body, headers=headers) as response:
        for line in response.iter_lines():
            if line.startswith("data: {") and (choices := json.loads(line[6:])["choices"]):
                text.append(choices[0]["delta"].get("content", ""))
    return "".join(text)


def overhead(requests: int) -> dict[str, Any]:
    """Measure milliseconds per request, as wall time and CPU time: bare, and through the engine."""
    ours, theirs = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(target=_serve_instantly, args=(theirs,), daemon=True)
    server.start()
    url = f"http://127.0.0.1:{ours.recv()}/v1"
    engine, pictures = OpenAIEngine.connect(url, dialect="geochat"), [picture(number) for number in range(requests + 1)]
    body = json.dumps(engine.questions.body(asked(QUESTIONS[0], pictures[0]))).encode()
    with httpx.Client(trust_env=False, timeout=60) as client:
        found = _milliseconds(
            {
                "bare httpx": lambda _: bare(client, url, body),
                "engine, an image sent before": lambda _: engine.generate(asked(QUESTIONS[0], pictures[0])),
                "engine, a new image": lambda number: engine.generate(asked(QUESTIONS[0], pictures[number])),
            },
            requests,
        )
    begun = time.perf_counter()
    answers = dict(complete_all(engine.stream_batch(asked(QUESTIONS[0], pictures[0]) for _ in range(requests))))
    seconds = time.perf_counter() - begun
    engine.close()
    server.terminate()
    return {"tokens": TOKENS, "ms": found, "batched requests a second": round(len(answers) / seconds, 1)}


def _milliseconds(ways: dict[str, Callable[[int], object]], requests: int) -> dict[str, dict[str, float]]:
    """Return median wall time and mean CPU time of alternating variants; the first run is a warm-up."""
    spent: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for number in range(requests + 1):
        for name, way in ways.items():
            started = time.perf_counter(), time.process_time()
            way(number)
            spent[name].append((time.perf_counter() - started[0], time.process_time() - started[1]))
    return {
        name: {
            "wall": round(1000 * statistics.median(wall for wall, _ in each[1:]), 2),
            "cpu": round(1000 * statistics.fmean(cpu for _, cpu in each[1:]), 2),
        }
        for name, each in spent.items()
    }


def against_vllm(model: str | None, runs: int) -> dict[str, Any]:
    """Measure seconds of many questions, here and in vLLM, and count the equal answers."""
    from geochat.engines.local import LocalEngine  # noqa: PLC0415 - the overhead is measured without torch
    from geochat.engines.registry import EngineOptions, open_engine  # noqa: PLC0415
    from geochat.engines.second_look import SecondLook  # noqa: PLC0415
    from geochat.engines.vllm import sharing  # noqa: PLC0415

    options = EngineOptions(model, dtype="float32", tell=lambda text: print(text, flush=True))
    engines = {name: open_engine(name, options) for name in ("local", "vllm")}
    plain = {name: engine.engine if isinstance(engine, SecondLook) else engine for name, engine in engines.items()}
    ((_, folder),) = sharing.running()
    server = json.loads((folder / "server.json").read_text())["pid"]
    found: dict[str, Any] = {}
    for name, make in {"32 questions, one image": one_image, "32 images, one question": many_images}.items():
        seconds: dict[str, list[tuple[float, float]]] = {each: [] for each in plain}
        texts: dict[str, list[str]] = {}
        for run in range(runs + 1):  # the first warms up
            requests = make(run)
            for each, engine in plain.items():
                if isinstance(engine, LocalEngine):
                    engine.forget_prefixes()
                spent, texts[each] = _spent(lambda engine=engine: engine.stream_batch(requests), server)  # noqa: B023
                if run:
                    seconds[each].append(spent)
        same = sum(one == other for one, other in zip(texts["local"], texts["vllm"], strict=True))
        found[name] = {
            each: {"wall_s": round(statistics.median(w for w, _ in spent), 2),
                   "cpu_s": round(statistics.median(c for _, c in spent), 2)}
            for each, spent in seconds.items()
        } | {"equal answers": same}  # fmt: skip
    return found


def one_image(run: int) -> list[Request]:
    """Return 32 questions about one image, a different one in each run."""
    image = picture(1000 + run)
    return [asked(question, image) for question in QUESTIONS]


def many_images(run: int) -> list[Request]:
    """Return one question about each of 32 images."""
    return [asked(QUESTIONS[0], picture(2000 + 32 * run + number)) for number in range(32)]


def _spent(answer: Callable[[], Any], server: int) -> tuple[tuple[float, float], list[str]]:
    """Measure wall and CPU seconds of this process and the server's; returns them with the answers."""
    started = time.perf_counter(), _cpu(server)
    results = dict(complete_all(answer()))
    spent = time.perf_counter() - started[0], _cpu(server) - started[1]
    return spent, [results[number].text for number in range(len(results))]


def _cpu(server: int) -> float:
    """Return CPU seconds so far of this process, and of the server's session, whose id is that of its leader."""
    ticks = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(fields[3]) == server:
            ticks += int(fields[11]) + int(fields[12])
    return time.process_time() + ticks / os.sysconf("SC_CLK_TCK")


def main(argv: Sequence[str] | None = None) -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=200, help="of each kind (default: 200)")
    parser.add_argument("--vllm", action="store_true", help="compare vLLM with the local engine")
    parser.add_argument("--model", metavar="DIR", help="checkpoint in the native layout (default: the bundled model)")
    parser.add_argument("--runs", type=int, default=3, help="after one that warms up (default: 3)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    args = parser.parse_args(argv)
    about = {"date": time.strftime("%Y-%m-%d"), **machine()}
    found = against_vllm(args.model, args.runs) if args.vllm else overhead(args.requests)
    tell(about | found, as_json=args.json)


if __name__ == "__main__":
    main()
