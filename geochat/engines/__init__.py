"""Text generation behind one protocol: messages and an image in, text out.

What needs torch is loaded on first use, so that the protocol can be spoken without it, and so is the rest.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from geochat.engines.protocol import (
    BatchEvent,
    ChoiceScore,
    Chunk,
    Completion,
    Engine,
    Finish,
    GenerationSettings,
    Request,
    TokenScore,
    Usage,
    complete,
    complete_all,
    one_by_one,
)

if TYPE_CHECKING:
    from geochat.engines.batching import EngineLimits
    from geochat.engines.local import LocalEngine
    from geochat.engines.prefix import PrefixStats
    from geochat.engines.second_look import SecondLook

__all__ = [
    "BatchEvent",
    "ChoiceScore",
    "Chunk",
    "Completion",
    "Engine",
    "EngineLimits",
    "Finish",
    "GenerationSettings",
    "LocalEngine",
    "PrefixStats",
    "Request",
    "SecondLook",
    "TokenScore",
    "Usage",
    "complete",
    "complete_all",
    "one_by_one",
]


_LATER = {"EngineLimits": "batching", "LocalEngine": "local", "PrefixStats": "prefix", "SecondLook": "second_look"}


def __getattr__(name: str) -> Any:  # noqa: ANN401 - the module protocol has no narrower type
    if name not in _LATER:
        raise AttributeError(f"module 'geochat.engines' has no attribute {name!r}")
    return getattr(import_module(f"geochat.engines.{_LATER[name]}"), name)
