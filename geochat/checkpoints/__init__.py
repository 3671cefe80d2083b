"""Loading, converting and saving checkpoints.

>>> checkpoint = load("geochat-7B", quantization="4bit")
>>> convert("geochat-7B-lora", Path("merged"), base="vicuna-7b-v1.5", dtype="bfloat16")

The names below are loaded on first use, so that what needs no torch (`geochat.checkpoints.hub`) comes without it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from geochat.checkpoints.converting import Conversion, convert
    from geochat.checkpoints.inspection import ModelDescription, describe
    from geochat.checkpoints.loading import Checkpoint, load
    from geochat.checkpoints.saving import save_adapter, save_checkpoint

__all__ = [
    "Checkpoint",
    "Conversion",
    "ModelDescription",
    "convert",
    "describe",
    "load",
    "save_adapter",
    "save_checkpoint",
]

_HOMES = {
    "Checkpoint": "loading",
    "Conversion": "converting",
    "ModelDescription": "inspection",
    "convert": "converting",
    "describe": "inspection",
    "load": "loading",
    "save_adapter": "saving",
    "save_checkpoint": "saving",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401 - the module protocol has no narrower type
    if name not in _HOMES:
        raise AttributeError(f"module 'geochat.checkpoints' has no attribute {name!r}")
    return getattr(import_module(f"geochat.checkpoints.{_HOMES[name]}"), name)
