"""Cost of merging boxes into objects.

    python eval/bench/merge.py [--json]

Merges 33,337 rotated boxes, so crowded that some 55,000 pairs overlap, and measures the time that shapely alone takes
to intersect these pairs; and merges a million boxes streamed in rows of windows, in a separate process.
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import shapely

from geochat.find import Merger, plan_windows
from geochat.find.merging import BOX, Boxes
from geochat.geometry.overlap import box_corners

CROWD, CROWD_SIDE = 33_337, 6_230  # boxes, on so many pixels per side
MILLION = 1_000_000


def crowd(count: int, side: int, seed: int = 0) -> Boxes:
    """Make boxes of 20 to 60 by 10 to 30 pixels, each in a window of 512 pixels that shows it."""
    rng = np.random.default_rng(seed)
    boxes = np.zeros(count, BOX)
    center, half = rng.uniform(0, side, (count, 2)), rng.uniform((20, 10), (60, 30), (count, 2)) / 2
    boxes["box"][:, :2], boxes["box"][:, 2:4] = center - half, center + half
    boxes["box"][:, 4], boxes["score"] = rng.uniform(0, 180, count), rng.uniform(0, 1, count)
    shown_before = (center % 384 < 128) & (rng.uniform(size=(count, 2)) < 0.5)  # by the window before, too
    column_row = np.maximum(0, center // 384 - shown_before)
    boxes["window"][:, :2], boxes["window"][:, 2:] = column_row * 384, column_row * 384 + 512
    boxes["number"] = column_row[:, 1] * 100_000 + column_row[:, 0]
    return boxes


def merge() -> dict[str, Any]:
    """Measure CPU seconds for the crowd, and for its pairs with shapely alone; the million boxes, and their peak."""
    boxes = crowd(CROWD, CROWD_SIDE)
    start = time.process_time()
    polygons = shapely.polygons(box_corners(boxes["box"]))
    one, other = shapely.STRtree(polygons).query(polygons, predicate="intersects")
    one, other = one[one < other], other[one < other]
    shapely.area(shapely.intersection(polygons[one], polygons[other]))
    alone = time.process_time() - start
    start = time.process_time()
    merger = Merger((CROWD_SIDE + 512, CROWD_SIDE + 512))
    merger.add(boxes)
    objects = merger.settled()
    ours = time.process_time() - start
    command = [sys.executable, __file__, "million"]
    count, held, seconds, peak, before = map(
        float, subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    )
    return {
        "crowd_boxes": len(boxes),
        "crowd_pairs": len(one),
        "crowd_objects": len(objects),
        "crowd_s": ours,
        "shapely_alone_s": alone,
        "million_objects": int(count),
        "million_s": seconds,
        "million_held_at_most": int(held),
        "million_peak_mib": peak / 1024,
        "million_peak_of_imports_mib": before / 1024,
    }


def million() -> str:
    """Stream a million boxes; returns objects, maximum held boxes, CPU seconds, peak in KiB now and before."""
    before = peak_kib()
    side = 60_000
    plan = plan_windows((side, side), 512, overlap=128)
    merger, count, held, start = Merger((side, side)), 0, 0, time.process_time()
    each = MILLION // len(plan) + 1
    for row in plan.rows():
        rng = np.random.default_rng(row.top)
        boxes = np.zeros(len(row.numbers) * each, BOX)
        windows = np.array([plan.window(number).bounds for number in row.numbers], float).repeat(each, axis=0)
        center = windows[:, :2] + rng.uniform(0, 512, (len(boxes), 2))
        half = rng.uniform((20, 10), (60, 30), center.shape) / 2
        boxes["box"][:, :2], boxes["box"][:, 2:4] = center - half, center + half
        boxes["box"][:, 4], boxes["score"], boxes["window"] = rng.uniform(0, 180, len(boxes)), 0.5, windows
        boxes["number"] = np.array(row.numbers).repeat(each)
        count += len(merger.settled(row.top))
        merger.add(boxes)
        held = max(held, len(merger))
    count += len(merger.settled())
    return f"{count} {held} {time.process_time() - start} {peak_kib()} {before}"


def peak_kib() -> int:
    """Return peak resident memory of this process; `getrusage` would include the parent process's."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.split("VmHWM:")[1].split()[0])


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("part", nargs="?", choices=("million",), help=argparse.SUPPRESS)  # the process of its own
    args = parser.parse_args()
    if args.part:
        print(million())
        return
    figures = merge()
    from report import machine, tell  # noqa: PLC0415 - imports torch, which the process measured does without

    tell({**machine(), **figures}, as_json=args.json)


if __name__ == "__main__":
    main()
