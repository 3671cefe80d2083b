"""Storage tanks: round roofs, a strip of wall on the side away from the viewer's zenith, a long shadow."""

import math
from collections.abc import Sequence

from geochat_data.records import Point
from geochat_data.scenes.canvas import Canvas, Colour, circle, oblong, place
from geochat_data.scenes.surroundings import ASPHALT, CONCRETE, GRASS, SOIL, building, lit_by, road, trees

ROOFS: Sequence[Colour] = (
    (238, 236, 230), (238, 236, 230), (226, 222, 214), (206, 196, 176), (180, 176, 170), (120, 178, 206),
    (206, 216, 196), (170, 140, 116),
)  # fmt: skip


def tank_farm(canvas: Canvas) -> str:
    """Tanks alone or in rows on soil, grass or concrete, with a few buildings."""
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
    roof = canvas.choose(ROOFS)
    for center, r in tanks:
        colour = roof if rng.random() < 0.75 else canvas.choose(ROOFS)
        draw_tank(canvas, center, r, (away[0] * r, away[1] * r), colour, style=style)
    trees(canvas, int(rng.choice((0, 4, 14))))
    return "storage tanks"


def _layout(canvas: Canvas, turn: float) -> list[tuple[Point, float]]:
    """Centres and radii of one block of tanks, or of single ones."""
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
    """A tank whose roof is shifted by `away` from its foot: relief displacement shows the wall."""
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
    """Plates, a stair and a vent on a large roof; a sunken floating roof at times."""
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
