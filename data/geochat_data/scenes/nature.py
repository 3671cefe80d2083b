"""Scenes without objects: fields, forest, river."""

import math
from itertools import pairwise

from geochat_data.scenes.canvas import Canvas, oblong, place
from geochat_data.scenes.surroundings import GRASS, LEAVES, SOIL, lit_by, road, tree, trees


def fields(canvas: Canvas) -> str:
    """A few parcels with crop rows."""
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
    """A closed canopy."""
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
    """A winding river between wooded banks."""
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
