"""Painters of sports grounds: tennis courts and baseball diamonds, to the measures of the games."""

import math
from collections.abc import Sequence

from geochat_data.records import Point, Polygon
from geochat_data.synthetic.canvas import Canvas, Colour, circle, oblong, place
from geochat_data.synthetic.surroundings import (
    ASPHALT,
    GRASS,
    SOIL,
    building,
    car,
    lit_by,
    road,
    shade_car,
    trees,
)

COURT_LENGTH, COURT_WIDTH = 23.77, 10.97  # metres, outer lines of the doubles court
SINGLES, SERVICE = 8.23, 6.40  # metres
SURFACES: Sequence[tuple[Colour, Colour]] = (  # court, surround
    ((92, 128, 104), (92, 128, 104)), ((110, 140, 112), (160, 92, 76)), ((120, 128, 124), (176, 88, 92)),
    ((84, 110, 140), (92, 130, 100)), ((72, 100, 82), (110, 130, 80)), ((110, 88, 74), (110, 88, 74)),
    ((86, 86, 90), (86, 86, 90)), ((150, 164, 146), (146, 172, 138)), ((84, 150, 88), (150, 92, 56)),
    ((90, 104, 150), (70, 88, 120)), ((176, 108, 88), (176, 108, 88)),
)  # fmt: skip


def tennis(canvas: Canvas) -> str:
    """Paint one to eight courts side by side within a fence, in a park or among buildings."""
    rng, size = canvas.rng, canvas.size
    canvas.fill(canvas.choose([*GRASS, *GRASS, *SOIL], 10), 0.12, 0.12)
    turn = rng.uniform(0, math.pi)
    if rng.random() < 0.6:
        shift = rng.choice((-1, 1)) * rng.uniform(0.3, 0.6) * size
        ends = place([(-2 * size, shift), (2 * size, shift)], (size / 2, size / 2), turn + rng.choice((0, math.pi / 2)))
        road(canvas, ends, rng.uniform(4, 9) * canvas.metre, marked=bool(rng.random() < 0.4))
    blocks = []
    for _ in range(rng.choice((1, 1, 2))):
        blocks += _block(canvas, turn)
    _sheds(canvas, turn, int(rng.integers(0, 4)))
    trees(canvas, int(rng.choice((4, 16, 40))))
    return "tennis court"


def _block(canvas: Canvas, turn: float) -> list[Polygon]:
    rng, size, m = canvas.rng, canvas.size, canvas.metre
    count = int(rng.choice((1, 1, 2, 2, 3, 4)))
    pitch, run_off = (COURT_WIDTH + rng.uniform(2.6, 6)) * m, rng.uniform(3.5, 6.5) * m
    center = (rng.uniform(0.25, 0.75) * size, rng.uniform(0.25, 0.75) * size)
    ground = oblong(center, COURT_LENGTH * m + 2 * run_off, count * pitch + 2 * m, turn)
    if not canvas.claim(ground, 2):
        return []
    court, surround = SURFACES[int(rng.integers(len(SURFACES)))]
    court, surround = canvas.jitter(court, 8), canvas.jitter(surround, 8)
    canvas.patch(ground, surround, roughness=0.03, mottling=0.04)
    canvas.line([*ground, ground[0]], lit_by(surround, 0.6), 0.6)
    white = canvas.jitter((214, 214, 206), 14)
    middles = place([(0, (k - (count - 1) / 2) * pitch) for k in range(count)], center, turn)
    return [_court(canvas, middle, turn, court, white) for middle in middles]


def _court(canvas: Canvas, center: Point, turn: float, colour: Colour, white: Colour) -> Polygon:
    m = canvas.metre
    outer = oblong(center, COURT_LENGTH * m, COURT_WIDTH * m, turn)
    canvas.polygon(outer, colour)
    width = max(0.5, 0.16 * m)
    half = COURT_LENGTH / 2

    def mark(*ends: Point) -> None:
        canvas.line(place(ends, center, turn, m), white, width)

    canvas.line([*outer, outer[0]], white, width)
    for y in (-SINGLES / 2, SINGLES / 2):
        mark((-half, y), (half, y))
    for x in (-SERVICE, SERVICE):
        mark((x, -SINGLES / 2), (x, SINGLES / 2))
    mark((-SERVICE, 0), (SERVICE, 0))
    net = place([(0, -COURT_WIDTH / 2 - 0.9), (0, COURT_WIDTH / 2 + 0.9)], center, turn, m)
    canvas.line(net, (60, 62, 62), max(0.5, 0.22 * m))
    canvas.label("tennis court", outer)
    return outer


