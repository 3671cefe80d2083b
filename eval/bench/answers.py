"""Seconds per answer of the loaded bundled model, and its memory.

    python eval/bench/answers.py [--images DIR] [--model MODEL] [--threads N] [--clock wall|cpu] [--json]

Each question is about a new image, so that nothing is cached: a scene among 21 classes, a grounded description, the box
of a referring expression, a yes-or-no question. Seconds are the median and the slowest; memory is the largest resident
set: Python, torch and the model together. Goals on two cores: a scene in 1.5 s, a grounded description in 4 s, 1.2 GB.
"""

import argparse
import resource
import statistics
import sys
import time
from pathlib import Path

import torch
from PIL import Image
from report import machine, tell

from geochat import GeoChat, Task
from geochat_data.readers import UCM_SCENES
from geochat_data.synthetic import render_scene

_CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
_FIRST_SEED = 910_000_000  # scenes no training draws
QUESTIONS = {
    "scene": (", ".join(UCM_SCENES), Task.SCENE, 1.5),
    "grounded description": ("", Task.GROUNDING, 4.0),
    "referring expression, up to two looks": ("the leftmost building", Task.REFER, None),
    "yes or no": ("Is there a building in the image?", Task.VQA, None),
}


def pictures(folder: Path | None, count: int) -> list[Path | Image.Image]:
    """Return images of a folder, evenly spread over it, or as many rendered scenes."""
    if folder is None:
        return [Image.fromarray(render_scene(_FIRST_SEED + number).pixels) for number in range(count)]
    files = sorted(file for file in folder.rglob("*") if file.suffix.lower() in (".jpg", ".png", ".tif"))
    if len(files) < count:
        raise SystemExit(f"{folder} holds {len(files)} images where {count} are needed; give another or less --runs")
    return list(files[:: len(files) // count][:count])


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", metavar="DIR", type=Path, help="folder of images (default: rendered scenes)")
    parser.add_argument("--model", metavar="MODEL", help="(default: the bundled one)")
    parser.add_argument("--runs", metavar="N", type=int, default=8, help="questions of each kind (default: 8)")
    parser.add_argument("--threads", metavar="N", type=int, default=2, help="(default: 2)")
    parser.add_argument("--clock", choices=tuple(_CLOCKS), default="wall", help="(default: wall)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    now = _CLOCKS[args.clock]
    images = iter(pictures(args.images, (args.runs + 1) * len(QUESTIONS)))
    start = now()
    chat = GeoChat.from_pretrained(args.model, device="cpu")
    loading = now() - start
    answers: dict[str, dict[str, float | None]] = {}
    for name, (question, task, goal) in QUESTIONS.items():
        chat.ask(next(images), question, task=task)
        seconds = []
        for _ in range(args.runs):
            start = now()
            chat.ask(next(images), question, task=task)
            seconds.append(now() - start)
        median, slowest = round(statistics.median(seconds), 3), round(max(seconds), 3)
        answers[name] = {"median_s": median, "slowest_s": slowest, "goal_s": goal}
    found = {
        **machine(),
        "clock": args.clock,
        "model_sha256": chat.engine.info.sha256,
        "loading_s": round(loading, 3),
        "answers": answers,
        "peak_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }
    tell(found, as_json=args.json)


if __name__ == "__main__":
    sys.exit(main())
