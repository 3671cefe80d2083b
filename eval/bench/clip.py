"""Speed of scene classification, and of prompt learning.

    python eval/bench/clip.py --images DIR [--model MODEL] [--clock wall|cpu] [--json]

DIR holds a folder of images for each class. Classifying files is compared with the encoder alone on prepared pixels,
and with a plain loop over the same files: Pillow, transformers' image processor, the encoder. Decoding files with
Pillow is the lower bound of any reader; `read` is all work on a file before the encoder. CoOp is learned as published,
200 epochs, from 16 images of every class; its time includes reading and encoding them.
"""

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from report import machine, tell

from geochat.clip import Classifier, DualEncoder, PromptSettings
from geochat_train.prompts import Features, SceneImages, Trial, published, read_scenes, run_trial

_CLOCKS: dict[str, Callable[[], float]] = {"wall": time.perf_counter, "cpu": time.process_time}
_BATCH = 32


def seconds(clock: str, work: Callable[[], object]) -> float:
    """Measure the seconds of some work, as wall time or as CPU time on all cores."""
    now = _CLOCKS[clock]
    start = now()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return now() - start


def throughput(encoder: DualEncoder, images: SceneImages, clock: str, count: int, runs: int) -> dict[str, Any]:
    """Measure milliseconds per image: encoder alone, plain loop, classification; the best of alternating runs."""
    files = images.files[:: max(len(images.files) // count, 1)][:count]
    classifier = Classifier.zero_shot(encoder, images.classes)
    pixels = encoder.pixels(files)
    ways: dict[str, Callable[[], object]] = {
        "encoder": lambda: [encoder.encode_pixels(batch) for batch in pixels.split(_BATCH)],
        "encoder_one_by_one": lambda: [encoder.encode_pixels(one) for one in pixels.split(1)],
        "decode": lambda: [decoded(file) for file in files],
        "read": lambda: [encoder.square(file) for file in files],
        "plain_loop": lambda: [plain(encoder, files[start : start + _BATCH]) for start in range(0, len(files), _BATCH)],
        "classify": lambda: list(classifier.classify_many(files, batch_size=_BATCH)),
    }
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(runs):
        for name, work in ways.items():
            times[name].append(seconds(clock, work))
    best = {name: min(taken) / len(files) for name, taken in times.items()}
    return {
        "images": len(files),
        **{f"{name}_ms": 1000 * value for name, value in best.items()},
        "over_encoder": best["classify"] / best["encoder"] - 1,
        "over_encoder_decode_alone": best["decode"] / best["encoder"],
        "over_plain_loop": best["classify"] / best["plain_loop"] - 1,
    }


def plain(encoder: DualEncoder, files: Sequence[Path]) -> torch.Tensor:
    """Compute features of a batch with plain transformers code."""
    pictures = [decoded(file) for file in files]
    return encoder.encode_pixels(
        torch.as_tensor(encoder.processor(images=pictures, return_tensors="pt")["pixel_values"])
    )


def decoded(file: Path) -> Image.Image:
    """Decode a file as RGB with Pillow."""
    with Image.open(file) as image:
        return image.convert("RGB")


def learning(encoder: DualEncoder, images: SceneImages, clock: str) -> dict[str, Any]:
    """Measure the seconds of a whole CoOp run with 16 shots, and of its image encoding."""
    trial, features = Trial("coop", PromptSettings(), published("coop", 16)), Features(encoder)
    few = images.few(trial.shots, trial.learning.seed)
    encoding = seconds(clock, lambda: features.views(few.files, trial.learning.views))
    epochs = seconds(clock, lambda: run_trial(trial, images, features))
    return {
        "classes": len(images.classes),
        "images": len(few.files),
        "views": trial.learning.views,
        "encoding_s": encoding,
        "epochs_s": epochs,
        "total_s": encoding + epochs,
    }


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", metavar="DIR", type=Path, required=True, help="folder of folders, one a class")
    parser.add_argument("--model", metavar="MODEL", help="dual encoder (default: the bundled one)")
    parser.add_argument("--clock", choices=tuple(_CLOCKS), default="wall", help="(default: wall)")
    parser.add_argument("--count", metavar="N", type=int, default=320, help="images classified (default: 320)")
    parser.add_argument("--runs", metavar="N", type=int, default=3, help="of which the best counts (default: 3)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    args = parser.parse_args()
    encoder, images = DualEncoder.from_pretrained(args.model), read_scenes(args.images)
    found = {
        **machine(),
        "model": encoder.name,
        "clock": args.clock,
        "throughput": throughput(encoder, images, args.clock, args.count, args.runs),
        "coop": learning(encoder, images, args.clock),
    }
    tell(found, as_json=args.json)


if __name__ == "__main__":
    sys.exit(main())
