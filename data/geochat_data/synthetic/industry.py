"""Painters of industry: storage tanks, industrial sites with large flat roofs, and solar farms.

Tanks have round roofs, a strip of wall on the side away from the viewer's zenith, and a long shadow. Works, warehouses
and shops have yards and parked cars. Solar panels stand in rows on gravel or grass, all turned to the same sun.
"""

import math
from collections.abc import Sequence

from geochat_data.records import Point, Polygon
from geochat_data.synthetic.canvas import Canvas, Colour, circle, oblong, place
from geochat_data.synthetic.surroundings import (
    ASPHALT,
    CONCRETE,
    GRASS,
    SOIL,
    building,
    car,
    lit_by,
    road,
    shade_car,
    trees,
)

TANK_ROOFS: Sequence[Colour] = (
    (238, 236, 230), (238, 236, 230), (226, 222, 214), (206, 196, 176), (180, 176, 170), (120, 178, 206),
    (206, 216, 196), (170, 140, 116),
)  # fmt: skip


def tank_farm(canvas: Canvas) -> str:
    """Paint tanks alone or in rows on soil, grass or concrete, with a few buildings."""
    rng, size = canvas.rng, canvas.size
    canvas.fill(canvas.choose([*SOIL, *GRASS, *CONCRETE, *ASPHALT], 10), 0.09, 0.1)
    turn = rng.uniform(0, math.pi)
    for _ in range(rng.integers(0, 3)):
        shift = rng.uniform(-0.5, 0.5) * size
        ends = place([(-2 * size, shift), (2 * size, shift)], (size / 2, size / 2), turn + rng.choice((0, math.pi / 2)))
        road(canvas, ends, rng.uniform(4, 9) * canvas.metre, marked=False)
    lean = rng.uniform(0, 0.12)
    away = place([(lean, 0)], (0, 0), rng.uniform(0, 2 * math.pi))[0]
    tanks = [(p, r) for p, r in _layout(canvas, turn) if canvas.claim(circle(p, r * (1 + lean), 16), 1)]
    bodies = [b for b in (_shed(canvas, turn) for _ in range(rng.integers(0, 4))) if canvas.claim(b, 2)]
    style = "open" if rng.random() < 0.15 else "roof"
    tall = rng.uniform(0.25, 0.8)
    for center, r in tanks:
        canvas.shade(circle(center, r), 1.5 * canvas.metre if style == "open" else min(r * tall, 16 * canvas.metre))
    for body in bodies:
        canvas.shade(body, rng.uniform(3, 8) * canvas.metre)
    canvas.cast()
    for body in bodies:
        building(canvas, body, gabled=bool(rng.random() < 0.3))
    roof = canvas.choose(TANK_ROOFS)
    for center, r in tanks:
        colour = roof if rng.random() < 0.75 else canvas.choose(TANK_ROOFS)
        draw_tank(canvas, center, r, (away[0] * r, away[1] * r), colour, style=style)
    trees(canvas, int(rng.choice((0, 4, 14))))
    return "storage tanks"


def _layout(canvas: Canvas, turn: float) -> list[tuple[Point, float]]:
    """Draw centres and radii of one block of tanks, or of single ones."""
    rng, size = canvas.rng, canvas.size
    radius = min(0.27, max(0.035, rng.lognormal(math.log(0.115), 0.5))) * size
    middle = (rng.uniform(0.3, 0.7) * size, rng.uniform(0.3, 0.7) * size)
    if rng.random() < 0.35:
        spots = [middle] + [(rng.uniform(0, size), rng.uniform(0, size)) for _ in range(rng.integers(0, 3))]
        return [(p, radius * rng.uniform(0.5, 1)) for p in spots]
    pitch = radius * rng.uniform(2.2, 3.2)
    rows, columns = rng.integers(1, 4), rng.integers(1, 4)
    grid = [
        ((c - (columns - 1) / 2) * pitch, (r - (rows - 1) / 2) * pitch) for r in range(rows) for c in range(columns)
    ]
    return [(p, radius * rng.uniform(0.92, 1.0)) for p in place(grid, middle, turn) if rng.random() < 0.9]


def draw_tank(canvas: Canvas, center: Point, r: float, away: Point, colour: Colour, *, style: str) -> None:
    """Draw a tank whose roof is shifted by `away` from its base, as by relief displacement, so that its wall shows."""
    rng = canvas.rng
    top = (center[0] + away[0], center[1] + away[1])
    steps = 6
    for k in range(steps):
        foot = (center[0] + away[0] * k / steps, center[1] + away[1] * k / steps)
        canvas.disc(foot, r, lit_by(colour, 0.72))
    canvas.disc(top, r, lit_by(colour, 0.9))
    if style == "open":
        canvas.disc(top, r * 0.93, canvas.jitter((56, 62, 60), 10))
        turn = rng.uniform(0, math.pi)
        for across in (0, math.pi / 2)[: rng.integers(1, 3)]:
            canvas.line(place([(-r, 0), (r, 0)], top, turn + across), lit_by(colour, 0.85), 0.06 * r)
        canvas.disc(top, r * 0.08, colour)
    else:
        canvas.disc(top, r * rng.uniform(0.9, 0.97), colour)
        if r > 10:
            _fittings(canvas, top, r, colour)
    left, upper = min(center[0], top[0]) - r, min(center[1], top[1]) - r
    right, lower = max(center[0], top[0]) + r, max(center[1], top[1]) + r
    canvas.label("storage tank", ((left, upper), (right, upper), (right, lower), (left, lower)))


