"""Decoding of one answer at a time, compared with the speed at which the weights can be read.

    python eval/bench/decoding.py --shape 7b --device cuda [--quantization 4bit] [--compiled]

prints one JSON object: seconds to read a prompt with its image, tokens a second, peak memory. Each token needs all
weights of the language model and its head once, and the keys and values so far; reading them takes at least their size
over the memory's bandwidth, which is measured here by copying.
"""

import argparse
import json
import time
from collections.abc import Callable
from typing import Any

import torch
from PIL import Image
from shapes import SHAPES, random_checkpoint
from torch import Tensor, nn
from transformers import StaticCache

from geochat.checkpoints import Checkpoint
from geochat.engines import GenerationSettings, LocalEngine, Request
from geochat.prompts import Message, chat_messages


def decoding_figures(checkpoint: Checkpoint, asked: Request, *, compiled: bool) -> dict[str, float]:
    """Return seconds of the prompt, tokens/s, their share of what the bandwidth allows, and peak memory in GiB.

    Args:
        checkpoint: The model.
        asked: A greedy question.
        compiled: Whether to measure transformers' static cache and CUDA graphs too, which take a minute to compile.
    """
    model: Any = checkpoint.model
    device = model.device
    bandwidth = memory_bandwidth(device)
    if device.type == "cuda":  # the copies, and what building the model took, are not asked for
        torch.cuda.reset_peak_memory_stats(device)
    prompt, steps, rate = engine_decoding(checkpoint, asked)
    text = model.config.get_text_config()
    keys = 2 * text.num_hidden_layers * text.num_key_value_heads * text.head_dim * model.dtype.itemsize
    limit = bandwidth / (weight_bytes(model) + keys * (prompt + steps / 2))
    figures = {
        "prompt_tokens": prompt,
        "prompt_s": reading_seconds(checkpoint, asked),
        "bandwidth_gb_s": bandwidth / 1e9,
        "limit_tokens_s": limit,
        "engine_tokens_s": rate,
        "engine_share": rate / limit,
    }
    if compiled:
        static_rate = static_decoding(checkpoint, asked, steps)
        figures |= {"static_compiled_tokens_s": static_rate, "static_compiled_share": static_rate / limit}
    if device.type == "cuda":
        figures["peak_memory_gib"] = torch.cuda.max_memory_allocated(device) / 2**30
    return figures


def memory_bandwidth(device: torch.device) -> float:
    """Return bytes per second, read and written, of a large copy."""
    size = 1 << (30 if device.type == "cuda" else 26)
    source = torch.empty(size, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    return 2 * size / best_seconds(lambda: target.copy_(source), device)


def weight_bytes(model: Any) -> int:  # noqa: ANN401 - an attribute's type is kept by transformers
    """Return bytes of the weights each token needs; the embedding table is looked up, not read."""
    parts: list[nn.Module] = [model.model.language_model.layers, model.model.language_model.norm, model.lm_head]
    return sum(parameter.nbytes for part in parts for parameter in part.parameters())


def engine_decoding(checkpoint: Checkpoint, asked: Request) -> tuple[int, int, float]:
    """Return prompt tokens, tokens generated after the first, and those per second."""
    engine = LocalEngine(checkpoint)
    usage = engine.generate(asked).usage
    steps = usage.completion_tokens - 1
    stream = engine.stream(asked)
    next(stream)
    finish(checkpoint.model.device)
    start = time.perf_counter()
    for _ in stream:
        pass
    return usage.prompt_tokens, steps, steps / (time.perf_counter() - start)


@torch.inference_mode()
def reading_seconds(checkpoint: Checkpoint, asked: Request) -> float:
    """Return seconds of the forward pass of a prompt and its image, up to the first token."""
    model: Any = checkpoint.model
    inputs = model_inputs(checkpoint, asked)
    return best_seconds(lambda: model(**inputs, use_cache=True, logits_to_keep=1), model.device, runs=3)


def model_inputs(checkpoint: Checkpoint, asked: Request) -> Any:  # noqa: ANN401 - transformers' BatchFeature
    """Return the inputs of transformers' own forward, on the model's device."""
    model, processor = checkpoint.model, checkpoint.processor
    messages = chat_messages(asked.messages, with_image=True)
    prompt = processor.apply_chat_template(messages, add_generation_prompt=True)
    inputs = processor(text=prompt, images=list(asked.images), add_special_tokens=False, return_tensors="pt")
    return inputs.to(model.device, model.dtype)


@torch.inference_mode()
def static_decoding(checkpoint: Checkpoint, asked: Request, steps: int) -> float:
    """Return tokens per second with fixed-size key-value buffers and the decoding step as a CUDA graph."""
    model: Any = checkpoint.model
    inputs = model_inputs(checkpoint, asked)
    read = inputs["input_ids"].shape[1]
    cache = StaticCache(config=model.config.get_text_config(), max_cache_len=read + steps + 1)
    logits = model(**inputs, past_key_values=cache, use_cache=True, logits_to_keep=1).logits
    token = logits[:, -1].argmax(-1, keepdim=True)

    def step(token: Tensor, position: Tensor) -> Tensor:
        output = model(input_ids=token, position_ids=position, past_key_values=cache, use_cache=True)
        chosen: Tensor = output.logits[:, -1].argmax(-1, keepdim=True)
        return chosen

    compiled = torch.compile(step, mode="reduce-overhead", fullgraph=False)
    warm_up = min(8, steps // 2)
    start = 0.0
    for number in range(steps):
        if number == warm_up:
            finish(model.device)
            start = time.perf_counter()
        position = torch.full((1, 1), read + number, device=model.device)
        token = compiled(token, position).clone()  # the graph writes its output to the same place each time
    finish(model.device)
    return (steps - warm_up) / (time.perf_counter() - start)


def best_seconds(work: Callable[[], object], device: torch.device, runs: int = 10) -> float:
    """Return the shortest wall time of some work on a device."""
    times = []
    for _ in range(runs):
        finish(device)
        start = time.perf_counter()
        work()
        finish(device)
        times.append(time.perf_counter() - start)
    return min(times)


def picture() -> Image.Image:
    """Return an image of 7B's input size."""
    return Image.radial_gradient("L").resize((504, 504)).convert("RGB")


def request(image: Image.Image, question: str, tokens: int) -> Request:
    """Return a greedy question."""
    return Request((Message("user", question),), (image,), GenerationSettings(max_new_tokens=tokens))


def finish(device: torch.device) -> None:
    """Wait for the device to finish."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", choices=SHAPES, default="tiny")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--quantization", choices=("4bit", "8bit"))
    parser.add_argument("--tokens", type=int, default=129, help="length of the answer (default: %(default)s)")
    parser.add_argument("--compiled", action="store_true", help="a static cache and CUDA graphs too; takes minutes")
    args = parser.parse_args()
    checkpoint = random_checkpoint(args.shape, torch.device(args.device), torch.bfloat16, args.quantization)
    asked = request(picture(), "Is there an airplane in the image?", args.tokens)
    figures = decoding_figures(checkpoint, asked, compiled=args.compiled)
    print(json.dumps({"shape": args.shape, "quantization": args.quantization, **figures}))


if __name__ == "__main__":
    main()
