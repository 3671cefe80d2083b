"""Solar farms: rows of dark panels on gravel or grass, all turned to the same sun."""

import math

from geochat_data.records import Polygon
from geochat_data.scenes.canvas import Canvas, oblong, place
from geochat_data.scenes.surroundings import CONCRETE, GRASS, SOIL, building, lit_by, trees

CELLS = ((36, 48, 82), (28, 36, 62), (44, 58, 96), (30, 34, 44))


def solar_farm(canvas: Canvas) -> str:
    """Tables of panels in rows, each table an object, with a track, a hut and a fence."""
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
        if _near(body, size) and rng.random() < 0.97 and canvas.claim(body)
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
    """One table: its panels in two rows, thin frames between them."""
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


def _near(body: Polygon, size: int) -> bool:
    xs, ys = zip(*body, strict=True)
    return min(xs) < size and max(xs) > 0 and min(ys) < size and max(ys) > 0
