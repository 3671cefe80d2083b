"""Harbours: boats moored on both sides of piers, bows out, on dark water."""

import math

from geochat_data.records import Point
from geochat_data.scenes.canvas import Canvas, oblong, place
from geochat_data.scenes.surroundings import CONCRETE, GRASS, lit_by

WATER = ((28, 44, 52), (20, 62, 60), (48, 72, 84), (16, 28, 36), (84, 96, 118))
HULL = ((0.5, 0), (0.4, 0.45), (0.2, 0.85), (-0.1, 1.0), (-0.5, 0.8))


def harbour(canvas: Canvas) -> str:
    """Piers with boats, and open water between them."""
    rng, size, m = canvas.rng, canvas.size, canvas.metre
    canvas.fill(canvas.choose(WATER, 6), 0.05, 0.05)
    turn, middle = rng.uniform(0, 2 * math.pi), (size / 2, size / 2)
    length, pier = rng.uniform(9, 20) * m, rng.uniform(1.5, 3.5) * m
    pitch = 2 * length + pier + rng.uniform(0.4, 1.4) * length
    if rng.random() < 0.3:
        _quay(canvas, turn)
    deck, boats = canvas.choose(CONCRETE), []
    rows, shift = int(size / pitch) + 1, rng.uniform(-0.5, 0.5) * pitch
    filled, slot = rng.uniform(0.3, 0.95), length * rng.uniform(0.34, 0.5)
    for k in range(-rows, rows + 1):
        y = k * pitch + shift
        canvas.line(place([(-size, y), (size, y)], middle, turn), deck, pier)
        for side in (-1, 1):
            for j in range(-int(size / slot), int(size / slot) + 1):
                long = length * rng.uniform(0.7, 1)
                at = place([(j * slot, y + side * (pier / 2 + 0.6 * m + long / 2))], middle, turn)[0]
                if rng.random() < filled and all(-long < v < size + long for v in at):
                    boats.append(
                        (at, turn + side * math.pi / 2, long, min(slot * 0.92, long * rng.uniform(0.27, 0.34)))
                    )
    for _ in range(rng.integers(0, 3)):
        long = length * rng.uniform(0.8, 1.8)
        at = (rng.uniform(0, size), rng.uniform(0, size))
        boats.append((at, rng.uniform(0, 6.3), long, long * 0.28))
    boats = [boat for boat in boats if canvas.claim(oblong(boat[0], boat[2], boat[3], boat[1]))]
    for at, angle, long, wide in boats:
        canvas.shade(_outline(at, angle, long, wide), 1.5 * m)
    canvas.cast()
    for at, angle, long, wide in boats:
        ship(canvas, at, angle, long, wide)
    return "harbor"


def ship(canvas: Canvas, at: Point, angle: float, long: float, wide: float) -> None:
    """One labelled boat, bow towards `angle`."""
    rng = canvas.rng
    hull = canvas.choose(((236, 234, 228), (236, 234, 228), (214, 214, 210), (190, 196, 204), (60, 80, 120)), 8)
    canvas.polygon(_outline(at, angle, long, wide), lit_by(hull, 0.86))
    canvas.polygon(_outline(at, angle, long * 0.92, wide * 0.78), hull)
    cabin = place([(rng.uniform(-0.12, 0.08) * long, 0)], at, angle)[0]
    canvas.polygon(oblong(cabin, long * rng.uniform(0.2, 0.4), wide * 0.6, angle), lit_by(hull, rng.uniform(0.7, 1.1)))
    glass = place([(rng.uniform(0.1, 0.16) * long, 0)], at, angle)[0]
    canvas.polygon(oblong(glass, long * 0.05, wide * 0.55, angle), (40, 48, 58))
    if rng.random() < 0.3:
        well = place([(-0.36 * long, 0)], at, angle)[0]
        canvas.polygon(oblong(well, long * 0.18, wide * 0.6, angle), canvas.choose(((60, 84, 140), (120, 110, 96))))
    canvas.label("ship", oblong(at, long, wide, angle))


def _outline(at: Point, angle: float, long: float, wide: float) -> list[Point]:
    side = [(x * long, y * wide / 2) for x, y in HULL]
    return place(side + [(x, -y) for x, y in reversed(side)], at, angle)


def _quay(canvas: Canvas, turn: float) -> None:
    rng, size = canvas.rng, canvas.size
    edge = rng.uniform(0.28, 0.45) * size
    land = place(
        [(edge, -2 * size), (3 * size, -2 * size), (3 * size, 2 * size), (edge, 2 * size)], (size / 2, size / 2), turn
    )
    canvas.patch(land, canvas.choose([*CONCRETE, *GRASS]), roughness=0.08, mottling=0.08)
    canvas.claim(land)
