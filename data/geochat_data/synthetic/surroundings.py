"""Surroundings of most scenes: trees, roads, cars, plain and gabled buildings."""

import math
from collections.abc import Sequence

from geochat_data.records import Point, Polygon
from geochat_data.synthetic.canvas import Canvas, Colour, circle, oblong, place

GRASS: Sequence[Colour] = ((96, 118, 78), (84, 110, 66), (120, 128, 92), (66, 92, 56), (110, 140, 90))
SOIL: Sequence[Colour] = ((178, 158, 132), (150, 130, 108), (196, 184, 160), (140, 122, 112))
CONCRETE: Sequence[Colour] = ((184, 182, 174), (160, 158, 150), (200, 194, 180), (172, 160, 140), (146, 152, 136))
ASPHALT: Sequence[Colour] = ((104, 102, 102), (88, 88, 92), (124, 120, 116), (140, 138, 136))
LEAVES: Sequence[Colour] = ((54, 78, 46), (66, 92, 52), (44, 66, 42), (82, 98, 60), (70, 80, 66))
ROOFS: Sequence[Colour] = (
    (150, 148, 146), (120, 116, 114), (168, 110, 84), (134, 96, 80), (190, 184, 176), (96, 92, 92),
    (186, 128, 96), (226, 224, 220), (146, 130, 112),
)  # fmt: skip
PAINTS: Sequence[Colour] = (
    (235, 235, 235), (235, 235, 235), (60, 60, 64), (44, 44, 48), (150, 152, 156), (190, 192, 196),
    (150, 40, 36), (52, 70, 120), (170, 160, 136), (200, 170, 60),
)  # fmt: skip


def trees(canvas: Canvas, count: int, *, radius: tuple[float, float] = (1.5, 5)) -> None:
    """Draw up to `count` trees of `radius` metres on free ground, with their shadows."""
    rng, found = canvas.rng, []
    woods = [tuple(rng.uniform(0, canvas.size, 2)) for _ in range(rng.integers(1, 4))]
    together = rng.uniform(0, 0.9)
    for _ in range(count):
        center = (rng.uniform(0, canvas.size), rng.uniform(0, canvas.size))
        if rng.random() < together:
            x, y = woods[rng.integers(len(woods))]
            center = (x + rng.normal(0, 0.1) * canvas.size, y + rng.normal(0, 0.1) * canvas.size)
        r = rng.uniform(*radius) * canvas.metre
        if canvas.free(circle(center, r, 8)):
            found.append((center, r))
            canvas.shade(circle(center, r * 0.8, 10), r * 1.1, base=r * 0.5)
    canvas.cast()
    colour = canvas.choose(LEAVES)
    for center, r in found:
        tree(canvas, center, r, canvas.jitter(colour, 8))


def clutter(canvas: Canvas) -> None:
    """Draw sheds and houses, parked cars, bushes and hedges on free ground."""
    rng, size, m = canvas.rng, canvas.size, canvas.metre
    turn, bodies, cars = rng.uniform(0, math.pi), [], []
    for _ in range(rng.integers(0, 9)):
        at = (rng.uniform(0, size), rng.uniform(0, size))
        body = oblong(at, rng.uniform(3, 16) * m, rng.uniform(3, 10) * m, turn + rng.choice((0, math.pi / 2)))
        yard = oblong(at, rng.uniform(14, 24) * m, rng.uniform(12, 18) * m, turn)
        if canvas.claim(body, 2):
            if rng.random() < 0.5 and canvas.free(yard):
                canvas.patch(yard, canvas.choose([*CONCRETE, *SOIL]), roughness=0.06, soft=0.6)
            bodies.append(body)
            canvas.shade(body, rng.uniform(2.2, 5) * m)
    for _ in range(rng.integers(0, 6)):
        at, angle = (rng.uniform(0, size), rng.uniform(0, size)), turn + rng.choice((0, math.pi / 2))
        if canvas.claim(oblong(at, 5.2 * m, 2.4 * m, angle), 1):
            cars.append((at, angle))
            shade_car(canvas, at, angle)
    canvas.cast()
    for body in bodies:
        building(canvas, body, gabled=bool(rng.random() < 0.7))
    for at, angle in cars:
        car(canvas, at, angle)
    _hedges(canvas, turn)


def _hedges(canvas: Canvas, turn: float) -> None:
    """Draw rows of bushes along and across."""
    rng, size, m = canvas.rng, canvas.size, canvas.metre
    leaf = canvas.choose(LEAVES)
    for _ in range(rng.integers(0, 3)):
        start, angle = (rng.uniform(0, size), rng.uniform(0, size)), turn + rng.choice((0, math.pi / 2))
        for k in range(int(rng.uniform(6, 40))):
            at = place([(k * 1.8 * m, rng.normal(0, 0.3) * m)], start, angle)[0]
            r = rng.uniform(0.7, 1.5) * m
            if canvas.free(circle(at, r, 6)):
                canvas.disc((at[0] + canvas.sun[0] * r, at[1] + canvas.sun[1] * r), r, lit_by(leaf, 0.4))
                tree(canvas, at, r, canvas.jitter(leaf, 8))


