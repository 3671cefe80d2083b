"""Painters of towns: residential streets, car parks, junctions with traffic, and runways."""

import math

from geochat_data.records import Point
from geochat_data.synthetic.canvas import Canvas, Colour, oblong, place
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


def residential(canvas: Canvas) -> str:
    """Paint houses in rows along streets, with gardens, drives, trees and cars."""
    rng, size, m = canvas.rng, canvas.size, canvas.metre
    canvas.fill(canvas.choose([*GRASS, *GRASS, *SOIL], 12), 0.14, 0.14)
    turn = rng.uniform(0, math.pi)
    middle = (size / 2, size / 2)
    lot, depth, width = rng.uniform(15, 26) * m, rng.uniform(20, 30) * m, rng.uniform(6, 9) * m
    block = 2 * depth + width
    shift = rng.uniform(-0.5, 0.5) * block
    houses, cars = [], []
    for k in range(-int(size / block) - 2, int(size / block) + 3):
        y = k * block + shift
        street = place([(-size, y), (size, y)], middle, turn)
        road(canvas, street, width, marked=False)
        canvas.reserve(oblong(place([(0, y)], middle, turn)[0], 2 * size, width, turn))
        for side in (-1, 1):
            for j in range(-int(size / lot), int(size / lot) + 1):
                at = place([(j * lot, y + side * (width / 2 + depth * 0.5))], middle, turn)[0]
                if _near(at, size, 20 * m) and rng.random() < 0.9:
                    houses.append((at, side))
        cars += [place([(rng.uniform(-0.7, 0.7) * size, y + s * width * 0.3)], middle, turn)[0] for s in (-1, 1)]
    bodies = []
    for at, side in houses:
        long, short = min(lot * 0.85, rng.uniform(11, 18) * m), rng.uniform(8, 12) * m
        body = oblong(at, long, short, turn + rng.normal(0, 0.03) + rng.choice((0, math.pi)))
        if canvas.claim(body, 0.5):
            bodies.append(body)
            canvas.shade(body, rng.uniform(3.5, 6) * m)
            drive = place([(lot * 0.3, -side * depth * 0.5), (lot * 0.3, 0)], at, turn)
            canvas.line(drive, canvas.choose(CONCRETE), 3 * m)
    cars = [spot for spot in cars if _near(spot, size, 0)]
    for spot in cars:
        shade_car(canvas, spot, turn)
    canvas.cast()
    for body in bodies:
        building(canvas, body, gabled=bool(rng.random() < 0.9))
    for spot in cars:
        car(canvas, spot, turn)
    trees(canvas, int(rng.choice((10, 30, 70))), radius=(1.5, 4.5))
    return "medium residential"


def car_park(canvas: Canvas) -> str:
    """Paint double rows of marked bays, more or less full."""
    rng, size, m = canvas.rng, canvas.size, canvas.metre
    canvas.fill(canvas.choose(ASPHALT, 10), 0.04, 0.05)
    turn = rng.uniform(0, math.pi)
    bay, length, aisle = rng.uniform(2.6, 2.9) * m, 5.2 * m, rng.uniform(6, 9) * m
    reach, filled = rng.uniform(0.25, 0.8) * size, rng.uniform(0.25, 0.95)
    middle = (size / 2, size / 2)
    pitch = 2 * length + aisle
    shift = rng.uniform(-0.5, 0.5) * pitch
    white, spots = canvas.jitter((196, 196, 190), 12), []
    rows = int(size / pitch) + 1
    for k in range(-rows, rows + 1):
        y = k * pitch + shift
        canvas.line(place([(-reach, y), (reach, y)], middle, turn), white, 0.15 * m)
        for side in (-1, 1):
            for j in range(int(2 * reach / bay)):
                x = -reach + j * bay
                canvas.line(place([(x, y), (x, y + side * length)], middle, turn), white, 0.12 * m)
                spot = place([(x + bay / 2 + rng.normal(0, 0.1) * m, y + side * length * 0.5)], middle, turn)[0]
                if rng.random() < filled and _near(spot, size, 3 * m):
                    spots.append((spot, turn + math.pi / 2 + rng.normal(0, 0.02) + rng.choice((0, math.pi))))
    for spot, angle in spots:
        shade_car(canvas, spot, angle)
    canvas.cast()
    for spot, angle in spots:
        car(canvas, spot, angle)
        canvas.reserve(oblong(spot, length, bay, angle))
    trees(canvas, int(rng.choice((0, 3, 10))), radius=(1.5, 3))
    return "parking lot"


