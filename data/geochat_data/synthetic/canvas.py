"""Canvas of a synthetic scene: textured ground, shadows, shapes, and the boxes of the objects drawn.

Coordinates are pixels of the finished image, y down; shapes are drawn at twice that size and averaged down. All
randomness comes from one seeded generator, so a scene is a function of its seed. Shadows are collected and cast
together in one direction, before the objects that throw them are drawn.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter
from shapely.geometry import Polygon as Shape
from shapely.geometry import box as rectangle

from geochat_data.records import LabelledObject, Point, Polygon

SUPERSAMPLING = 2
MIN_VISIBLE = 0.5  # least share of an object inside the image for it to be labelled
MIN_SIDE = 4.0  # pixels
Colour = tuple[float, float, float]


class Canvas:
    """A scene being drawn.

    Args:
        size: Side of the finished image in pixels.
        metre: Pixels per metre.
        rng: The source of randomness.
    """

    def __init__(self, size: int, metre: float, rng: np.random.Generator) -> None:
        self.size = size
        self.metre = metre
        self.rng = rng
        side = size * SUPERSAMPLING
        self.image = Image.new("RGB", (side, side))
        self._draw = ImageDraw.Draw(self.image)
        self._shade = Image.new("L", (side, side))
        self._shade_draw = ImageDraw.Draw(self._shade)
        turn, length = rng.uniform(0, 2 * math.pi), rng.uniform(0.4, 1.1)
        self.sun = (math.cos(turn) * length, math.sin(turn) * length)  # shadow per unit of height
        self.shadow_depth = rng.uniform(0.35, 0.65)
        self.objects: list[LabelledObject] = []
        self.ignored: list[LabelledObject] = []
        self._reserved: list[Shape] = []

    def fill(self, colour: Colour, roughness: float = 0.1, mottling: float = 0.06) -> None:
        """Cover everything with textured ground; see `_texture`."""
        self._set(self._texture(colour, roughness, mottling, self.size))
        self._wear(colour)

    def patch(
        self,
        points: Sequence[Point],
        colour: Colour,
        *,
        roughness: float = 0.08,
        mottling: float = 0.05,
        soft: float = 0,
    ) -> None:
        """Draw a textured area; `soft` blurs its edge by that many pixels."""
        (xs, ys), margin = zip(*points, strict=True), math.ceil(2 * soft) + 1
        left, upper = (min(self.size, max(0, math.floor(min(v)) - margin)) for v in (xs, ys))
        right, lower = (max(0, min(self.size, math.ceil(max(v)) + margin)) for v in (xs, ys))
        if right <= left or lower <= upper:
            return
        shape = ((right - left) * SUPERSAMPLING, (lower - upper) * SUPERSAMPLING)
        mask = Image.new("L", shape)
        ImageDraw.Draw(mask).polygon(_scaled([(x - left, y - upper) for x, y in points]), fill=255)
        if soft:
            mask = mask.filter(ImageFilter.GaussianBlur(soft * SUPERSAMPLING))
        texture = self._texture(colour, roughness, mottling, max(right - left, lower - upper))
        self.image.paste(texture.crop((0, 0, *shape)), (left * SUPERSAMPLING, upper * SUPERSAMPLING), mask)

    def polygon(self, points: Sequence[Point], colour: Colour) -> None:
        """Draw a filled polygon."""
        self._draw.polygon(_scaled(points), fill=_rgb(colour))

    def line(self, points: Sequence[Point], colour: Colour, width: float = 1) -> None:
        """Draw a line `width` pixels wide through the points."""
        pixels = max(1, round(width * SUPERSAMPLING))
        self._draw.line(_scaled(points), fill=_rgb(colour), width=pixels, joint="curve")

    def disc(self, center: Point, radius: float, colour: Colour) -> None:
        """Draw a filled circle."""
        x, y = center[0] * SUPERSAMPLING, center[1] * SUPERSAMPLING
        r = radius * SUPERSAMPLING
        self._draw.ellipse((x - r, y - r, x + r, y + r), fill=_rgb(colour))

    def shade(self, points: Sequence[Point], height: float, *, base: float = 0) -> None:
        """Collect the shadow of an upright body between `base` and `height` pixels above ground."""
        dx, dy = self.sun
        steps = max(2, round(math.hypot(dx, dy) * (height - base) / 2))
        for step in range(steps + 1):
            h = base + (height - base) * step / steps
            self._shade_draw.polygon(_scaled([(x + dx * h, y + dy * h) for x, y in points]), fill=255)

    def cast(self) -> None:
        """Darken the ground by the collected shadows, before the objects that throw them are drawn."""
        found = self._shade.getbbox()
        if found is None:
            return
        left, upper = (max(0, v - 8) for v in found[:2])  # room for the blur
        right, lower = (min(self._shade.width, v + 8) for v in found[2:])
        area = (left, upper, right, lower)
        mask = self._shade.crop(area).filter(ImageFilter.GaussianBlur(1))
        keep = 1 - self.shadow_depth
        dark = self.image.crop(area).point([round(v * keep) for v in range(256)] * 3)
        self.image.paste(dark, area, mask)
        self._shade.paste(0, (0, 0, *self._shade.size))

    def gain(self, amount: float) -> NDArray[np.float32]:
        """Noise about 1, (size, size), that multiplies the finished image, so that no area is flat."""
        return 1 + amount * self.noise(self.size, octaves=4, first=16)

    def label(self, category: str, polygon: Polygon, *attributes: str) -> None:
        """Record an object just drawn: labelled, ignored if mostly outside the image, dropped if wholly outside."""
        shape = Shape(polygon)
        inside = shape.intersection(rectangle(0, 0, self.size, self.size)).area / shape.area
        if inside == 0:
            return
        item = LabelledObject(category, polygon, inside < 0.999, attributes)
        sides = math.dist(polygon[0], polygon[1]), math.dist(polygon[1], polygon[2])
        clear = inside >= MIN_VISIBLE and min(sides) >= MIN_SIDE
        (self.objects if clear else self.ignored).append(item)

    def ignore(self, category: str, polygon: Polygon) -> None:
        """Record an object that no question may be about."""
        self.ignored.append(LabelledObject(category, polygon))

    def sample(self) -> Colour:
        """The colour of the ground at a random place."""
        x, y = self.rng.integers(0, self.image.width, 2)
        r, g, b = self.image.getpixel((int(x), int(y)))  # type: ignore[misc]
        return float(r), float(g), float(b)

    def claim(self, points: Sequence[Point], margin: float = 0) -> bool:
        """Reserve ground and `margin` pixels around it; returns False if some of it is reserved already."""
        shape = Shape(points).buffer(margin) if margin else Shape(points)
        if any(reserved.intersects(shape) for reserved in self._reserved):
            return False
        self._reserved.append(shape)
        return True

    def reserve(self, points: Sequence[Point]) -> None:
        """Reserve ground, reserved or not."""
        self._reserved.append(Shape(points))

    def free(self, points: Sequence[Point]) -> bool:
        """Return whether none of this ground is reserved."""
        shape = Shape(points)
        return not any(reserved.intersects(shape) for reserved in self._reserved)

    def noise(self, side: int, *, octaves: int = 4, first: int = 4) -> NDArray[np.float32]:
        """Multi-octave value noise of mean 0 and deviation 1, (side, side)."""
        total = np.zeros((side, side), np.float32)
        for octave in range(octaves):
            cells = min(side, first * 2**octave)
            values = Image.fromarray(self.rng.standard_normal((cells, cells), np.float32))
            total += np.asarray(values.resize((side, side), Image.Resampling.BICUBIC)) / 1.4**octave
        normal: NDArray[np.float32] = (total - total.mean()) / (total.std() + 1e-6)
        return normal

    def jitter(self, colour: Colour, amount: float = 12) -> Colour:
        """A random colour near the one given."""
        shift = self.rng.normal(0, amount)
        r, g, b = (v + shift + self.rng.normal(0, amount / 3) for v in colour)
        return r, g, b

    def choose(self, colours: Sequence[Colour], amount: float = 12) -> Colour:
        """One of the colours at random, jittered."""
        return self.jitter(colours[int(self.rng.integers(len(colours)))], amount)

    def _wear(self, colour: Colour) -> None:
        """Draw patches lighter, darker and barer than the ground, with ragged edges, and up to two tracks."""
        rng, size = self.rng, self.size
        for _ in range(rng.integers(2, 8)):
            center, reach = tuple(rng.uniform(-0.1, 1.1, 2) * size), rng.uniform(0.04, 0.2) * size
            stretch, turn = rng.uniform(0.3, 1), rng.uniform(0, math.pi)
            rim = [reach * rng.uniform(0.5, 1) for _ in range(14)]
            ragged = [
                (r * math.cos(k * math.pi / 7), stretch * r * math.sin(k * math.pi / 7)) for k, r in enumerate(rim)
            ]
            shade, warm = rng.uniform(0.82, 1.16), rng.uniform(0.97, 1.1)
            tint = (colour[0] * shade * warm, colour[1] * shade, colour[2] * shade / warm)
            self.patch(place(ragged, center, turn), tint, roughness=0.14, soft=rng.uniform(1, 7))
        for _ in range(rng.choice((0, 0, 1, 2))):
            angle, bend = rng.uniform(0, math.pi), rng.uniform(-0.25, 0.25) * size
            middle = (rng.uniform(0, size), rng.uniform(0, size))
            course = [(x * size, bend * (1 - x * x)) for x in (-1.5, -1, -0.5, 0, 0.5, 1, 1.5)]
            shade = rng.uniform(1.1, 1.3)
            tint = (colour[0] * shade * 1.04, colour[1] * shade, colour[2] * shade * 0.96)
            self.line(place(course, middle, angle), tint, rng.uniform(0.6, 2.2) * self.metre)

    def _texture(self, colour: Colour, roughness: float, mottling: float, side: int) -> Image.Image:
        """Ground of one colour with fine `roughness` and coarse `mottling`, as shares of the brightness."""
        mottling *= 0.45  # `_wear` adds more
        light = 1 + 0.9 * roughness * self.noise(side, octaves=5, first=16) * self.rng.uniform(0.4, 1)
        light += mottling * self.noise(side, octaves=4, first=3) * self.rng.uniform(0.3, 1)
        tint = mottling * 0.25 * self.noise(side, octaves=3, first=3)
        bands = [colour[0] * (light + tint), colour[1] * light, colour[2] * (light - tint)]
        pixels = np.clip(np.stack(bands, axis=-1), 0, 255).astype(np.uint8)
        return Image.fromarray(pixels).resize((side * SUPERSAMPLING,) * 2, Image.Resampling.BILINEAR)

    def _set(self, image: Image.Image) -> None:
        self.image = image
        self._draw = ImageDraw.Draw(image)


def place(points: Sequence[Point], center: Point, angle: float, scale: float = 1) -> list[Point]:
    """Return local points rotated by `angle` radians clockwise on screen, scaled, and moved to `center`."""
    cos, sin = math.cos(angle) * scale, math.sin(angle) * scale
    return [(center[0] + x * cos - y * sin, center[1] + x * sin + y * cos) for x, y in points]


def oblong(center: Point, length: float, width: float, angle: float) -> Polygon:
    """The corners of a rectangle whose length lies along `angle` radians."""
    a, b = length / 2, width / 2
    corners = place([(-a, -b), (a, -b), (a, b), (-a, b)], center, angle)
    return corners[0], corners[1], corners[2], corners[3]


def circle(center: Point, radius: float, corners: int = 24) -> list[Point]:
    """A regular polygon that approximates a circle."""
    turns = [2 * math.pi * k / corners for k in range(corners)]
    return [(center[0] + radius * math.cos(t), center[1] + radius * math.sin(t)) for t in turns]


def _scaled(points: Sequence[Point]) -> list[tuple[float, float]]:
    return [(x * SUPERSAMPLING, y * SUPERSAMPLING) for x, y in points]


def _rgb(colour: Colour) -> tuple[int, int, int]:
    r, g, b = (min(255, max(0, round(v))) for v in colour)
    return r, g, b
