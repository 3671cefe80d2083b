"""Overhead of an archive besides the model: Ray against the local loop, workers, and the recording process.

    python eval/bench/archive.py local|cost [SCENES] [--json]
    python eval/bench/archive.py ray [--workers 2] [SCENES] [--json]
    python eval/bench/archive.py driver [--stubs 64] [--seconds 20] [--json]

SCENES: [--scenes 40] [--side 768] [--engine busy|waiting|bundled] [--wait 0.25]

local and ray: the same scenes of the same windows of 256 pixels, through `run_here` or on a Ray that is started on this
machine; windows per second from the first answer to the last, and the seconds before the first one. The busy engine
computes for 0.1 s of processor time per window, the waiting one sleeps for --wait seconds, and the bundled model is
asked for airplanes. `ray --workers 1` beside `local` is the overhead of Ray, `--workers 2` beside it the gain of a
second worker. `archive_figures.py` runs them and prints tables.

cost: the estimate of `--dry-run`, beside the time that the local loop then takes.

driver: the recording process alone; asynchronous stubs stand for workers that take a second per window. The layout of
windows is not counted: tasks of the cluster do it.
"""

import argparse
import asyncio
import json
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from affine import Affine

from geochat.archive import Archive, Manifest, SceneWork, SceneWriter, Status, list_scenes, run_here
from geochat.archive.cluster import Cluster, connected
from geochat.archive.on_ray import Collector, model_there, run_on_ray, scene_rows
from geochat.archive.running import estimate
from geochat.engines import BatchEvent, Chunk, Completion, Engine, Request, Usage, complete, one_by_one
from geochat.engines.registry import open_engine
from geochat.models import Capabilities, ModelInfo, Settings

WINDOW, BUSY_S = 256, 0.1
BURST_S = 1.0
BOX = "<p>airplane</p> {<10><10><40><30>|<90>}"


class Busy:
    """An engine that computes or waits for a while, and returns one box."""

    def __init__(self, seconds: float, waits: float = 0.0) -> None:
        self.seconds, self.waits = seconds, waits
        self.info = ModelInfo(Settings(name="busy"), WINDOW, 16, None, Capabilities(), (), "0" * 64)

    def stream(self, request: Request) -> Iterator[Chunk]:
        """Answer with one box."""
        time.sleep(self.waits)
        end = time.process_time() + self.seconds
        while time.process_time() < end:
            sum(range(1000))
        yield Chunk(BOX)
        yield Chunk("", "stop", Usage(1, 1))

    def generate(self, request: Request) -> Completion:
        """As `Engine.generate`."""
        return complete(self.stream(request))

    def stream_batch(self, requests: Iterable[Request]) -> Iterator[BatchEvent]:
        """As `Engine.stream_batch`."""
        return one_by_one(self, requests)

    def cancel(self, request_id: str) -> None:
        """Do nothing."""


def write_scenes(folder: Path, count: int, side: int) -> list[str]:
    """Write tiled GeoTIFFs of noise."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 255, (3, side, side), dtype=np.uint8)
    for number in range(count):
        place = Affine(0.5, 0, 500_000 + number * side, 0, -0.5, 4_600_000)
        options = {"crs": "EPSG:32631", "transform": place, "tiled": True, "blockxsize": 256, "blockysize": 256}
        with rasterio.open(folder / f"{number:05}.tif", "w", "GTiff", side, side, 3, dtype="uint8", **options) as out:
            out.write(pixels)
    return [str(folder / "*.tif")]


def archive_of(folder: Path, args: argparse.Namespace, info: ModelInfo) -> Archive:
    """Return an archive of new scenes."""
    (folder / "scenes").mkdir()
    listed = list_scenes(write_scenes(folder / "scenes", args.scenes, args.side))
    work = SceneWork("find", ("airplanes",), {"window": WINDOW, "overlap": 0})
    return Archive(folder / "job", Manifest(listed.scenes), work, info)


def opened(name: str, wait: float) -> Engine:
    """Open the engine of a run, and of its workers."""
    if name == "bundled":
        return open_engine()
    return Busy(BUSY_S) if name == "busy" else Busy(0, wait)


def measured(run: Callable[..., Iterable[object]]) -> dict[str, Any]:
    """Return windows per second without the first burst of answers, and the seconds before it.

    Args:
        run: Called with `tell`, which is called after each window.
    """
    begun, cpu = time.perf_counter(), time.process_time()
    told: list[tuple[float, int]] = []
    for _ in run(tell=lambda status: told.append((time.perf_counter(), status.windows))):
        pass
    first, (last, done) = told[0][0], told[-1]
    counted, before = [each for each in told if each[0] - first < BURST_S][-1]  # answers come in batches
    return {
        "windows": done,
        "windows_per_s": (done - before) / (last - counted) if last > counted else 0.0,
        "first_after_s": first - begun,
        "own_cpu_s": time.process_time() - cpu,
    }


def local(args: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Measure the local loop."""
    engine = opened(args.engine, args.wait)
    archive = archive_of(folder, args, engine.info)
    return measured(partial(run_here, archive, engine, SceneWriter(archive)))