def _near(point: Point, size: int, margin: float) -> bool:
    return all(-margin <= v <= size + margin for v in point)


LANE = 3.4  # metres
Spot = tuple[Point, float]


def junction(canvas: Canvas) -> str:
    """Paint two roads that cross, or one that ends at another, with cars in their lanes."""
    rng, size, m = canvas.rng, canvas.size, canvas.metre
    canvas.fill(canvas.choose([*GRASS, *GRASS, *SOIL], 10), 0.1, 0.08)
    turn, middle = rng.uniform(0, math.pi), (size * rng.uniform(0.38, 0.62), size * rng.uniform(0.38, 0.62))
    asphalt, paving = canvas.choose(ASPHALT, 8), canvas.choose(CONCRETE, 8)
    lanes = [int(rng.choice((1, 1, 2, 3))), int(rng.choice((1, 1, 2)))]
    arms = [(turn + k * math.pi / 2, lanes[k % 2]) for k in range(4 if rng.random() < 0.75 else 3)]
    reach = 2.0 * size
    for angle, count in arms:
        pavement = rng.uniform(1.5, 4) * m
        canvas.line(place([(0, 0), (reach, 0)], middle, angle), paving, 2 * count * LANE * m + 2 * pavement)
    for angle, count in arms:
        canvas.line(place([(0, 0), (reach, 0)], middle, angle), asphalt, 2 * count * LANE * m)
        canvas.reserve(oblong(place([(reach / 2, 0)], middle, angle)[0], reach, 2 * count * LANE * m + 4 * m, angle))
    half = max(lanes) * LANE * m
    canvas.polygon(oblong(middle, 2 * half, 2 * half, turn), asphalt)
    zebra = bool(rng.random() < 0.6)
    for angle, count in arms:
        _markings(canvas, middle, angle, count, half=half, zebra=zebra)
    cars = _traffic(canvas, arms, middle, half)
    _corners(canvas, middle, turn, half)
    for spot, angle in cars:
        shade_car(canvas, spot, angle)
    canvas.cast()
    for spot, angle in cars:
        car(canvas, spot, angle)
    trees(canvas, int(rng.choice((5, 20, 45))), radius=(1.5, 4.5))
    return "intersection"


def _markings(canvas: Canvas, middle: Point, angle: float, lanes: int, *, half: float, zebra: bool) -> None:
    """Draw the centre line, lane lines, stop line and perhaps a crossing on one arm."""
    m, size, white = canvas.metre, canvas.size, canvas.jitter((206, 204, 196), 12)
    thin, start = max(0.5, 0.18 * m), half + (5 * m if zebra else 1.5 * m)
    yellow: Colour = canvas.jitter((196, 170, 84), 10)
    canvas.line(place([(start, 0), (2 * size, 0)], middle, angle), yellow, thin)
    for lane in range(1, lanes):
        for side in (-1, 1):
            y, x = side * lane * LANE * m, start
            while x < 1.5 * size:
                canvas.line(place([(x, y), (x + 3 * m, y)], middle, angle), white, thin)
                x += 9 * m
    edge = lanes * LANE * m
    canvas.line(place([(start, -edge), (start, 0)], middle, angle), white, max(0.7, 0.4 * m))
    if zebra:
        y = -edge + 0.5 * m
        while y < edge:
            canvas.line(place([(half + 1 * m, y), (half + 3.6 * m, y)], middle, angle), white, 0.5 * m)
            y += 1.1 * m


