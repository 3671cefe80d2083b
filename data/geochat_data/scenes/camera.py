"""What lies between the ground and the file: resolution, haze, colour cast, sensor noise, compression."""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter


def photograph(image: Image.Image, size: int, rng: np.random.Generator, gain: NDArray[np.float32]) -> NDArray[np.uint8]:
    """The supersampled drawing as a sensor would deliver it: uint8 (size, size, 3).

    Args:
        image: The drawing.
        size: Side of the result in pixels.
        rng: Where all chance comes from.
        gain: The grain of the ground, (size, size) about 1.
    """
    blur = rng.uniform(0.5, 1.8)  # pixels of the drawing
    # The lens's blur is applied to the small picture, which is four times as fast.
    image = image.reduce(image.width // size).filter(ImageFilter.GaussianBlur(blur * size / image.width))
    if rng.random() < 0.35:  # printed sharper than it was taken, as orthophotos often are
        image = image.filter(ImageFilter.UnsharpMask(2, int(rng.uniform(40, 120)), 2))
    pixels = np.asarray(image, dtype=np.float32) * gain[..., None]
    light = rng.uniform(0.8, 1.18) * (1 + rng.normal(0, 0.015, 3))
    haze = rng.uniform(0, 25) + rng.normal(0, 3, 3)
    pixels = (pixels - 128) * rng.uniform(0.75, 1.25) + 128
    grey = pixels.mean(axis=2, keepdims=True)
    pixels = grey + (pixels - grey) * rng.uniform(0.5, 1.15)
    pixels = pixels * light.astype(np.float32) + haze.astype(np.float32)
    if rng.random() < 0.6:  # as published orthophotos are
        pixels = _to_full_contrast(pixels, rng.uniform(0.4, 1))
    pixels += rng.standard_normal(pixels.shape, np.float32) * np.float32(rng.uniform(0.5, 6))
    return _compressed(np.clip(pixels, 0, 255).astype(np.uint8), int(rng.integers(60, 96)))


def _to_full_contrast(pixels: NDArray[np.float32], amount: float) -> NDArray[np.float32]:
    """Brightness stretched from its percentiles towards the whole range; colours grow less than brightness does."""
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
