"""Ask questions about satellite and aerial images and get grounded answers.

>>> from geochat import GeoChat
>>> chat = GeoChat.from_pretrained()
>>> answer = chat.ask("scene.tif", "[grounding] Describe the image.")

The names below are loaded on first use, so that `import geochat` costs nothing.
"""

import os
from importlib import import_module

# Torch's OpenMP threads spin while they wait for each other, so on a machine with other work each waits for one that
# is not running (docs/benchmarks). Read once, when torch is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

TYPE_CHECKING = False  # as in `typing`, whose import would cost more than all the rest
if TYPE_CHECKING:
    from geochat.assistant import Answer, Conversation, Question
    from geochat.chat import GeoChat
    from geochat.client import Client
    from geochat.dialects import Region
    from geochat.errors import GeoChatError
    from geochat.geometry import OrientedBox
    from geochat.imagery import Scene
    from geochat.prompts import Task

__version__ = "0.1.0"

_HOMES = {
    "Answer": "geochat.assistant",
    "Client": "geochat.client",
    "Conversation": "geochat.assistant",
    "GeoChat": "geochat.chat",
    "GeoChatError": "geochat.errors",
    "Question": "geochat.assistant",
    "Scene": "geochat.imagery",
    "OrientedBox": "geochat.geometry",
    "Region": "geochat.dialects",
    "Task": "geochat.prompts",
}

__all__ = [
    "Answer",
    "Client",
    "Conversation",
    "GeoChat",
    "GeoChatError",
    "OrientedBox",
    "Question",
    "Region",
    "Scene",
    "Task",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'geochat' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
