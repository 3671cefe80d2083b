"""Throughput of a benchmark with many questions per image, compared with the original's evaluation; and its memory.

    python eval/bench/throughput.py speed [--clock cpu] [--json]
    python eval/bench/throughput.py memory [--json]

Speed: a model of random weights (shapes.py) answers 100 questions about each image of 504 x 504 pixels, 1296 tokens, in
8 tokens each; both sides greedily, with the same weights, in one process. One side is the whole loop of `geochat eval
run`, from the file of questions to the merged answers. The other is the original's: batches of 8, padded on the left,
the image encoded anew for every question. The original passes no attention mask, which changes answers; here it gets
one, so that answers can be compared, and they must be equal. It spends the same on every batch, so that `--original`
gives its rate on the first questions alone.

Memory: the loop with an engine that answers at once, in a process of its own for each number of questions.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from geochat.engines import BatchEvent, Chunk, Completion, Request, Usage, complete, one_by_one
from geochat.models import ModelInfo, Settings
from geochat_eval.benchmarks import Sources
from geochat_eval.runs import ChatPredictor, Run, RunSettings

NOUNS = ("airplane", "ship", "harbor", "bridge", "road", "river", "forest", "stadium", "tank", "field")
FORMS = (
    "Is there a {} in the image?", "How many {}s are there?", "Where is the {}?", "What lies beside the {}?",
    "Is the {} large?", "What color is the {}?", "Are there more {}s than cars?", "Is a {} at the left?",
    "Describe the {}.", "Is the {} near the water?",
)  # fmt: skip
QUESTIONS = [form.format(noun) for form in FORMS for noun in NOUNS]
_BATCH = 8  # the original's


def write_questions(folder: Path, images: int, each: int) -> Path:
    """Write a file of questions in the order of a benchmark that cycles through its images, and the images."""
    for number in range(images):
        pixels = np.random.default_rng(number).integers(0, 255, (504, 504, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    path = folder / "questions.jsonl"
    with path.open("w", encoding="utf-8") as file:
        for place in range(each):
            for image in range(images):
                words = QUESTIONS[place % len(QUESTIONS)]
                row = {"question_id": f"{image}-{place}", "image": f"{image}.png", "text": words, "category": "comp"}
                file.write(json.dumps(row) + "\n")
    return path


def run_loop(folder: Path, questions: Path, predictor: ChatPredictor, tokens: int = 8) -> Run:
    """Run `geochat eval run` without its command line."""
    sources = Sources(folder, questions, dialect=predictor.dialect)
    run = Run(folder / "run", RunSettings("rsvqa-lr", sources, max_new_tokens=tokens))
    for _ in run.answer(predictor):
        pass
    return run


def speed(args: argparse.Namespace) -> dict[str, Any]:
    """Measure questions per second of both sides, and count the answers that differ."""
    import torch  # noqa: PLC0415 - the memory of the other part is to be the loop's
    from original import answer_batch  # noqa: PLC0415
    from shapes import random_checkpoint  # noqa: PLC0415

    from geochat.engines import LocalEngine  # noqa: PLC0415

    device = torch.device(args.device)
    checkpoint = random_checkpoint(args.shape, device, getattr(torch, args.dtype), None)
    clock = {"wall": time.perf_counter, "cpu": time.process_time}[args.clock]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = write_questions(folder, args.images, args.questions)
        start = clock()
        run = run_loop(folder, path, ChatPredictor(LocalEngine(checkpoint)), args.tokens)
        loop = clock() - start
        rows = [json.loads(line) for line in run.folder.answers.read_text(encoding="utf-8").splitlines()]
        start, answers = clock(), []
        timed = rows[: args.original]
        for first in range(0, len(timed), _BATCH):
            some = timed[first : first + _BATCH]
            pictures = [Image.open(folder / row["image"]).convert("RGB") for row in some]
            answers += answer_batch(checkpoint, [row["prompt"] for row in some], pictures, args.tokens)
        original = clock() - start
    count = len(rows)
    return {
        "shape": args.shape,
        "parameters": sum(p.numel() for p in checkpoint.model.parameters()),
        "questions": count,
        "questions_of_original": len(timed),
        "loop_s": loop,
        "original_s": original,
        "loop_questions_per_s": count / loop,
        "original_questions_per_s": len(timed) / original,
        "times_faster": count / loop * original / len(timed),
        "unequal_answers": sum(row["answer"] != answer for row, answer in zip(timed, answers, strict=True)),
    }


class Stub:
    """An engine that answers immediately."""

    info = ModelInfo(Settings(name="stub"), image_size=504, stated_sha256="0" * 64)

    def stream(self, request: Request) -> Iterator[Chunk]:
        """Yield eight words."""
        del request
        yield Chunk("yes " * 8, "stop", Usage(1, 8))

    def generate(self, request: Request) -> Completion:
        """Return eight words."""
        return complete(self.stream(request))

    def stream_batch(self, requests: Iterable[Request]) -> Iterator[BatchEvent]:
        """Answer one by one."""
        return one_by_one(self, requests)

    def cancel(self, request_id: str) -> None:
        """Do nothing."""


def peak(questions: int) -> int:
    """Return peak resident memory of this process in KiB after a number of questions, a hundred per image."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = write_questions(folder, questions // 100, 100)
        run_loop(folder, path, ChatPredictor(Stub()))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def memory(args: argparse.Namespace) -> dict[str, Any]:
    """Measure peak memory for both numbers of questions, each in its own process."""
    peaks = {}
    for count in args.counts:
        command = [sys.executable, __file__, "peak", str(count)]
        peaks[count] = int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    few, many = peaks[min(peaks)], peaks[max(peaks)]
    bytes_each = 1024 * (many - few) / (max(peaks) - min(peaks))
    return {"peak_kib": peaks, "growth_percent": 100 * (many / few - 1), "bytes_a_question": bytes_each}


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = parser.add_subparsers(required=True)
    part = parts.add_parser("speed")
    part.add_argument("--shape", default="150m")
    part.add_argument("--images", type=int, default=1)
    part.add_argument("--questions", type=int, default=100, help="on each image")
    part.add_argument("--original", type=int, metavar="N", help="time the original's way on the first N (default: all)")
    part.add_argument("--tokens", type=int, default=8)
    part.add_argument("--device", default="cpu")
    part.add_argument("--dtype", default="float32")
    part.add_argument("--clock", choices=("wall", "cpu"), default="wall")
    part.add_argument("--json", action="store_true")
    part.set_defaults(measure=speed)
    part = parts.add_parser("memory")
    part.add_argument("--counts", type=int, nargs=2, default=(10_000, 100_000))
    part.add_argument("--json", action="store_true")
    part.set_defaults(measure=memory)
    part = parts.add_parser("peak")
    part.add_argument("count", type=int)
    part.set_defaults(measure=None)
    args = parser.parse_args()
    if args.measure is None:
        print(peak(args.count))
        return
    figures = args.measure(args)
    if args.json:
        print(json.dumps(figures))
    else:
        print("\n".join(f"{name:<26} {_written(value)}" for name, value in figures.items()))


def _written(value: object) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    main()