def _traffic(canvas: Canvas, arms: list[tuple[float, int]], middle: Point, half: float) -> list[Spot]:
    """Places of cars in the lanes: on the right, facing their direction of travel."""
    rng, m = canvas.rng, canvas.metre
    found, dense = [], rng.uniform(0.1, 0.6)
    for angle, lanes in arms:
        for lane in range(-lanes, lanes):
            y, x = (lane + 0.5) * LANE * m, half + 8 * m
            while x < 1.2 * canvas.size:
                spot = place([(x, y + rng.normal(0, 0.15) * m)], middle, angle)[0]
                if rng.random() < dense and all(-3 * m < v < canvas.size + 3 * m for v in spot):
                    found.append((spot, angle + (math.pi if y < 0 else 0)))
                x += rng.uniform(6.5, 26) * m
    return found


def _corners(canvas: Canvas, middle: Point, turn: float, half: float) -> None:
    """Draw buildings and car parks in the quarters between the roads."""
    rng, m = canvas.rng, canvas.metre
    bodies = []
    for k in range(4):
        angle = turn + math.pi / 4 + k * math.pi / 2
        for _ in range(rng.integers(1, 4)):
            away = half * 1.5 + rng.uniform(12, 60) * m
            center = place([(away, rng.uniform(-0.5, 0.5) * away)], middle, angle)[0]
            body = oblong(center, rng.uniform(10, 34) * m, rng.uniform(9, 24) * m, turn)
            apron = oblong(center, 44 * m, 34 * m, turn)
            if canvas.claim(body, 2):
                if rng.random() < 0.5 and canvas.free(apron):
                    canvas.patch(apron, canvas.choose([*ASPHALT, *CONCRETE]), roughness=0.05)
                bodies.append(body)
                canvas.shade(body, rng.uniform(3.5, 9) * m)
    canvas.cast()
    for body in bodies:
        building(canvas, body, gabled=bool(rng.random() < 0.35))


def runway(canvas: Canvas) -> str:
    """Paint a runway with its centre line, edges, tyre marks and, at its end, the bars of the threshold."""
    rng, size, m = canvas.rng, canvas.size, canvas.metre
    canvas.fill(canvas.choose([*GRASS, *SOIL], 10), 0.1, 0.1)
    turn, middle = rng.uniform(0, 2 * math.pi), (size * rng.uniform(0.35, 0.65), size * rng.uniform(0.35, 0.65))
    wide, white = rng.uniform(28, 52) * m, canvas.jitter((222, 222, 216), 10)
    asphalt = canvas.choose([*ASPHALT, *CONCRETE], 10)
    start = rng.uniform(-0.4, 0.1) * size if rng.random() < 0.4 else -2 * size
    shoulder = oblong(place([(start / 2 + size, 0)], middle, turn)[0], 2 * size - start, wide * 1.35, turn)
    canvas.patch(shoulder, lit_by(asphalt, rng.uniform(0.8, 1.3)), roughness=0.06, soft=0.5)
    strip = oblong(place([(start / 2 + size, 0)], middle, turn)[0], 2 * size - start, wide, turn)
    canvas.patch(strip, asphalt, roughness=0.05, mottling=0.08)
    for _ in range(rng.integers(8, 30)):
        y, x = rng.normal(0, 0.12) * wide, rng.uniform(start, 1.2 * size)
        long = rng.uniform(8, 40) * m
        tint = lit_by(asphalt, rng.uniform(0.72, 0.94))
        canvas.line(place([(x, y), (x + long, y)], middle, turn), tint, rng.uniform(0.3, 0.9) * m)
    canvas.reserve(shoulder)
    for side in (-1, 1):
        edge = side * wide * 0.48
        canvas.line(place([(start, edge), (2 * size, edge)], middle, turn), white, max(0.5, 0.9 * m))
    x = max(start + 70 * m, -1.5 * size)
    while x < 1.5 * size:
        canvas.polygon(oblong(place([(x, 0)], middle, turn)[0], 30 * m, 0.9 * m, turn), white)
        x += 50 * m
    if start > -size:
        bars = int(wide / (3.6 * m))
        for k in range(bars):
            y = (k - (bars - 1) / 2) * 3.4 * m
            canvas.polygon(oblong(place([(start + 22 * m, y)], middle, turn)[0], 30 * m, 1.8 * m, turn), white)
    return "runway"
