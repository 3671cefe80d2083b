"""Overhead and memory of whole-scene search besides the model.

    python eval/bench/find.py overhead [--side 2016] [--window 288] [--clock cpu] [--json]
    python eval/bench/find.py memory [--side 40000] [--window 512] [--json]
    python eval/bench/find.py f1 FOLDER airplane=airplane ... [--window N] [--json]

overhead: the bundled model on a tiled GeoTIFF. One side runs the engine alone, on prepared images of the windows; the
other is the whole of `GeoChat.find`: windowing, reading, inference, recording, merging. The engine's cache is cleared
before each side.

f1: F1 at a rotated intersection over union of 0.5 on images with known boxes, FOLDER/boxes.jsonl, with one phrase per
category: each image as a whole, by `GeoChat.ask`, and in the windows of `GeoChat.find`.

memory: a tiled GeoTIFF searched in a separate process with an engine that answers immediately; its peak, compared with
that of the same on a scene of 2,000 pixels per side.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import shapely
from affine import Affine
from merge import peak_kib

from geochat import GeoChat
from geochat.engines import BatchEvent, Chunk, Completion, Request, Usage, complete, one_by_one
from geochat.geometry.overlap import greedy_matches, iou_matrix, reaches
from geochat.imagery import Scene
from geochat.models import ModelInfo, Settings
from geochat.prompts import Message


def write_scene(path: Path, side: int, seed: int = 0) -> None:
    """Write a tiled GeoTIFF of 0.3 m pixels, one textured tile repeated with its position drawn into it."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(40, 216, (3, 64, 64), np.uint8)
    tile = coarse.repeat(8, axis=1).repeat(8, axis=2)
    place = {"crs": "EPSG:32631", "transform": Affine(0.3, 0, 500_000, 0, -0.3, 4_600_000)}
    layout = {"tiled": True, "blockxsize": 512, "blockysize": 512, "compress": "deflate", "zlevel": 1, "bigtiff": "yes"}
    with rasterio.open(path, "w", "GTiff", side, side, 3, dtype="uint8", **layout, **place) as target:
        for row in range(0, side, 512):
            for column in range(0, side, 512):
                width, height = min(512, side - column), min(512, side - row)
                block = tile[:, :height, :width].copy()
                block[:, :32, :32] = ((row // 512 * 131 + column // 512 * 17) % 251,) if width > 32 < height else 0
                target.write(block, window=rasterio.windows.Window(column, row, width, height))


def overhead(args: argparse.Namespace) -> dict[str, Any]:
    """Return seconds of both sides, and the overhead over the engine."""
    clock = {"wall": time.perf_counter, "cpu": time.process_time}[args.clock]
    chat = GeoChat.from_pretrained(args.model)
    forget = getattr(getattr(chat.engine, "engine", chat.engine), "forget_prefixes", lambda: None)
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "scene.tif"
        write_scene(path, args.side)
        finding = chat.find(path, args.phrases, window=args.window)
        prompts = finding.asking.prompts
        pictures = [finding.look.view(number).pil() for number in range(len(finding.look.plan))]  # type: ignore[union-attr]
        requests = [Request((Message("user", prompt),), (picture,)) for picture in pictures for prompt in prompts]
        alone, whole = [], []
        for turn in range(args.repeats + 1):
            forget()
            start = clock()
            for _ in chat.engine.stream_batch(iter(requests)):
                pass
            alone.append(clock() - start)
            forget()
            start = clock()
            found = sum(1 for _ in chat.find(path, args.phrases, window=args.window))
            whole.append(clock() - start)
            if turn == 0:
                alone, whole = [], []  # a warm-up
    engine, everything = float(np.median(alone)), float(np.median(whole))
    return {
        "windows": len(pictures),
        "phrases": len(prompts),
        "objects": found,
        "clock": args.clock,
        "engine_s": engine,
        "find_s": everything,
        "overhead_percent": 100 * (everything / engine - 1),
    }


def f1(args: argparse.Namespace) -> dict[str, Any]:
    """Return precision, recall and F1 of both methods, over all images and categories."""
    chat = GeoChat.from_pretrained(args.model)
    phrases = dict(pair.split("=") for pair in args.phrases)
    counts = {way: np.zeros(3, int) for way in ("whole", "windowed")}  # found, true, both
    windows, started = 0, time.perf_counter()
    for line in (args.folder / "boxes.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        with Scene.open(args.folder / row["image"]) as scene:
            finding = chat.find(scene, list(phrases.values()), window=args.window)
            boxes = [(each.phrase, each.polygon) for each in finding]
            windows += len(finding.look.plan)
            for category, phrase in phrases.items():
                known = [shapely.Polygon(each["polygon"]) for each in row["objects"] if each["category"] == category]
                asked = chat.ask(scene.read(), phrase, task="refer").regions
                counts["whole"] += matched([region.geometry.polygon() for region in asked], known)
                counts["windowed"] += matched([shape for named, shape in boxes if named == phrase], known)
    figures: dict[str, Any] = {"windows": windows, "seconds": time.perf_counter() - started}
    for way, (found, true, both) in counts.items():
        figures |= {
            f"{way}_boxes": int(found),
            f"{way}_precision": both / found if found else 0.0,
            f"{way}_recall": both / true,
            f"{way}_f1": 2 * both / (found + true),
        }
    return {**figures, "true_boxes": int(counts["whole"][1])}


def matched(found: list[shapely.Polygon], known: list[shapely.Polygon]) -> np.ndarray:
    """Return the numbers of found shapes, true shapes and matches."""
    if not found or not known:
        return np.array([len(found), len(known), 0])
    iou = iou_matrix(np.array(found, object), np.array(known, object))
    return np.array([len(found), len(known), int(reaches(iou.ravel()[greedy_matches(iou)], 0.5).sum())])


class Stub:
    """An engine that immediately boxes one object in each window."""

    info = ModelInfo(Settings(name="stub"), image_size=504, stated_sha256="0" * 64)

    def stream(self, request: Request) -> Iterator[Chunk]:
        """Yield one box."""
        del request
        yield Chunk("<p>ship</p> {<40><40><60><50>|<90>}", "stop", Usage(1, 8))

    def generate(self, request: Request) -> Completion:
        """Return one box."""
        return complete(self.stream(request))

    def stream_batch(self, requests: Iterable[Request]) -> Iterator[BatchEvent]:
        """Answer one by one."""
        return one_by_one(self, requests)

    def cancel(self, request_id: str) -> None:
        """Do nothing."""


def memory(args: argparse.Namespace) -> dict[str, Any]:
    """Measure the peaks of a small and a large scene, each in its own process."""
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        for side in (2_000, args.side):
            path = Path(name) / f"{side}.tif"
            write_scene(path, side)
            command = [sys.executable, __file__, "search", str(path), str(args.window)]
            told = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
            windows, objects, seconds, peak = map(float, told)
            figures |= {
                f"{side}_windows": int(windows),
                f"{side}_objects": int(objects),
                f"{side}_windows_per_s": windows / seconds,
                f"{side}_peak_mib": peak / 1024,
                f"{side}_file_mib": path.stat().st_size / 2**20,
            }
            path.unlink()
    return figures


def search(path: Path, window: int) -> str:
    """Search with the stub and write a layer; returns windows, objects, seconds and peak in KiB."""
    start = time.perf_counter()
    with Scene.open(path) as scene:
        finding = GeoChat(Stub()).find(scene, "ship", window=window)
        objects = sum(1 for _ in finding)
        finding.save(path.with_suffix(".gpkg"))
    return f"{finding.progress.done} {objects} {time.perf_counter() - start} {peak_kib()}"


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = parser.add_subparsers(required=True)
    part = parts.add_parser("overhead")
    part.add_argument("--model")
    part.add_argument("--side", type=int, default=2016)
    part.add_argument("--window", type=int, default=288)
    part.add_argument("--phrases", nargs="+", default=["airplanes"])
    part.add_argument("--repeats", type=int, default=3)
    part.add_argument("--clock", choices=("wall", "cpu"), default="wall")
    part.add_argument("--json", action="store_true")
    part.set_defaults(measure=overhead)
    part = parts.add_parser("f1")
    part.add_argument("folder", type=Path)
    part.add_argument("phrases", nargs="+", metavar="CATEGORY=PHRASE")
    part.add_argument("--model")
    part.add_argument("--window", type=int)
    part.add_argument("--json", action="store_true")
    part.set_defaults(measure=f1)
    part = parts.add_parser("memory")
    part.add_argument("--side", type=int, default=40_000)
    part.add_argument("--window", type=int, default=512)
    part.add_argument("--json", action="store_true")
    part.set_defaults(measure=memory)
    part = parts.add_parser("search")
    part.add_argument("path", type=Path)
    part.add_argument("window", type=int)
    part.set_defaults(told=lambda args: search(args.path, args.window))
    args = parser.parse_args()
    if "told" in args:
        print(args.told(args))
        return
    figures = args.measure(args)
    from report import machine, tell  # noqa: PLC0415 - imports torch, which the processes measured do without

    tell({**machine(), **figures}, as_json=args.json)


if __name__ == "__main__":
    main()
