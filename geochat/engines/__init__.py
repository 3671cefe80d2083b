"""Text generation behind one protocol: messages and an image in, text out.

`LocalEngine` is loaded on first use, so that the protocol can be spoken without torch.
"""

from typing import TYPE_CHECKING, Any

from geochat.engines.protocol import (
    Chunk,
    Completion,
    Engine,
    Finish,
    GenerationSettings,
    Request,
    TokenScore,
    Usage,
    complete,
)

if TYPE_CHECKING:
    from geochat.engines.local import LocalEngine

__all__ = [
    "Chunk",
    "Completion",
    "Engine",
    "Finish",
    "GenerationSettings",
    "LocalEngine",
    "Request",
    "TokenScore",
    "Usage",
    "complete",
]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - the module protocol has no narrower type
    if name != "LocalEngine":
        raise AttributeError(f"module 'geochat.engines' has no attribute {name!r}")
    from geochat.engines.local import LocalEngine  # noqa: PLC0415 - imports torch

    return LocalEngine
