"""Painters of landscapes: fields, forest, rivers, and harbours with boats moored on both sides of piers."""

import math
from itertools import pairwise

from geochat_data.records import Point
from geochat_data.synthetic.canvas import Canvas, oblong, place
from geochat_data.synthetic.surroundings import CONCRETE, GRASS, LEAVES, SOIL, lit_by, road, tree, trees


def fields(canvas: Canvas) -> str:
    """Paint a few parcels with crop rows."""
    rng, size = canvas.rng, canvas.size
    turn, middle = rng.uniform(0, math.pi), (size / 2, size / 2)
    canvas.fill(canvas.choose([*GRASS, *SOIL]), 0.08, 0.1)
    edge = -1.0
    while edge < 1:
        wide = rng.uniform(0.3, 1.2)
        colour = canvas.choose([*GRASS, *SOIL], 16)
        parcel = oblong(place([((edge + wide / 2) * size, 0)], middle, turn)[0], wide * size, 3 * size, turn)
        canvas.patch(parcel, colour, roughness=0.07, mottling=0.06, soft=1)
        step = rng.uniform(3, 9)
        for k in range(int(wide * size / step)):
            x = edge * size + k * step
            canvas.line(
                place([(x, -2 * size), (x, 2 * size)], middle, turn), lit_by(colour, rng.uniform(0.82, 0.97)), step / 3
            )
        edge += wide + rng.uniform(0, 0.05)
    if rng.random() < 0.3:
        road(
            canvas,
            place([(-2 * size, 0.3 * size), (2 * size, 0.3 * size)], middle, turn),
            5 * canvas.metre,
            marked=False,
        )
    return "agricultural"


def forest(canvas: Canvas) -> str:
    """Paint a closed canopy."""
    rng, size = canvas.rng, canvas.size
    leaf = canvas.choose(LEAVES)
    canvas.fill(lit_by(leaf, 0.6), 0.2, 0.1)
    step = rng.uniform(9, 17)
    for y in range(int(size / step) + 2):
        for x in range(int(size / step) + 2):
            if rng.random() < 0.93:
                at = (x * step + rng.normal(0, step / 3), y * step + rng.normal(0, step / 3))
                tree(canvas, at, step * rng.uniform(0.5, 0.9), canvas.jitter(leaf, 9))
    return "forest"


def river(canvas: Canvas) -> str:
    """Paint a winding river between wooded banks."""
    rng, size = canvas.rng, canvas.size
    canvas.fill(canvas.choose([*GRASS, *SOIL]), 0.14, 0.14)
    turn, middle = rng.uniform(0, math.pi), (size / 2, size / 2)
    wide, swing, phase = rng.uniform(0.07, 0.2) * size, rng.uniform(0.03, 0.14) * size, rng.uniform(0, 6.3)
    course = [(x * size / 20, swing * math.sin(x / 6 + phase)) for x in range(-20, 21)]
    banks = [(x, y - wide) for x, y in course] + [(x, y + wide) for x, y in reversed(course)]
    colour = canvas.choose(((60, 74, 66), (92, 100, 84), (48, 66, 72), (110, 108, 86)))
    canvas.patch(place(banks, middle, turn), colour, roughness=0.03, mottling=0.05, soft=1)
    for (x1, y1), (x2, y2) in pairwise(course):
        canvas.reserve(place([(x1, y1 - wide), (x2, y2 - wide), (x2, y2 + wide), (x1, y1 + wide)], middle, turn))
    trees(canvas, int(rng.choice((40, 120))), radius=(2, 5))
    return "river"


WATER = ((28, 44, 52), (20, 62, 60), (48, 72, 84), (16, 28, 36), (84, 96, 118))
HULL = ((0.5, 0), (0.4, 0.45), (0.2, 0.85), (-0.1, 1.0), (-0.5, 0.8))


def harbour(canvas: Canvas) -> str:
    """Paint piers with boats, bows out, and open water between them."""
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
    """Draw one labelled boat, bow towards `angle`."""
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
