"""What lies between the ground and the file: resolution, haze, colour cast, sensor noise, compression."""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter


def photograph(image: Image.Image, size: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """The supersampled drawing as a sensor would deliver it: uint8 (size, size, 3)."""
    image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.5, 1.8)))
    image = image.resize((size, size), Image.Resampling.BOX)
    if rng.random() < 0.35:  # printed sharper than it was taken, as orthophotos often are
        image = image.filter(ImageFilter.UnsharpMask(2, int(rng.uniform(40, 120)), 2))
    pixels = np.asarray(image, dtype=np.float32)
    gain = rng.uniform(0.8, 1.18) * (1 + rng.normal(0, 0.03, 3))
    haze = rng.uniform(0, 25) + rng.normal(0, 3, 3)
    pixels = (pixels - 128) * rng.uniform(0.75, 1.25) + 128
    grey = pixels.mean(axis=2, keepdims=True)
    pixels = grey + (pixels - grey) * rng.uniform(0.5, 1.15)
    pixels = pixels * gain.astype(np.float32) + haze.astype(np.float32)
    pixels += rng.standard_normal(pixels.shape, np.float32) * np.float32(rng.uniform(0.5, 6))
    return _compressed(np.clip(pixels, 0, 255).astype(np.uint8), int(rng.integers(60, 96)))


def _compressed(pixels: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality)
    with Image.open(buffer) as image:
        return np.asarray(image.convert("RGB"))