def tree(canvas: Canvas, center: Point, radius: float, colour: Colour) -> None:
    """Draw a crown of overlapping tufts, lighter towards the sun."""
    rng = canvas.rng
    canvas.disc(center, radius * 0.6, lit_by(colour, 0.7))
    norm = math.hypot(*canvas.sun)
    for _ in range(int(min(34, 8 + 1.5 * radius))):
        turn, far = rng.uniform(0, 2 * math.pi), radius * 0.8 * math.sqrt(rng.random())
        x, y = math.cos(turn) * far, math.sin(turn) * far
        light = -(x * canvas.sun[0] + y * canvas.sun[1]) / (norm * radius)
        shade = 1 + 0.45 * light + rng.normal(0, 0.18)
        canvas.disc((center[0] + x, center[1] + y), radius * rng.uniform(0.12, 0.3), lit_by(colour, shade))


def road(canvas: Canvas, points: Sequence[Point], width: float, *, marked: bool = True) -> None:
    """Draw a road `width` pixels wide, with a centre line if `marked`."""
    colour = canvas.choose(ASPHALT, 8)
    if canvas.rng.random() < 0.5:
        canvas.line(points, canvas.choose(CONCRETE, 6), width * 1.35)
    canvas.line(points, colour, width)
    if marked:
        canvas.line(points, (190, 180, 130), max(0.5, 0.25 * canvas.metre))


def car(canvas: Canvas, center: Point, angle: float, *, length: float = 4.6) -> None:
    """Draw a labelled car `length` metres long, with its windows."""
    size = length * canvas.metre * canvas.rng.uniform(0.93, 1.07)
    width = size * canvas.rng.uniform(0.38, 0.43)
    paint = canvas.choose(PAINTS, 8)
    body = oblong(center, size, width, angle)
    canvas.polygon(body, paint)
    glass = (38, 42, 50)
    for x, reach in ((0.14, 0.09), (-0.3, 0.06)):
        middle = place([(x * size, 0)], center, angle)[0]
        canvas.polygon(oblong(middle, reach * size, width * 0.8, angle), glass)
    canvas.label("car", body)


def shade_car(canvas: Canvas, center: Point, angle: float, *, length: float = 4.6) -> None:
    """Collect the shadow of a car that is drawn after `cast`."""
    size = length * canvas.metre
    canvas.shade(oblong(center, size, size * 0.4, angle), 1.3 * canvas.metre)


def building(canvas: Canvas, body: Polygon, *, gabled: bool) -> None:
    """Draw a labelled building on `body`; the ridge of a gabled one runs along its first side."""
    roof = canvas.choose(ROOFS, 10)
    if gabled:
        _gable(canvas, body, roof)
    else:
        canvas.polygon(body, lit_by(roof, 0.8))
        canvas.polygon(_inset(body, 0.94), lit_by(roof, 1.12))
        for _ in range(canvas.rng.integers(0, 6)):
            u, v = canvas.rng.uniform(-0.35, 0.35, 2)
            spot = _inside(body, u, v)
            angle = math.atan2(body[1][1] - body[0][1], body[1][0] - body[0][0])
            side = canvas.rng.uniform(0.8, 2.2) * canvas.metre
            canvas.polygon(oblong(spot, side, side, angle), lit_by(roof, canvas.rng.uniform(0.6, 1.3)))
    canvas.label("building", body)


def _gable(canvas: Canvas, body: Polygon, roof: Colour) -> None:
    a, b, c, d = body
    hip = canvas.rng.choice((0.0, 0.0, 0.22))
    start, end = _mix(_mix(a, d, 0.5), _mix(b, c, 0.5), hip), _mix(_mix(b, c, 0.5), _mix(a, d, 0.5), hip)
    for face in ((a, b, end, start), (d, c, end, start), (a, d, start), (b, c, end)):
        x = sum(p[0] for p in face) / len(face) - sum(p[0] for p in body) / 4
        y = sum(p[1] for p in face) / len(face) - sum(p[1] for p in body) / 4
        norm = (math.hypot(x, y) or 1) * math.hypot(*canvas.sun)
        lit = -(x * canvas.sun[0] + y * canvas.sun[1]) / norm
        canvas.polygon(face, lit_by(roof, 1 + 0.22 * lit))
    canvas.line((start, end), lit_by(roof, 1.2), 0.6)


def _inset(body: Polygon, share: float) -> list[Point]:
    x, y = sum(p[0] for p in body) / 4, sum(p[1] for p in body) / 4
    return [(x + (px - x) * share, y + (py - y) * share) for px, py in body]


def _inside(body: Polygon, u: float, v: float) -> Point:
    a, b, _, d = body
    return (
        a[0] + (b[0] - a[0]) * (u + 0.5) + (d[0] - a[0]) * (v + 0.5),
        a[1] + (b[1] - a[1]) * (u + 0.5) + (d[1] - a[1]) * (v + 0.5),
    )


def _mix(p: Point, q: Point, share: float) -> Point:
    return p[0] + (q[0] - p[0]) * share, p[1] + (q[1] - p[1]) * share


def lit_by(colour: Colour, factor: float) -> Colour:
    """The colour, lighter or darker by a factor."""
    return colour[0] * factor, colour[1] * factor, colour[2] * factor
