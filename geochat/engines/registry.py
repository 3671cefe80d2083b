"""Engines by name or address, as selected by `--engine`.

An installed package adds an engine with a function from `EngineOptions` to an engine:

    [project.entry-points."geochat.engines"]
    mine = "my_package.engine:open_mine"
"""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

from geochat.engines.protocol import Engine
from geochat.errors import SettingsError
from geochat.models.finding import check_checkpoint
from geochat.registry import Registry

if TYPE_CHECKING:
    from geochat.engines.openai import RemoteLimits
    from geochat.engines.scheduler import EngineLimits


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """Options for opening an engine. An option that an engine does not support is an error.

    Attributes:
        model: A checkpoint directory or hub id; of a server, the model's name there. None takes the bundled model, or
            the server's only one.
        base: Base of an adapter.
        device: Such as "cpu" or "cuda:1".
        dtype: Such as "float32".
        quantization: "4bit" or "8bit".
        allow_download: Whether what a local folder names may be fetched from the hub.
        dialect: Dialect of the model, overriding its settings.
        settings: The model's `geochat.json`, or the folder that holds it.
        together: Answers computed together, or requests under way.
        timeout: Seconds of a server's silence after which a request is sent again.
        vllm_python: The Python that has vLLM, or the folder of its environment.
        tell: Called with messages about slow steps.
        limits: Limits of the local engine; None takes `together` and the usual ones.
    """

    model: str | Path | None = None
    base: str | Path | None = None
    device: str | None = None
    dtype: str | None = None
    quantization: str | None = None
    allow_download: bool = False
    dialect: str | None = None
    settings: str | Path | None = None
    together: int | None = None
    timeout: float | None = None
    vllm_python: str | Path | None = None
    tell: Callable[[str], None] = lambda _: None
    limits: "EngineLimits | None" = None

    def refuse(self, engine: str, *names: str) -> None:
        """Refuse options that do not apply to an engine.

        Raises:
            SettingsError: One of them is set.
        """
        usual = {field.name: field.default for field in fields(self)}
        for name in names:
            if getattr(self, name) != usual[name]:
                raise SettingsError(f"--{name.replace('_', '-')} means nothing to {engine}; leave it out")

    @property
    def remote_limits(self) -> "RemoteLimits":
        """Settings of requests to a server."""
        from geochat.engines.openai import RemoteLimits  # noqa: PLC0415 - other engines need no HTTP

        usual = RemoteLimits()
        return replace(usual, concurrency=self.together or usual.concurrency, timeout=self.timeout or usual.timeout)


Opener = Callable[[EngineOptions], Engine]

ENGINES: Registry[Opener] = Registry(
    "engine",
    "geochat.engines",
    {"local": "geochat.engines.registry:open_local", "vllm": "geochat.engines.registry:open_vllm"},
)
"""Every engine that has a name."""


def open_engine(spec: str = "local", options: EngineOptions | None = None) -> Engine:
    """Open an engine, with the second look if the model's settings request it.

    Args:
        spec: A name in `ENGINES`, or the http(s) address of an OpenAI-compatible server.
        options: Options for opening it.

    Raises:
        GeoChatError: There is no such engine, an option means nothing to it, or it cannot be opened.
    """
    options = options or EngineOptions()
    engine = _open_url(spec, options) if "://" in spec else ENGINES[spec](options)
    if not engine.info.settings.second_look:
        return engine
    from geochat.engines.second_look import SecondLook  # noqa: PLC0415 - most models take one look

    return SecondLook(engine)


def open_local(options: EngineOptions) -> Engine:
    """Load a checkpoint into this process."""
    options.refuse("the local engine", "settings", "timeout", "vllm_python")
    check_checkpoint(options.model, base=options.base)  # before torch is imported, which takes seconds
    from geochat.checkpoints import load  # noqa: PLC0415 - imports torch, which other engines do not need
    from geochat.engines.local import LocalEngine  # noqa: PLC0415
    from geochat.engines.scheduler import EngineLimits  # noqa: PLC0415

    checkpoint = load(
        options.model,
        base=options.base,
        device=options.device,
        dtype=options.dtype,
        quantization=options.quantization,
        allow_download=options.allow_download,
    )
    if options.dialect is not None:
        checkpoint = replace(checkpoint, settings=checkpoint.settings.in_dialect(options.dialect))
    limits = options.limits or EngineLimits()
    return LocalEngine(checkpoint, replace(limits, batch_rows=options.together or limits.batch_rows))


def open_vllm(options: EngineOptions) -> Engine:
    """Start a vLLM server for a checkpoint, or use the running one."""
    options.refuse("vLLM", "base", "device", "quantization", "allow_download")
    from geochat.engines.vllm import serve  # noqa: PLC0415

    return serve(
        options.model,
        dtype=options.dtype,
        dialect=options.dialect,
        settings=options.settings,
        limits=options.remote_limits,
        python=options.vllm_python,
        tell=options.tell,
    )


def _open_url(url: str, options: EngineOptions) -> Engine:
    options.refuse("a server", "base", "device", "dtype", "quantization", "allow_download", "vllm_python")
    from geochat.engines.openai import OpenAIEngine  # noqa: PLC0415

    return OpenAIEngine.connect(
        url,
        model=None if options.model is None else str(options.model),
        dialect=options.dialect,
        settings=options.settings,
        limits=options.remote_limits,
    )
