"""Synthetic aerial scenes with exact oriented boxes, each a function of its seed.

They show the four categories labelled in UC Merced in more sizes, directions and surroundings than its photographs, and
add cars, ships, buildings and solar panels. Every object drawn is labelled, except service vehicles on aprons. A scene
is drawn on a `Canvas` by one of the painters in `KINDS`, and then degraded as a sensor would: resolution, haze, colour
cast, noise and compression.
"""

import io
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from geochat.errors import SettingsError
from geochat_data.records import LabelledImage
from geochat_data.synthetic.airport import apron
from geochat_data.synthetic.canvas import Canvas
from geochat_data.synthetic.industry import solar_farm, tank_farm, works
from geochat_data.synthetic.landscape import fields, forest, harbour, river
from geochat_data.synthetic.sports import diamond, tennis
from geochat_data.synthetic.surroundings import clutter
from geochat_data.synthetic.town import car_park, junction, residential, runway

__all__ = ["KINDS", "OBJECT_CATEGORIES", "render_scene"]

OBJECT_CATEGORIES = frozenset(
    {"airplane", "storage tank", "tennis court", "baseball diamond", "building", "car", "ship", "solar panel"}
)
_STREAM = 2  # seeds the generator with the scene's own seed; another number gives other scenes
Painter = Callable[[Canvas], str]
KINDS: dict[str, tuple[Painter, str | None, float]] = {  # painter, main category, relative frequency
    "airport": (apron, "airplane", 0.26),
    "tanks": (tank_farm, "storage tank", 0.18),
    "tennis": (tennis, "tennis court", 0.16),
    "baseball": (diamond, "baseball diamond", 0.12),
    "residential": (residential, "building", 0.08),
    "car park": (car_park, "car", 0.05),
    "harbour": (harbour, "ship", 0.06),
    "fields": (fields, None, 0.03),
    "forest": (forest, None, 0.03),
    "river": (river, None, 0.03),
    "junction": (junction, "building", 0.08),
    "solar farm": (solar_farm, "solar panel", 0.06),
    "works": (works, "building", 0.07),
    "runway": (runway, None, 0.04),
}
_SPARSE = frozenset({"tanks", "tennis", "baseball", "river", "runway", "solar farm"})  # with room for clutter


def render_scene(seed: int, size: int = 256, kind: str | None = None) -> LabelledImage:
    """Render one scene, the same for the same arguments.

    Args:
        seed: Any non-negative integer.
        size: Side of the image in pixels.
        kind: One of `KINDS`; None draws one by frequency.

    Raises:
        SettingsError: There is no such kind.
    """
    rng = np.random.default_rng([seed, _STREAM])
    if kind is None:
        names, shares = list(KINDS), np.array([share for _, _, share in KINDS.values()])
        kind = names[rng.choice(len(names), p=shares / shares.sum())]
    elif kind not in KINDS:
        raise SettingsError(f"no kind of scene is called {kind!r}; choose one of {', '.join(KINDS)}")
    canvas = Canvas(size, size / 256 / rng.uniform(0.22, 0.42), rng)
    painter, main, _ = KINDS[kind]
    scene = painter(canvas)
    if kind in _SPARSE:
        clutter(canvas)
    gain = canvas.gain(rng.uniform(0.02, 0.05))
    return LabelledImage(
        path=None,
        width=size,
        height=size,
        objects=tuple(canvas.objects),
        ignore=tuple(canvas.ignored),
        scene=scene if main is None or main in {item.category for item in canvas.objects} else None,
        split="train",
        labelled=OBJECT_CATEGORIES,
        pixels=_photograph(canvas.image, size, rng, gain),
        name=f"{kind.replace(' ', '_')}_{seed}",
    )


def _photograph(
    image: Image.Image, size: int, rng: np.random.Generator, gain: NDArray[np.float32]
) -> NDArray[np.uint8]:
    """Degrade a supersampled drawing as a sensor would; returns uint8 (size, size, 3).

    Args:
        image: The drawing.
        size: Side of the result in pixels.
        rng: The source of randomness.
        gain: The grain of the ground, (size, size) about 1.
    """
    blur = rng.uniform(0.5, 1.8)  # pixels of the drawing
    # The blur of the lens is applied to the small image, which is four times as fast.
    image = image.reduce(image.width // size).filter(ImageFilter.GaussianBlur(blur * size / image.width))
    if rng.random() < 0.35:  # sharpened, as orthophotos often are
        image = image.filter(ImageFilter.UnsharpMask(2, int(rng.uniform(40, 120)), 2))
    pixels = np.asarray(image, dtype=np.float32) * gain[..., None]
    light = rng.uniform(0.8, 1.18) * (1 + rng.normal(0, 0.015, 3))
    haze = rng.uniform(0, 25) + rng.normal(0, 3, 3)
    pixels = (pixels - 128) * rng.uniform(0.75, 1.25) + 128
    grey = pixels.mean(axis=2, keepdims=True)
    pixels = grey + (pixels - grey) * rng.uniform(0.5, 1.15)
    pixels = pixels * light.astype(np.float32) + haze.astype(np.float32)
    if rng.random() < 0.6:  # as in published orthophotos
        pixels = _to_full_contrast(pixels, rng.uniform(0.4, 1))
    pixels += rng.standard_normal(pixels.shape, np.float32) * np.float32(rng.uniform(0.5, 6))
    return _compressed(np.clip(pixels, 0, 255).astype(np.uint8), int(rng.integers(60, 96)))


def _to_full_contrast(pixels: NDArray[np.float32], amount: float) -> NDArray[np.float32]:
    """Stretch brightness from its percentiles towards the whole range, and colours less than brightness."""
    grey = pixels.mean(axis=2, keepdims=True)
    low, high = np.percentile(grey[::4, ::4], (2, 98))
    gain = 1 + amount * (225 / max(60.0, float(high - low)) - 1)
    middle = 128 + (1 - amount) * (float(high + low) / 2 - 128)
    full = (grey - float(high + low) / 2) * np.float32(gain) + np.float32(middle)
    colours = (pixels - grey) * np.float32(min(1.1, gain))
    stretched: NDArray[np.float32] = (full + colours).astype(np.float32)
    return stretched


def _compressed(pixels: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality)
    with Image.open(buffer) as image:
        return np.asarray(image.convert("RGB"))
