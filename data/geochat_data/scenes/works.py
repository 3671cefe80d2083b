"""Large flat-roofed buildings with yards, lorries' bays and parked cars: works, warehouses, shops."""

import math

from geochat_data.records import Point, Polygon
from geochat_data.scenes.canvas import Canvas, Colour, oblong, place
from geochat_data.scenes.surroundings import ASPHALT, CONCRETE, GRASS, car, lit_by, road, shade_car, trees

ROOFS = ((214, 214, 210), (236, 234, 228), (168, 166, 160), (146, 142, 138), (190, 180, 164), (120, 132, 142))


def works(canvas: Canvas) -> str:
    """A few halls in a yard beside a road."""
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
    """A labelled hall: parapet, seams of the roof, skylights and machines that throw small shadows."""
    rng, m = canvas.rng, canvas.metre
    roof: Colour = canvas.choose(ROOFS, 10)
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
    """Cars along one side of a hall, where nothing else is."""
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
