"""Training steps of a shape with random weights: `python eval/bench/train_shapes.py --shape 7b --device cuda`.

Measures samples per second, the share of the peak that matrix products in bfloat16 reach on this device (measured, not
from a data sheet), and peak memory, at the published number of image tokens. Only necessary products are counted: two
operations per weight and token forward, two backward through frozen weights; recomputation by checkpointing is not
counted.
"""

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from decoding import best_seconds, finish
from shapes import SHAPES, random_checkpoint
from torch import Tensor

from geochat.checkpoints import Checkpoint
from geochat_train.loop.arguments import checkpoint_activations
from geochat_train.recipe import LoraRecipe, QloraRecipe
from geochat_train.tuning.adapting import PARTS, adapt

_TEXT = 104  # tokens beside the image, of which half are learnt
_MATRIX = {"cuda": 8192, "cpu": 1024}


def figures(checkpoint: Checkpoint, method: str, batches: Sequence[int], steps: int) -> Iterator[dict[str, float]]:
    """Measure `steps` steps for each number of rows, after one warm-up step."""
    recipe = (QloraRecipe if method == "qlora" else LoraRecipe)(gradient_checkpointing=True)
    counted = _weights(checkpoint.model)
    peak = _peak(checkpoint.model.device)
    model: Any = adapt(checkpoint.model, recipe, "random").train()
    checkpoint_activations(checkpoint.model)
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-4)
    for batch in batches:
        inputs, labels = _batch(checkpoint, batch)
        seconds, memory = _measured(model, optimizer, inputs, labels, steps)
        tokens = inputs["input_ids"].numel()
        found = {"batch": batch, "samples_s": batch / seconds, "tokens_s": tokens / seconds}
        found["share_of_bf16_peak"] = 4 * counted * tokens / seconds / peak
        yield found if memory is None else {**found, "peak_memory_gb": memory}


def _measured(
    model: Any,  # noqa: ANN401 - wrapped by PEFT
    optimizer: torch.optim.Optimizer,
    inputs: dict[str, Tensor],
    labels: Tensor,
    steps: int,
) -> tuple[float, float | None]:
    """Return seconds per step and, on CUDA, peak memory in GB."""
    device = labels.device
    on_cuda = device.type == "cuda"
    if on_cuda:  # what building the model took is not asked for
        torch.cuda.reset_peak_memory_stats(device)
    began = 0.0
    for step in range(steps + 1):
        if step == 1:
            finish(device)
            began = time.perf_counter()
        with torch.autocast(device.type, torch.bfloat16):
            logits = model(**inputs, logits_to_keep=labels.shape[1], use_cache=False).logits
            loss = torch.nn.functional.cross_entropy(logits.float().flatten(0, 1), labels.flatten())
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    finish(device)
    seconds = (time.perf_counter() - began) / steps
    return seconds, torch.cuda.max_memory_allocated(device) / 1e9 if on_cuda else None


def _batch(checkpoint: Checkpoint, batch: int) -> tuple[dict[str, Tensor], Tensor]:
    config: Any = checkpoint.model.config
    device = checkpoint.model.device
    image = torch.full((batch, config.image_seq_length), config.image_token_id)
    words = torch.randint(10, 200, (batch, _TEXT))
    side = config.vision_config.image_size
    pixels = torch.randn(batch, 3, side, side).to(device, checkpoint.model.dtype)
    ids = torch.cat([image, words], dim=1).to(device)
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids), "pixel_values": pixels}, words[:, -52:].to(device)


def _weights(model: torch.nn.Module) -> int:
    """Return the number of weights in the language model's matrices; 4-bit weights are packed two to a byte."""
    layers = [
        module for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear) and name.startswith(PARTS["language_model"])
    ]  # fmt: skip
    return sum(layer.in_features * layer.out_features for layer in layers)


def _peak(device: torch.device) -> float:
    """Return operations per second of a large product in bfloat16."""
    size = _MATRIX.get(device.type, 1024)
    left, right = (torch.randn(size, size, device=device, dtype=torch.bfloat16) for _ in range(2))
    return 2 * size**3 / best_seconds(lambda: left @ right, device)


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shape", choices=SHAPES, default="tiny")
    parser.add_argument("--method", choices=("lora", "qlora"), default="lora")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--batch", type=int, nargs="+", default=[1], metavar="ROWS", help="one line of figures each")
    parser.add_argument("--steps", type=int, default=5)
    args = parser.parse_args()
    quantization = "4bit" if args.method == "qlora" else None
    checkpoint = random_checkpoint(args.shape, torch.device(args.device), torch.bfloat16, quantization)
    for found in figures(checkpoint, args.method, args.batch, args.steps):
        print(json.dumps({"shape": args.shape, "method": args.method, **found}), flush=True)


if __name__ == "__main__":
    main()
