"""Painter of airports: aprons and taxiways with airplanes seen from above.

An airplane is built from outlines in its own frame, nose at x = 0.5, tail at x = -0.5, in lengths of the
fuselage; its box is the extent of those outlines, nose to tail by wingtip to wingtip.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from geochat_data.records import Point, Polygon
from geochat_data.synthetic.canvas import Canvas, Colour, oblong, place
from geochat_data.synthetic.surroundings import CONCRETE, GRASS, PAINTS, SOIL, building, lit_by, trees

LIVERIES: Sequence[Colour] = (
    (238, 238, 236), (238, 238, 236), (238, 238, 236), (226, 222, 210), (196, 200, 206), (170, 172, 176),
    (58, 62, 140), (228, 214, 186),
)  # fmt: skip
FINS: Sequence[Colour] = ((40, 56, 130), (170, 40, 40), (230, 230, 230), (200, 110, 40), (50, 60, 70), (50, 110, 80))


@dataclass(frozen=True, slots=True)
class Airframe:
    """The proportions of one airplane, in fuselage lengths."""

    span: float
    body: float
    root: tuple[float, float]  # leading and trailing edge of the wing at the fuselage
    sweep: float  # how far back the tip lies behind the root's leading edge
    taper: float
    tail: float
    tail_sweep: float
    engines: tuple[tuple[float, float], ...]  # x and |y| of each pair
    engine: float


def airframe(rng: np.random.Generator) -> Airframe:
    """Draw the proportions of an airliner, a rear-engined jet or a light airplane."""
    kind = rng.choice(3, p=(0.5, 0.32, 0.18))
    if kind == 0:
        span = rng.uniform(0.82, 1.02)
        lead, chord = rng.uniform(0.1, 0.18), rng.uniform(0.2, 0.26)
        pairs = (0.17,) if rng.random() < 0.75 else (0.16, 0.3)
        sweep = rng.uniform(0.2, 0.3)
        engines = tuple((lead - sweep * y / (span / 2) + 0.04, y) for y in pairs)
        body, tail = rng.uniform(0.095, 0.125), rng.uniform(0.34, 0.42)
        return Airframe(span, body, (lead, lead - chord), sweep, 0.06, tail, 0.1, engines, rng.uniform(0.03, 0.045))
    if kind == 1:
        lead = rng.uniform(0.02, 0.1)
        span, sweep = rng.uniform(0.72, 0.98), rng.uniform(0.12, 0.25)
        engines = ((-0.27, 0.085),)
        return Airframe(span, rng.uniform(0.08, 0.115), (lead, lead - 0.19), sweep, 0.06, 0.32, 0.1, engines, 0.035)
    span = rng.uniform(1.0, 1.35)
    engines = ((0.24, 0.2),) if rng.random() < 0.6 else ()
    lead = rng.uniform(0.18, 0.24)
    return Airframe(span, rng.uniform(0.11, 0.14), (lead, lead - 0.18), 0.04, 0.13, 0.4, 0.05, engines, 0.035)


def _outlines(frame: Airframe) -> dict[str, list[Point]]:
    """Closed outlines by part; wings and tailplane span both sides."""
    half, b = frame.span / 2, frame.body / 2
    lead, trail = frame.root
    tip = lead - frame.sweep
    nose = [(0.5, 0), (0.485, b * 0.45), (0.45, b * 0.8), (0.39, b)]
    side = [*nose, (-0.22, b), (-0.38, b * 0.65), (-0.5, b * 0.15)]
    wing = [(lead, 0), (tip, half), (tip - frame.taper, half), (min(trail + 0.02, tip), half * 0.35), (trail, 0)]
    back = -0.5 + frame.taper * 0.5
    tail = [
        (-0.36, 0),
        (-0.36 - frame.tail_sweep, frame.tail / 2),
        (max(-0.5, back - 0.06), frame.tail / 2),
        (-0.47, 0),
    ]
    return {name: _mirrored(part) for name, part in (("wing", wing), ("tail", tail), ("body", side))}


def _mirrored(side: list[Point]) -> list[Point]:
    return side + [(x, -y) for x, y in reversed(side)]


def airplane_box(frame: Airframe, center: Point, angle: float, length: float) -> Polygon:
    """The box of an airplane; the middle of its fuselage is at `center`."""
    return oblong(center, length, frame.span * length, angle)


def shade_airplane(canvas: Canvas, frame: Airframe, center: Point, angle: float, length: float) -> None:
    """Collect the shadow of an airplane that is drawn after `cast`."""
    height = min(5.5 * canvas.metre, 0.14 * length)
    for part in _outlines(frame).values():
        canvas.shade(place(part, center, angle, length), height, base=height * 0.5)
    canvas.shade(
        place([(-0.36, -0.005), (-0.5, -0.005), (-0.5, 0.005), (-0.36, 0.005)], center, angle, length), height * 2.4
    )


def draw_airplane(canvas: Canvas, frame: Airframe, center: Point, angle: float, length: float) -> None:
    """Draw one labelled airplane, nose towards `angle`."""
    rng, parts = canvas.rng, _outlines(frame)
    livery = canvas.choose(LIVERIES, 6)
    wings = livery if rng.random() < 0.55 else canvas.jitter((196, 198, 198), 12)
    lit = 1 if math.sin(angle) * canvas.sun[0] - math.cos(angle) * canvas.sun[1] < 0 else -1
    canvas.polygon(place(parts["wing"], center, angle, length), wings)
    _engines(canvas, frame, center, angle, length=length, colour=lit_by(wings, rng.uniform(0.7, 1.0)))
    half, b = frame.span / 2, frame.body / 2
    flap = [(frame.root[1] + 0.03, b), (frame.root[0] - frame.sweep - frame.taper + 0.01, half * 0.9)]
    for sign in (1, -1):
        canvas.line(place([(x, sign * y) for x, y in flap], center, angle, length), lit_by(wings, 0.8), 0.008 * length)
    canvas.polygon(place(parts["tail"], center, angle, length), wings)
    canvas.polygon(place(parts["body"], center, angle, length), lit_by(livery, 0.8))
    bright = [(x * 0.99, y * 0.62 + lit * b * 0.18) for x, y in parts["body"]]
    canvas.polygon(place(bright, center, angle, length), lit_by(livery, 1.04))
    if rng.random() < 0.4:
        stripe = [(0.3, lit * b * 0.5), (-0.3, lit * b * 0.5)]
        canvas.line(place(stripe, center, angle, length), canvas.choose(FINS), 0.012 * length)
    canvas.polygon(
        place([(0.47, -b * 0.4), (0.455, -b * 0.5), (0.455, b * 0.5), (0.47, b * 0.4)], center, angle, length),
        (50, 54, 60),
    )
    canvas.line(place([(-0.34, 0), (-0.495, 0)], center, angle, length), canvas.choose(FINS), 0.022 * length)
    canvas.label("airplane", airplane_box(frame, center, angle, length))


def _engines(canvas: Canvas, frame: Airframe, center: Point, angle: float, *, length: float, colour: Colour) -> None:
    r = frame.engine / 2
    pod = [(0.055, 0.6 * r), (0.045, r), (-0.02, r), (-0.055, 0.5 * r)]
    for x, y in frame.engines:
        for sign in (1, -1):
            outline = [(x + px, sign * y + py) for px, py in _mirrored(pod)]
            canvas.polygon(place(outline, center, angle, length), colour)


def apron(canvas: Canvas) -> str:
    """Paint airplanes parked on concrete, alone, in a row or about a terminal."""
    rng, size = canvas.rng, canvas.size
    canvas.fill(canvas.choose(CONCRETE, 14), rng.uniform(0.02, 0.06), rng.uniform(0.03, 0.09))
    turn = rng.uniform(0, 2 * math.pi)
    _slabs(canvas, turn)
    _stains(canvas)
    style = rng.choice(("free", "row", "strip"), p=(0.45, 0.35, 0.2))
    if style == "strip":
        _verges(canvas, turn)
    _lines(canvas, turn, style == "strip")
    terminal = style != "strip" and rng.random() < 0.4
    body = _terminal(canvas, turn) if terminal else None
    planes = [p for p in _positions(canvas, style, turn) if canvas.claim(airplane_box(*p), 1)]
    vehicles = _vehicles(canvas, 0 if style == "strip" else int(rng.integers(0, 14)))
    for plane in planes:
        shade_airplane(canvas, *plane)
    for center, angle, length in vehicles:
        canvas.shade(oblong(center, length, length * 0.4, angle), 2 * canvas.metre)
    canvas.cast()
    if body is not None:
        building(canvas, body, gabled=False)
    for center, angle, length in vehicles:
        canvas.polygon(oblong(center, length, length * 0.4, angle), canvas.choose(PAINTS, 8))
        canvas.ignore("car", oblong(center, length, length * 0.4, angle))
    for plane in planes:
        draw_airplane(canvas, *plane)
    if rng.random() < 0.25:
        trees(canvas, int(size / 40))
    return "airplane"


def _positions(canvas: Canvas, style: str, turn: float) -> list[tuple[Airframe, Point, float, float]]:
    rng, size = canvas.rng, canvas.size
    frame = airframe(rng)
    length = float(np.clip(rng.lognormal(math.log(0.37), 0.45), 0.1, 0.75)) * size
    if style == "row":
        gap = length * (frame.span + rng.uniform(0.04, 0.3))
        count = int(rng.integers(2, 7))
        start = (size * rng.uniform(0.3, 0.7), size * rng.uniform(0.3, 0.7))
        first = -(count - 1) / 2 * gap
        where = [place([(rng.normal(0, 0.03) * length, first + k * gap)], start, turn)[0] for k in range(count)]
        return [(frame, p, turn + rng.normal(0, 0.03), length) for p in where]
    planes = []
    for _ in range(1 if style == "strip" else int(rng.choice((1, 1, 2, 3, 4, 6)))):
        away = 0.15 if style == "strip" else 0.4
        center = (size * (0.5 + rng.uniform(-away, away)), size * (0.5 + rng.uniform(-away, away)))
        angle = turn if style == "strip" else rng.uniform(0, 2 * math.pi)
        planes.append((frame, center, angle, length * rng.uniform(0.85, 1.1)))
        if rng.random() < 0.5:
            frame = airframe(rng)
            length *= rng.uniform(0.6, 1.3)
    return planes


def _slabs(canvas: Canvas, turn: float) -> None:
    """Draw joints between slabs of concrete, and some darker slabs."""
    rng, size = canvas.rng, canvas.size
    step = rng.uniform(5, 9) * canvas.metre
    if rng.random() < 0.4:
        return
    colour = canvas.sample()
    middle = (size / 2, size / 2)
    reach = int(size / step) + 1
    for k in range(-reach, reach + 1):
        for across in (0, math.pi / 2):
            ends = place([(k * step, -size), (k * step, size)], middle, turn + across)
            canvas.line(ends, lit_by(colour, rng.uniform(0.86, 0.98)), 0.5)


def _stains(canvas: Canvas) -> None:
    rng, size = canvas.rng, canvas.size
    colour = canvas.sample()
    for _ in range(rng.integers(0, 5)):
        center = (rng.uniform(0, size), rng.uniform(0, size))
        spot = oblong(center, rng.uniform(0.05, 0.4) * size, rng.uniform(0.02, 0.1) * size, rng.uniform(0, 6.3))
        canvas.patch(spot, lit_by(colour, rng.uniform(0.72, 1.1)), soft=rng.uniform(1, 6))


def _verges(canvas: Canvas, turn: float) -> None:
    """Draw grass or soil on both sides of a taxiway along `turn`."""
    rng, size = canvas.rng, canvas.size
    half = rng.uniform(0.16, 0.4) * size
    colour = canvas.choose([*GRASS, *SOIL])
    for sign in (1, -1):
        strip = [
            (-2 * size, sign * half),
            (2 * size, sign * half),
            (2 * size, sign * 3 * size),
            (-2 * size, sign * 3 * size),
        ]
        canvas.patch(place(strip, (size / 2, size / 2), turn), colour, roughness=0.12, mottling=0.1, soft=0.6)


def _lines(canvas: Canvas, turn: float, strip: bool) -> None:
    """Draw yellow taxi lines."""
    rng, size = canvas.rng, canvas.size
    yellow = canvas.jitter((208, 172, 70), 14)
    for _ in range(1 if strip else int(rng.integers(0, 4))):
        shift = 0.0 if strip else rng.uniform(-0.5, 0.5) * size
        angle = turn + (0 if strip else rng.choice((0, math.pi / 2, 0.5)))
        ends = place([(-2 * size, shift), (2 * size, shift)], (size / 2, size / 2), angle)
        canvas.line(ends, yellow, max(0.5, rng.uniform(0.2, 0.45) * canvas.metre))


def _terminal(canvas: Canvas, turn: float) -> Polygon | None:
    rng, size = canvas.rng, canvas.size
    depth = rng.uniform(0.2, 0.5) * size
    center = place([(rng.uniform(0.45, 0.65) * size, 0)], (size / 2, size / 2), turn)[0]
    body = oblong(center, depth, rng.uniform(0.4, 1.6) * size, turn)
    if not canvas.claim(body, 2):
        return None
    canvas.shade(body, 9 * canvas.metre)
    return body


def _vehicles(canvas: Canvas, count: int) -> list[tuple[Point, float, float]]:
    rng, size = canvas.rng, canvas.size
    found = []
    for _ in range(count):
        center, angle = (rng.uniform(0, size), rng.uniform(0, size)), rng.uniform(0, 6.3)
        length = rng.uniform(4, 9) * canvas.metre
        if canvas.claim(oblong(center, length, length * 0.4, angle), 1):
            found.append((center, angle, length))
    return found