def _fittings(canvas: Canvas, top: Point, r: float, colour: Colour) -> None:
    """Draw plates, a stair and a vent on a large roof, or a sunken floating roof."""
    rng = canvas.rng
    if rng.random() < 0.2:
        norm = math.hypot(*canvas.sun)
        canvas.disc(top, r * 0.9, lit_by(colour, 0.5))
        lit = (top[0] + canvas.sun[0] / norm * r * 0.14, top[1] + canvas.sun[1] / norm * r * 0.14)
        canvas.disc(lit, r * 0.76, lit_by(colour, 0.92))
    for _ in range(rng.integers(0, 6)):
        spot = place([(rng.uniform(0, 0.7) * r, 0)], top, rng.uniform(0, 6.3))[0]
        canvas.disc(spot, rng.uniform(0.02, 0.06) * r, lit_by(colour, rng.uniform(0.6, 0.9)))
    if rng.random() < 0.6:
        turn = rng.uniform(0, 6.3)
        canvas.line(place([(0.1 * r, 0), (0.98 * r, 0)], top, turn), lit_by(colour, 0.6), 0.035 * r)
    if rng.random() < 0.5:
        canvas.disc(top, 0.05 * r, lit_by(colour, 0.6))


def _shed(canvas: Canvas, turn: float) -> tuple[Point, Point, Point, Point]:
    rng, size = canvas.rng, canvas.size
    center = (rng.uniform(0, size), rng.uniform(0, size))
    return oblong(
        center, rng.uniform(0.1, 0.4) * size, rng.uniform(0.06, 0.18) * size, turn + rng.choice((0, math.pi / 2))
    )


HALL_ROOFS = ((214, 214, 210), (236, 234, 228), (168, 166, 160), (146, 142, 138), (190, 180, 164), (120, 132, 142))


def works(canvas: Canvas) -> str:
    """Paint a few halls in a yard next to a road."""
    rng, size, m = canvas.rng, canvas.size, canvas.metre
    canvas.fill(canvas.choose([*ASPHALT, *CONCRETE], 10), 0.06, 0.07)
    turn, middle = rng.uniform(0, math.pi), (size / 2, size / 2)
    shift = rng.choice((-1, 1)) * rng.uniform(0.25, 0.5) * size
    street = place([(-2 * size, shift), (2 * size, shift)], middle, turn)
    verge = oblong(place([(0, shift)], middle, turn)[0], 4 * size, rng.uniform(14, 24) * m, turn)
    canvas.patch(verge, canvas.choose(GRASS), roughness=0.12)
    road(canvas, street, rng.uniform(7, 13) * m)
    canvas.reserve(verge)
    halls = []
    for _ in range(10):
        center = (rng.uniform(0, size), rng.uniform(0, size))
        hall = oblong(center, rng.uniform(18, 60) * m, rng.uniform(14, 36) * m, turn + rng.choice((0, math.pi / 2)))
        if canvas.claim(hall, 3 * m):
            halls.append(hall)
            canvas.shade(hall, rng.uniform(5, 14) * m)
    cars = [spot for hall in halls for spot in _parked(canvas, hall)]
    for spot, angle in cars:
        shade_car(canvas, spot, angle)
    canvas.cast()
    for hall in halls:
        _hall(canvas, hall)
    for spot, angle in cars:
        car(canvas, spot, angle)
    trees(canvas, int(rng.choice((3, 12, 25))), radius=(1.2, 3.5))
    return "buildings"


def _hall(canvas: Canvas, body: Polygon) -> None:
    """Draw a labelled hall: parapet, seams of the roof, skylights and machines that throw small shadows."""
    rng, m = canvas.rng, canvas.metre
    roof: Colour = canvas.choose(HALL_ROOFS, 10)
    canvas.patch(body, roof, roughness=0.025, mottling=0.06)
    canvas.line([*body, body[0]], lit_by(roof, 0.75), max(0.6, 0.5 * m))
    a, b, _, d = body
    angle, wide, deep = math.atan2(b[1] - a[1], b[0] - a[0]), math.dist(a, b), math.dist(a, d)
    center = (sum(p[0] for p in body) / 4, sum(p[1] for p in body) / 4)
    if rng.random() < 0.6:
        step = rng.uniform(4, 9) * m
        for k in range(1, int(wide / step)):
            x = -wide / 2 + k * step
            canvas.line(
                place([(x, -deep / 2), (x, deep / 2)], center, angle), lit_by(roof, rng.uniform(0.86, 0.95)), 0.4
            )
    for _ in range(rng.integers(2, 14)):
        at = place([(rng.uniform(-0.42, 0.42) * wide, rng.uniform(-0.42, 0.42) * deep)], center, angle)[0]
        side = rng.uniform(0.8, 3) * m
        dark = (at[0] + canvas.sun[0] * side * 0.6, at[1] + canvas.sun[1] * side * 0.6)
        canvas.polygon(oblong(dark, side, side * 0.8, angle), lit_by(roof, 0.5))
        canvas.polygon(oblong(at, side, side * 0.8, angle), lit_by(roof, rng.uniform(0.8, 1.15)))
    canvas.label("building", body)


