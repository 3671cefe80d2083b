"""A vLLM server on this machine, started for a checkpoint and shared by all processes that need the same one.

>>> engine = serve("checkpoints/geochat-7b")
>>> GeoChat(engine).ask("scene.tif", "How many ships are there?")
"""

import weakref
from collections.abc import Callable
from pathlib import Path

from geochat.engines.openai import OpenAIEngine, RemoteLimits
from geochat.engines.vllm.sharing import use
from geochat.engines.vllm.starting import command_for

__all__ = ["serve"]


def serve(
    source: str | Path | None = None,
    *,
    dtype: str | None = None,
    dialect: str | None = None,
    settings: str | Path | None = None,
    limits: RemoteLimits | None = None,
    python: str | Path | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> OpenAIEngine:
    """Serve a checkpoint with vLLM, which ends when no process uses it any more.

    Args:
        source: A directory in the native layout or a hub id; None is the bundled model.
        dtype: Such as "float32"; None takes that on CPUs, and elsewhere what vLLM takes.
        dialect: Dialect of the model; None uses that of its settings.
        settings: Its `geochat.json`; None takes the checkpoint's.
        limits: Settings of requests to the server.
        python: The Python that has vLLM, or the folder of its environment; None takes GEOCHAT_VLLM_PYTHON, or the one
            of `vllm` on PATH.
        tell: Called with messages about the start.

    Raises:
        CheckpointError: vLLM cannot serve the checkpoint as it is.
        SettingsError: There is no vLLM, or nothing says how the model writes regions.
        EngineError: vLLM does not start; the message has the end of its log.
    """
    used = use(command_for(source, dtype=dtype, python=python), tell)
    try:
        engine = OpenAIEngine.connect(used.url, key=used.key, dialect=dialect, settings=settings, limits=limits)
    except BaseException:
        used.release()
        raise
    weakref.finalize(engine, used.release)
    return engine
