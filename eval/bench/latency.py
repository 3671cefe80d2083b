"""Latency of answers, compared with transformers' plain `model.generate` for each question.

    python eval/bench/latency.py [--json]
    python eval/bench/latency.py --shape 7b --device cuda [--quantization 4bit]

The model has random weights (shapes.py); every question is greedy and about one image of 504 x 504 pixels, 1296 tokens.
Both sides answer the same questions in the same process, answers are checked to be equal, and times include
tokenising and preparing the image. On CUDA, decoding is measured too, against the speed at which the weights can be
read, with the engine and with transformers' static cache, which it compiles to CUDA graphs.
"""

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from decoding import decoding_figures, model_inputs, picture, request
from PIL import Image
from shapes import SHAPES, random_checkpoint

from geochat.checkpoints import Checkpoint
from geochat.engines import EngineLimits, LocalEngine, Request, complete_all
from geochat.engines.writing import Detokenizer

NOUNS = ("airplane", "ship", "harbor", "bridge", "road", "river", "forest", "stadium")
FORMS = ("Is there a {} in the image?", "How many {}s are there?", "Where is the {}?", "What lies beside the {}?")
QUESTIONS = [form.format(noun) for form in FORMS for noun in NOUNS]


class Plain:
    """One `model.generate` per question."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        tokenizer = checkpoint.processor.tokenizer
        padding = range(len(tokenizer), checkpoint.model.config.get_text_config().vocab_size)
        special = set(tokenizer.all_special_ids) - {tokenizer.eos_token_id}
        self.checkpoint = checkpoint
        self._suppressed = sorted(special | set(padding))

    def answer(self, asked: Request) -> str:
        """The whole answer."""
        processor, model = self.checkpoint.processor, self.checkpoint.model
        inputs = model_inputs(self.checkpoint, asked)
        options: dict[str, Any] = {"do_sample": False, "suppress_tokens": self._suppressed, "pad_token_id": 0}
        output = model.generate(**inputs, max_new_tokens=asked.generation.max_new_tokens, **options)
        detokenizer = Detokenizer(processor.tokenizer)
        ids = output[0, inputs["input_ids"].shape[1] :].tolist()
        return ("".join(map(detokenizer.feed, ids)) + detokenizer.close()).lstrip()


class Stopwatch:
    """Wall time, or CPU time of this process, which other programs do not affect."""

    def __init__(self, clock: str) -> None:
        self.now = {"wall": time.perf_counter, "cpu": time.process_time}[clock]

    def seconds(self, work: Callable[[], Any]) -> float:
        """Measure the seconds of some work."""
        start = self.now()
        work()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        return self.now() - start


def first_token_figures(plain: Plain, watch: Stopwatch, image: Image.Image, runs: int) -> dict[str, float]:
    """Measure seconds to the first token: `generate`, the first question about an image, and the second."""
    engine = LocalEngine(plain.checkpoint)
    engine.generate(request(image, QUESTIONS[-1], 1))
    asked = (request(image, question, 1) for question in QUESTIONS)
    times: dict[str, list[float]] = {"generate": [], "first": [], "second": []}
    for _ in range(runs):  # in turn, so that what else the machine does falls on all alike
        times["generate"].append(watch.seconds(lambda: plain.answer(next(asked))))
        times["first"].append(watch.seconds(lambda: LocalEngine(plain.checkpoint).generate(next(asked))))
        times["second"] += [watch.seconds(lambda: engine.generate(next(asked))) for _ in range(3)]
    generate, first, second = map(statistics.median, times.values())
    return {
        "generate_s": generate,
        "first_question_s": first,
        "second_question_s": second,
        "times_shorter": generate / second,
    }


def streaming_figures(checkpoint: Checkpoint, watch: Stopwatch, requests: Sequence[Request]) -> dict[str, float]:
    """Measure time outside the model's forward passes: sampling, decoding text, delivering pieces."""
    engine, model = LocalEngine(checkpoint), checkpoint.model
    engine.generate(requests[0])
    inside: list[float] = []
    hooks = [
        model.register_forward_pre_hook(lambda *_: inside.append(-watch.now())),
        model.register_forward_hook(lambda *_: inside.append(watch.now())),
    ]
    shares = []
    for asked in requests[1:]:
        inside.clear()
        start = watch.now()
        for _ in engine.stream(asked):
            pass
        shares.append((watch.now() - start) / sum(inside) - 1)
    for hook in hooks:
        hook.remove()
    return {"streaming_overhead": statistics.median(shares)}