def _parked(canvas: Canvas, hall: Polygon) -> list[tuple[Point, float]]:
    """Places of cars along one side of a hall, on free ground."""
    rng, m = canvas.rng, canvas.metre
    a, b = hall[:2]
    across = math.atan2(b[1] - a[1], b[0] - a[0])
    out = place([(0, -5.5 * m)], (0, 0), across)[0]
    found = []
    for k in range(int(math.dist(a, b) / (2.9 * m))):
        t = (k + 0.5) * 2.9 * m / math.dist(a, b)
        spot = (a[0] + (b[0] - a[0]) * t + out[0], a[1] + (b[1] - a[1]) * t + out[1])
        bay = oblong(spot, 5 * m, 2.6 * m, across + math.pi / 2)
        inside = all(0 <= v <= canvas.size for v in spot)
        if inside and rng.random() < 0.6 and canvas.claim(bay):
            found.append((spot, across + math.pi / 2))
    return found


CELLS = ((36, 48, 82), (28, 36, 62), (44, 58, 96), (30, 34, 44))


def solar_farm(canvas: Canvas) -> str:
    """Paint tables of panels in rows, each table an object, with a track, a hut and a fence."""
    rng, size, m = canvas.rng, canvas.size, canvas.metre
    ground = canvas.choose([*GRASS, *SOIL], 10)
    canvas.fill(ground, 0.1, 0.09)
    turn, middle = rng.uniform(-0.4, 0.4) + (math.pi / 2 if rng.random() < 0.15 else 0), (size / 2, size / 2)
    long, deep = rng.uniform(14, 44) * m, rng.uniform(3.2, 6.5) * m
    pitch, gap = deep * rng.uniform(1.5, 2.4), rng.uniform(0.8, 5) * m
    reach = (rng.uniform(0.3, 0.9) * size, rng.uniform(0.3, 0.9) * size)
    track = rng.uniform(-0.3, 0.3) * size
    canvas.line(place([(track, -2 * size), (track, 2 * size)], middle, turn), lit_by(ground, 1.25), 4.5 * m)
    canvas.reserve(oblong(place([(track, 0)], middle, turn)[0], 5 * m, 4 * size, turn))
    hut = oblong(place([(track + 7 * m, rng.uniform(-0.4, 0.4) * size)], middle, turn)[0], 6 * m, 3 * m, turn)
    canvas.claim(hut, 1)
    tables = [
        body
        for row in range(-int(reach[1] / pitch), int(reach[1] / pitch) + 1)
        for column in range(-int(reach[0] / (long + gap)), int(reach[0] / (long + gap)) + 1)
        for body in [oblong(place([(column * (long + gap), row * pitch)], middle, turn)[0], long, deep, turn)]
        if _visible(body, size) and rng.random() < 0.97 and canvas.claim(body)
    ]
    for body in tables:
        canvas.shade(body, 1.6 * m)
    canvas.shade(hut, 3 * m)
    canvas.cast()
    cells, frame = canvas.choose(CELLS, 5), canvas.choose(CONCRETE, 8)
    glint = rng.uniform(0.9, 1.6)
    for body in tables:
        _table(canvas, body, (cells[0] * glint, cells[1] * glint, cells[2] * glint), frame)
    building(canvas, hut, gabled=False)
    trees(canvas, int(rng.choice((0, 6, 20))))
    return "solar farm"


def _table(canvas: Canvas, body: Polygon, cells: tuple[float, float, float], frame: tuple[float, float, float]) -> None:
    """Draw one table: panels in two rows with thin frames."""
    canvas.polygon(body, lit_by(cells, canvas.rng.uniform(0.92, 1.08)))
    a, b, c, d = body
    width = max(0.5, 0.12 * canvas.metre)
    columns = max(2, round(math.dist(a, b) / (2.2 * canvas.metre)))
    for k in range(1, columns):
        t = k / columns
        ends = [
            (a[0] + (b[0] - a[0]) * t, a[1] + (b[1] - a[1]) * t),
            (d[0] + (c[0] - d[0]) * t, d[1] + (c[1] - d[1]) * t),
        ]
        canvas.line(ends, lit_by(cells, 1.35), width)
    canvas.line([((a[0] + d[0]) / 2, (a[1] + d[1]) / 2), ((b[0] + c[0]) / 2, (b[1] + c[1]) / 2)], frame, width)
    canvas.label("solar panel", body)


def _visible(body: Polygon, size: int) -> bool:
    xs, ys = zip(*body, strict=True)
    return min(xs) < size and max(xs) > 0 and min(ys) < size and max(ys) > 0