def ray(args: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Measure a Ray on this machine."""
    where, engine = Cluster("local", args.workers), partial(opened, args.engine, args.wait)
    with connected(where):
        archive = archive_of(folder, args, model_there(where, engine))
        steps = partial(run_on_ray, archive, engine, SceneWriter(archive), where)
        return {"workers": args.workers, **measured(steps)}


def cost(args: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Compare the estimate of `--dry-run` with the cost of the local loop."""
    engine = opened(args.engine, args.wait)
    archive = archive_of(folder, args, engine.info)
    told = estimate(archive.manifest, archive.work, engine)
    begun, cpu = time.perf_counter(), time.process_time()
    for _ in run_here(archive, engine, SceneWriter(archive)):
        pass
    return {
        "windows": told.scenes * told.windows,
        "told_s": told.total,
        "took_s": time.perf_counter() - begun,
        "took_cpu_s": time.process_time() - cpu,
    }


def driver(args: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Measure the recording process, fed by stubs."""
    engine = Busy(0)
    archive = archive_of(folder, args, engine.info)
    rows = iter([row for number in range(len(archive.manifest)) for row in scene_rows(archive, number)])
    entry = {"seconds": 1.0, "answers": [{"boxes": [[10.0, 10.0, 60.0, 40.0, 0.0, 0.9]]}]}
    done, cpu = 0, time.process_time()
    end = time.perf_counter() + args.seconds

    async def stub(number: int, collector: Collector) -> None:
        nonlocal done
        while time.perf_counter() < end and (row := next(rows, None)) is not None:
            await asyncio.sleep(1)
            list(collector.take({**row, "entry": entry, "unanswered": False, "worker": f"stub-{number}"}))
            done += 1

    async def all_stubs(collector: Collector) -> None:
        await asyncio.gather(*(stub(number, collector) for number in range(args.stubs)))

    with archive.job, Status(archive) as status:
        list(archive.job.numbers())
        collector = Collector(archive, SceneWriter(archive), status)
        begun = time.perf_counter()
        asyncio.run(all_stubs(collector))
        list(collector.written(wait=True))
        seconds = time.perf_counter() - begun
        collector.close()
    return {
        "stubs": args.stubs,
        "windows": done,
        "windows_per_s": done / seconds,
        "own_cpu_s": time.process_time() - cpu,
        "cpu_ms_a_window": 1000 * (time.process_time() - cpu) / max(1, done),
    }


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("local", "ray", "driver", "cost"))
    parser.add_argument("--scenes", type=int, default=40)
    parser.add_argument("--side", type=int, default=768)
    parser.add_argument("--engine", choices=("busy", "waiting", "bundled"), default="busy")
    parser.add_argument("--wait", type=float, default=0.25)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--stubs", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = {"local": local, "ray": ray, "driver": driver, "cost": cost}[args.what](args, Path(folder))
    if args.json:
        print(json.dumps(figures))
    else:
        print("\n".join(f"{name}: {value:.4g}" for name, value in figures.items()))


if __name__ == "__main__":
    main()
