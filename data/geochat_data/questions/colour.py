"""Colour of an object by its pixels, or unknown.

Only the middle of the box is used: its corners show ground. Each pixel gets a plain colour name by hue, saturation and
value; if no name has a clear majority the colour is unknown, since a guess would teach guessing.
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from geochat.imagery import Window
from geochat_data.records import LabelledImage, LabelledObject, Polygon, WindowReader, as_polygon

COLOURS = ("black", "gray", "white", "red", "orange", "yellow", "green", "blue", "purple", "brown")
_UNNAMED = len(COLOURS)
MIDDLE = 0.6  # share of the box's sides
MAJORITY = 0.65  # share of the pixels
LEAST_PIXELS = 12
LEAST_CHROMA = 12  # grey levels between the most different channels of an image
_OVERVIEW = 2048  # pixels of the view that the brightness of an image is measured on
_LARGEST = 1024  # pixels of the side of an object; larger ones are averaged down
_HUES = ((15, "red"), (42, "orange"), (70, "yellow"), (165, "green"), (260, "blue"), (330, "purple"), (360, "red"))
UNCOLOURED = frozenset(
    {"person", "baseball diamond", "ground track field", "soccer ball field", "golf course", "harbor", "roundabout"}
)
"""Categories without one colour: ground of several colours, and people."""


def colours_of(image: LabelledImage) -> dict[LabelledObject, str | None]:
    """Find the colour of each object, ignored ones included, by its labels, else by its pixels; None if it is unknown.

    Only an overview and the windows of the objects are read, so the image may be larger than memory.

    Raises:
        ImageError: The image cannot be read.
    """
    objects = (*image.objects, *image.ignore)
    colours = {item: next((word for word in item.attributes if word in COLOURS), None) for item in objects}
    unlabelled = [item for item in objects if colours[item] is None and item.category not in UNCOLOURED]
    if not unlabelled:
        return colours
    with image.open_scene() as scene:
        reader = WindowReader(scene)
        gain = daylight_gain(np.asarray(reader.read(scene.window, max_side=_OVERVIEW)))
        if gain is not None:
            colours |= {item: _visible_colour(item, reader, scene.size, gain) for item in unlabelled}
    return colours


def daylight_gain(pixels: NDArray[np.uint8]) -> float | None:
    """Find the factor that makes the brightest parts of an image bright; None if the image has no colours.

    A white roof in a hazy or dark photograph is grey by its numbers. Thermal and panchromatic images have no colours.
    """
    sample = pixels[::4, ::4].reshape(-1, 3).astype(np.int16)
    if np.percentile(np.ptp(sample, axis=1), 95) < LEAST_CHROMA:
        return None
    bright = max(1.0, float(np.percentile(sample.max(axis=1), 98)))
    return max(1.0, 240 / bright)


def _visible_colour(item: LabelledObject, reader: WindowReader, size: tuple[int, int], gain: float) -> str | None:
    """The colour of an object's pixels."""
    corners = np.array(item.polygon)
    window = Window.covering((*corners.min(axis=0), *corners.max(axis=0))).clip(size)
    if window is None:
        return None
    view = reader.read(window, max_side=_LARGEST)
    scale = np.array(view.size) / window.size
    pixels: NDArray[np.uint8] = np.clip(np.asarray(view) * gain, 0, 255).astype(np.uint8)
    return colour_of(pixels, as_polygon((corners - window[:2]) * scale))


def colour_of(pixels: NDArray[np.uint8], polygon: Polygon) -> str | None:
    """Name the colour of most of the middle of a box, None if none is clear.

    Args:
        pixels: The image, (height, width, 3).
        polygon: The box's corners in its pixels.
    """
    names = _names(_middle(pixels, polygon))
    if len(names) < LEAST_PIXELS:
        return None
    counts = np.bincount(names, minlength=len(COLOURS) + 1)[:_UNNAMED]
    best = int(counts.argmax())
    return COLOURS[best] if counts[best] >= MAJORITY * len(names) else None


def _middle(pixels: NDArray[np.uint8], polygon: Polygon) -> NDArray[np.uint8]:
    """The pixels (N, 3) of the middle of a box."""
    height, width = pixels.shape[:2]
    corners = np.array(polygon)
    corners = corners.mean(axis=0) + (corners - corners.mean(axis=0)) * MIDDLE
    left, top = np.clip(np.floor(corners.min(axis=0)).astype(int), 0, (width, height))
    right, bottom = np.clip(np.ceil(corners.max(axis=0)).astype(int), 0, (width, height))
    if right <= left or bottom <= top:
        return np.empty((0, 3), np.uint8)
    mask = Image.new("1", (int(right - left), int(bottom - top)))
    ImageDraw.Draw(mask).polygon([(x - left, y - top) for x, y in corners], fill=1)
    found: NDArray[np.uint8] = pixels[top:bottom, left:right][np.asarray(mask)]
    return found


def _names(rgb: NDArray[np.uint8]) -> NDArray[np.int64]:
    """The index in `COLOURS` of each pixel (N, 3); `_UNNAMED` for colours without a plain name."""
    values = rgb.astype(np.float32) / 255
    high, low = values.max(axis=1), values.min(axis=1)
    chroma = high - low
    red, green, blue = values.T
    safe = np.maximum(chroma, 1e-6)
    beyond_red = np.where(high == green, (blue - red) / safe + 2, (red - green) / safe + 4)
    hue = 60 * np.where(high == red, (green - blue) / safe % 6, beyond_red)
    names = np.full(len(values), COLOURS.index("red"))
    for limit, name in reversed(_HUES):
        names[hue < limit] = COLOURS.index(name)
    names[(hue < 42) & (high < 0.62)] = COLOURS.index("brown")
    names[(hue < 70) & (chroma < 0.4 * high) & (high >= 0.5)] = _UNNAMED  # beige, pink, sand
    grey = (chroma < 0.13) | (chroma < 0.2 * high)
    names[grey & (high >= 0.3)] = COLOURS.index("gray")
    names[grey & (low >= 0.72)] = COLOURS.index("white")
    names[high < 0.3] = COLOURS.index("black")
    return names
