"""Plots of a run: `python -m geochat_train.plot LOG --out FILE.png [--before A.json ... --after B.json ...]`.

Plots the losses of a run's log, and bars of reports of `geochat_train.measure` before and after it, with Pillow, which
is installed anyway.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

_SIZE = (1040, 400)
_INK, _GRID, _PAPER = (40, 40, 40), (220, 220, 220), (255, 255, 255)
_LEARNT, _WATCHED, _BEFORE, _AFTER = (120, 160, 220), (200, 60, 40), (180, 180, 180), (60, 130, 80)
Point = tuple[float, float]
Box = tuple[int, int, int, int]


def plot(log: Path, before: Sequence[Path] = (), after: Sequence[Path] = ()) -> Image.Image:
    """Plot losses on the left, accuracies before and after on the right."""
    sheet = Image.new("RGB", _SIZE, _PAPER)
    draw = ImageDraw.Draw(sheet)
    _losses(draw, [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()], (60, 40, 540, 350))
    bars = [(name, value, _read(later)[1]) for earlier, later in zip(before, after, strict=True)
            for name, value in [_read(earlier)]]  # fmt: skip
    if bars:
        _bars(draw, bars, (610, 40, 1020, 350))
    return sheet


def _losses(draw: ImageDraw.ImageDraw, rows: list[dict[str, Any]], box: Box) -> None:
    curves = {"training loss": ("loss", _LEARNT), "validation loss": ("eval_loss", _WATCHED)}
    points = {name: [(row["step"], row[key]) for row in rows if key in row] for name, (key, _) in curves.items()}
    every = [point for curve in points.values() for point in curve]
    last, most = max(step for step, _ in every), max(value for _, value in every)
    _axes(draw, box, most, f"steps (0 to {last})", ".1f")
    for number, (name, (_, colour)) in enumerate(curves.items()):
        places = [_place(box, step / last, value / most) for step, value in points[name]]
        if len(places) > 1:
            draw.line(places, colour, 3)
        if places:
            _text(draw, (box[2] - 150, box[1] + 4 + 18 * number), name, colour)


def _bars(draw: ImageDraw.ImageDraw, bars: list[tuple[str, dict[str, float], dict[str, float]]], box: Box) -> None:
    _axes(draw, box, 100, "before (grey) and after (green), %, with 95 % intervals", ".0f")
    width = (box[2] - box[0]) / (3 * len(bars) + 1)
    for number, (name, *pair) in enumerate(bars):
        for side, (found, colour) in enumerate(zip(pair, (_BEFORE, _AFTER), strict=True)):
            left = box[0] + width * (3 * number + 1 + side)
            top = _place(box, 0, found["accuracy"] / 100)[1]
            draw.rectangle((left, top, left + width - 6, box[3]), colour)
            middle = left + width / 2 - 3
            if found["low"] is not None:  # as it is where all questions are about one image
                ends = [(middle, _place(box, 0, found[end] / 100)[1]) for end in ("low", "high")]
                draw.line(ends, _INK, 2)
            _text(draw, (left + 4, box[3] - 18), f"{found['accuracy']:.1f}", _INK)
        _text(draw, (box[0] + width * (3 * number + 1), box[1] - 20), name, _INK)


def _axes(draw: ImageDraw.ImageDraw, box: Box, most: float, below: str, form: str) -> None:
    for part in range(5):
        y = _place(box, 0, part / 4)[1]
        draw.line((box[0], y, box[2], y), _GRID)
        _text(draw, (box[0] - 40, y - 7), format(most * part / 4, form), _INK)
    _text(draw, (box[0], box[3] + 14), below, _INK)


def _place(box: Box, x: float, y: float) -> Point:
    """Convert fractions of the box's width and height, y upwards, to pixels."""
    return box[0] + x * (box[2] - box[0]), box[3] - y * (box[3] - box[1])


def _text(draw: ImageDraw.ImageDraw, place: Point, text: str, colour: tuple[int, int, int]) -> None:
    draw.text(place, text, colour, ImageFont.load_default(13))


def _read(path: Path) -> tuple[str, dict[str, float]]:
    report = json.loads(path.read_text(encoding="utf-8"))
    name = "identify" if "identify" in report else "scene"
    return f"{name}, {report['split']}", report[name]


def main() -> None:
    """Parse, draw, save."""
    parser = argparse.ArgumentParser(prog="python -m geochat_train.plot", description=__doc__)
    parser.add_argument("log", type=Path, help="run/log.jsonl of a run")
    parser.add_argument("--before", type=Path, nargs="*", default=[])
    parser.add_argument("--after", type=Path, nargs="*", default=[])
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    plot(args.log, args.before, args.after).save(args.out)


if __name__ == "__main__":
    main()
