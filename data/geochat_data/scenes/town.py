"""Where people live and park: residential streets and car parks."""

import math

from geochat_data.records import Point
from geochat_data.scenes.canvas import Canvas, oblong, place
from geochat_data.scenes.surroundings import ASPHALT, CONCRETE, GRASS, SOIL, building, car, road, shade_car, trees


def residential(canvas: Canvas) -> str:
    """Houses in rows along streets, with gardens, drives, trees and cars."""
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
    """Double rows of marked bays, more or less full."""
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
