"""CLIP position-embedding interpolation, letterboxing and the processor."""

from geochat.vision.positions import interpolate_positions
from geochat.vision.processor import build_image_processor, build_processor

__all__ = ["build_image_processor", "build_processor", "interpolate_positions"]
