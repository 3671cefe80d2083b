"""Loading, converting and saving checkpoints.

>>> checkpoint = load("geochat-7B", quantization="4bit")
>>> convert("geochat-7B-lora", Path("merged"), base="vicuna-7b-v1.5", dtype="bfloat16")
"""

from geochat.checkpoints.converting import Conversion, convert
from geochat.checkpoints.describing import ModelDescription, describe
from geochat.checkpoints.hub import bundled_path
from geochat.checkpoints.loading import Checkpoint, load
from geochat.checkpoints.saving import save_adapter, save_checkpoint
from geochat.checkpoints.settings import SETTINGS_FILE, Settings

__all__ = [
    "SETTINGS_FILE",
    "Checkpoint",
    "Conversion",
    "ModelDescription",
    "Settings",
    "bundled_path",
    "convert",
    "describe",
    "load",
    "save_adapter",
    "save_checkpoint",
]
