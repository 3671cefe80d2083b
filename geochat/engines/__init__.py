"""Text generation behind one protocol: messages and an image in, text out.

Modules that need torch, and others, are loaded on first use, so that the protocol is usable without torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from geochat.engines.handle import Handle, submit
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
    from geochat.engines.local import LocalEngine
    from geochat.engines.openai import OpenAIEngine, RemoteLimits
    from geochat.engines.prefix import PrefixStats
    from geochat.engines.registry import ENGINES, EngineOptions, open_engine
    from geochat.engines.scheduler import EngineLimits
    from geochat.engines.second_look import SecondLook

__all__ = [
    "ENGINES",
    "BatchEvent",
    "ChoiceScore",
    "Chunk",
    "Completion",
    "Engine",
    "EngineLimits",
    "EngineOptions",
    "Finish",
    "GenerationSettings",
    "Handle",
    "LocalEngine",
    "OpenAIEngine",
    "PrefixStats",
    "RemoteLimits",
    "Request",
    "SecondLook",
    "TokenScore",
    "Usage",
    "complete",
    "complete_all",
    "one_by_one",
    "open_engine",
    "submit",
]


_LATER = {
    "ENGINES": "registry",
    "EngineLimits": "scheduler",
    "EngineOptions": "registry",
    "LocalEngine": "local",
    "OpenAIEngine": "openai",
    "PrefixStats": "prefix",
    "RemoteLimits": "openai",
    "SecondLook": "second_look",
    "open_engine": "registry",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401 - the module protocol has no narrower type
    if name not in _LATER:
        raise AttributeError(f"module 'geochat.engines' has no attribute {name!r}")
    return getattr(import_module(f"geochat.engines.{_LATER[name]}"), name)