def throughput_figures(
    plain: Plain, watch: Stopwatch, requests: Sequence[Request], sizes: Sequence[int]
) -> dict[str, Any]:
    """Measure seconds of many questions about one image: one `generate` each, sequential with reuse, and batched."""
    expected: list[str] = []
    figures: dict[str, Any] = {"generate_s": watch.seconds(lambda: expected.extend(map(plain.answer, requests)))}
    batches = {}
    for size in (1, *sizes):
        engine = LocalEngine(plain.checkpoint, EngineLimits(batch_rows=size))
        found: dict[int, Any] = {}
        batches[size] = watch.seconds(lambda: found.update(complete_all(engine.stream_batch(requests))))  # noqa: B023
        unequal = sum(found[number].text != text for number, text in enumerate(expected))
        figures["unequal_answers"] = figures.get("unequal_answers", 0) + unequal
    figures["batch_s"] = batches
    figures["times_faster"] = {size: figures["generate_s"] / wall for size, wall in batches.items()}
    return figures


def main() -> None:
    """Parse, build, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", choices=SHAPES, default="150m")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), help="default: float32 on the CPU, else bfloat16")
    parser.add_argument("--quantization", choices=("4bit", "8bit"))
    parser.add_argument("--questions", type=int, default=32, help="at most %(default)s")
    parser.add_argument("--tokens", type=int, default=32, help="length of an answer")
    parser.add_argument("--batches", type=int, nargs="+", default=[2, 4, 8, 16, 32], metavar="ROWS")
    parser.add_argument("--runs", type=int, choices=range(1, 7), default=5, help="of the first-token figures")
    parser.add_argument("--clock", choices=("wall", "cpu"), default="wall", help="cpu: where other programs run too")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    args = parser.parse_args()
    device = torch.device(args.device)
    dtype = getattr(torch, args.dtype or ("float32" if device.type == "cpu" else "bfloat16"))
    checkpoint = random_checkpoint(args.shape, device, dtype, args.quantization)
    about = setting(checkpoint, args)
    plain, watch = Plain(checkpoint), Stopwatch(args.clock)
    image = picture()
    plain.answer(request(image, QUESTIONS[0], 2))  # warm-up
    requests = [request(image, question, args.tokens) for question in QUESTIONS[: args.questions]]
    figures = {
        "setting": about,
        "first_token": first_token_figures(plain, watch, image, args.runs),
        "streaming": streaming_figures(checkpoint, watch, requests[: args.runs + 1]),
        "questions": throughput_figures(plain, watch, requests, args.batches),
    }
    if device.type == "cuda":
        figures["decoding"] = decoding_figures(checkpoint, request(image, QUESTIONS[0], 129), compiled=True)
    print(json.dumps(figures, indent=2) if args.json else table(figures))


def setting(checkpoint: Checkpoint, args: argparse.Namespace) -> dict[str, Any]:
    """Describe the machine and the model."""
    model = checkpoint.model
    return {
        "shape": args.shape,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "image_tokens": model.config.image_seq_length,
        "dtype": str(model.dtype).removeprefix("torch."),
        "quantization": args.quantization,
        "device": torch.cuda.get_device_name() if model.device.type == "cuda" else platform.processor() or "cpu",
        "clock": args.clock,
        "threads": torch.get_num_threads(),
        "load_before": round(os.getloadavg()[0], 1),
        "torch": torch.__version__,
        "questions": args.questions,
        "answer_tokens": args.tokens,
    }


def table(figures: dict[str, Any]) -> str:
    """Format the figures for people."""
    first, questions = figures["first_token"], figures["questions"]
    lines = [f"{name}: {value}" for name, value in figures["setting"].items()]
    lines += [
        "",
        f"first token, model.generate          {first['generate_s']:9.3f} s",
        f"first token, first question          {first['first_question_s']:9.3f} s",
        f"first token, second question         {first['second_question_s']:9.3f} s {first['times_shorter']:5.1f}x less",
        f"streaming, beside the forward passes {figures['streaming']['streaming_overhead']:9.2%}",
        f"all questions, model.generate each   {questions['generate_s']:9.2f} s",
    ]
    for size, wall in questions["batch_s"].items():
        name = "one by one, reusing" if size == 1 else f"{size} at a time"
        lines.append(f"all questions, {name:21} {wall:9.2f} s {questions['times_faster'][size]:6.1f}x faster")
    lines.append(f"answers that differ from generate's  {questions['unequal_answers']:9}")
    lines += [f"decoding, {name}: {value:.4g}" for name, value in figures.get("decoding", {}).items()]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
