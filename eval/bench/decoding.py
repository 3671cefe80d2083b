"""Decoding on a GPU: one answer at a time, against the speed at which the weights can be read.

Each token needs all weights of the language model and its head once, and the keys and values so far; reading them takes
at least their size over the memory's bandwidth, which is measured here by copying.
"""

import time
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from transformers import StaticCache

from geochat.checkpoints import Checkpoint
from geochat.engines import LocalEngine, Request
from geochat.prompts import chat_messages

_COPIED = 1 << 30


def decoding_figures(checkpoint: Checkpoint, asked: Request) -> dict[str, float]:
    """Tokens a second, as a share of what the bandwidth allows, and peak memory in GiB."""
    model: Any = checkpoint.model
    bandwidth = memory_bandwidth(model.device)
    steps = asked.generation.max_new_tokens - 1
    prompt, engine_rate = engine_decoding(checkpoint, asked, steps)
    text = model.config.get_text_config()
    keys = 2 * text.num_hidden_layers * text.num_key_value_heads * text.head_dim * model.dtype.itemsize
    limit = bandwidth / (weight_bytes(model) + keys * (prompt + steps / 2))
    static_rate = static_decoding(checkpoint, asked, steps)
    return {
        "bandwidth_gb_s": bandwidth / 1e9,
        "limit_tokens_s": limit,
        "engine_tokens_s": engine_rate,
        "engine_share": engine_rate / limit,
        "static_compiled_tokens_s": static_rate,
        "static_compiled_share": static_rate / limit,
        "peak_memory_gib": torch.cuda.max_memory_allocated(model.device) / 2**30,
    }


def memory_bandwidth(device: torch.device) -> float:
    """Bytes a second, read and written, of a large copy."""
    source = torch.empty(_COPIED, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    return 2 * _COPIED / best_seconds(lambda: target.copy_(source))


def weight_bytes(model: Any) -> int:  # noqa: ANN401 - an attribute's type is kept by transformers
    """Bytes of the weights each token needs; the embedding's table is looked up, not read."""
    parts: list[nn.Module] = [model.model.language_model.layers, model.model.language_model.norm, model.lm_head]
    return sum(parameter.nbytes for part in parts for parameter in part.parameters())


def engine_decoding(checkpoint: Checkpoint, asked: Request, steps: int) -> tuple[int, float]:
    """Tokens of the prompt, and tokens a second after the first."""
    engine = LocalEngine(checkpoint)
    usage = engine.generate(asked).usage
    stream = engine.stream(asked)
    next(stream)
    torch.cuda.synchronize()
    start = time.perf_counter()
    for _ in stream:
        pass
    return usage.prompt_tokens, steps / (time.perf_counter() - start)


@torch.inference_mode()
def static_decoding(checkpoint: Checkpoint, asked: Request, steps: int) -> float:
    """Tokens a second with keys and values in buffers of fixed size and the decoding step as a CUDA graph."""
    model: Any = checkpoint.model
    processor = checkpoint.processor
    messages = chat_messages(asked.messages, with_image=True)
    prompt = processor.apply_chat_template(messages, add_generation_prompt=True)
    inputs = processor(text=prompt, images=asked.image, add_special_tokens=False, return_tensors="pt")
    inputs = inputs.to(model.device, model.dtype)
    read = inputs["input_ids"].shape[1]
    cache = StaticCache(config=model.config.get_text_config(), max_cache_len=read + steps + 1)
    logits = model(**inputs, past_key_values=cache, use_cache=True, logits_to_keep=1).logits
    token = logits[:, -1].argmax(-1, keepdim=True)

    def step(token: torch.Tensor, position: torch.Tensor) -> torch.Tensor:
        output = model(input_ids=token, position_ids=position, past_key_values=cache, use_cache=True)
        chosen: torch.Tensor = output.logits[:, -1].argmax(-1, keepdim=True)
        return chosen

    compiled = torch.compile(step, mode="reduce-overhead", fullgraph=False)
    warm_up = min(8, steps // 2)
    start = 0.0
    for number in range(steps):
        if number == warm_up:
            torch.cuda.synchronize()
            start = time.perf_counter()
        position = torch.full((1, 1), read + number, device=model.device)
        token = compiled(token, position).clone()  # the graph writes its output to the same place each time
    torch.cuda.synchronize()
    return (steps - warm_up) / (time.perf_counter() - start)


def best_seconds(work: Callable[[], object], runs: int = 10) -> float:
    """The shortest wall time on the GPU."""
    times = []
    for _ in range(runs):
        torch.cuda.synchronize()
        start = time.perf_counter()
        work()
        torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return min(times)