def diamond(canvas: Canvas) -> str:
    """Paint one or two baseball diamonds: an infield of dirt in a field of grass."""
    rng, size = canvas.rng, canvas.size
    grass = canvas.choose(GRASS, 10)
    canvas.fill(grass, 0.1, rng.uniform(0.06, 0.16))
    side = float(min(0.66, max(0.24, rng.normal(0.43, 0.1)))) * size
    dirt = canvas.choose(((196, 168, 136), (190, 138, 104), (206, 184, 150), (178, 138, 120), (162, 152, 142)), 8)
    for _ in range(rng.choice((1, 1, 1, 2))):
        center = (rng.uniform(0.22, 0.78) * size, rng.uniform(0.22, 0.78) * size)
        turn = rng.uniform(0, 2 * math.pi)
        if canvas.claim(oblong(center, side * 1.15, side * 1.15, turn), 2):
            _infield(canvas, center, side, turn, grass=grass, dirt=dirt)
    turn = rng.uniform(0, math.pi)
    _sheds(canvas, turn, int(rng.integers(0, 3)))
    if rng.random() < 0.3:
        _parked(canvas, turn)
    trees(canvas, int(rng.choice((0, 5, 16, 30))))
    return "baseball diamond"


def _infield(canvas: Canvas, center: Point, side: float, turn: float, *, grass: Colour, dirt: Colour) -> None:
    """Draw dirt in a square of `side` with home plate at its corner (-1, -1) and a round far corner."""
    rng, h = canvas.rng, side / 2
    home = (-h, -h)
    middle = rng.uniform(0.25, 0.5)  # of the arc, near the pitcher's plate, as a share of the side
    reach = 1 - middle
    start = -math.asin(min(1, middle / reach))
    turns = _spread(start, math.pi / 2 - start, 22)
    arc = [(-h + side * (middle + reach * math.cos(t)), -h + side * (middle + reach * math.sin(t))) for t in turns]
    outfield = [(home[0] + (x - home[0]) * 1.9, home[1] + (y - home[1]) * 1.9) for x, y in arc]
    canvas.patch(place([home, *outfield], center, turn), lit_by(grass, rng.uniform(0.85, 1.12)), roughness=0.06, soft=2)
    canvas.patch(place([home, *arc], center, turn), dirt, roughness=0.05, mottling=0.05, soft=0.8)
    base = side * rng.uniform(0.66, 0.74)
    if rng.random() < 0.45:
        near, far = -h + 0.1 * side, -h + base
        lawn = [(near, near), (far, near), (far, far), (near, far)]
        canvas.patch(place(lawn, center, turn), lit_by(grass, 0.95), roughness=0.06, soft=0.6)
        for corner in lawn:
            canvas.patch(circle(place([corner], center, turn)[0], 0.09 * side), dirt, roughness=0.05, soft=0.6)
    mound = place([(-h + base / 2, -h + base / 2)], center, turn)[0]
    canvas.disc(mound, 0.05 * side, lit_by(dirt, 1.08))
    canvas.disc(place([(-h + 0.07 * side,) * 2], center, turn)[0], 0.06 * side, lit_by(dirt, 1.06))
    white = (226, 224, 216)
    if rng.random() < 0.6:
        for ends in ([home, (h * 2.4, -h)], [home, (-h, h * 2.4)]):
            inner = [(x + 0.05 * side, y + 0.05 * side) for x, y in ends]
            canvas.line(place(inner, center, turn), white, 0.5)
    fence = [(-h - 0.1 * side, h * 0.3), (-h - 0.1 * side, -h), (-h, -h - 0.1 * side), (h * 0.3, -h - 0.1 * side)]
    canvas.line(place(fence, center, turn), lit_by(dirt, 0.55), 0.8)
    canvas.label("baseball diamond", oblong(center, side, side, turn))


def _spread(start: float, stop: float, count: int) -> list[float]:
    return [start + (stop - start) * k / (count - 1) for k in range(count)]


def _sheds(canvas: Canvas, turn: float, count: int) -> None:
    """Draw a few buildings on free ground."""
    rng, size = canvas.rng, canvas.size
    bodies = []
    for _ in range(count):
        center = (rng.uniform(0, size), rng.uniform(0, size))
        body = oblong(center, rng.uniform(6, 26) * canvas.metre, rng.uniform(5, 14) * canvas.metre, turn)
        if canvas.claim(body, 2):
            bodies.append(body)
            canvas.shade(body, rng.uniform(3, 6) * canvas.metre)
    canvas.cast()
    for body in bodies:
        building(canvas, body, gabled=bool(rng.random() < 0.6))


def _parked(canvas: Canvas, turn: float) -> None:
    """Draw a row of parked cars on asphalt, if there is room."""
    rng, m = canvas.rng, canvas.metre
    center = (rng.uniform(0, canvas.size), rng.uniform(0, canvas.size))
    count = int(rng.integers(3, 9))
    ground = oblong(center, count * 2.9 * m, 9 * m, turn)
    if not canvas.claim(ground):
        return
    canvas.patch(ground, canvas.choose(ASPHALT), roughness=0.04)
    spots = place([((k - (count - 1) / 2) * 2.9 * m, 0) for k in range(count)], center, turn)
    spots = [spot for spot in spots if rng.random() < 0.7]
    for spot in spots:
        shade_car(canvas, spot, turn + math.pi / 2)
    canvas.cast()
    for spot in spots:
        car(canvas, spot, turn + math.pi / 2)
