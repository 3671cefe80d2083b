"""Engines on the command line: their options, opening one, and `geochat engines`.

Imports nothing heavy.
"""

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geochat.cli.output import note

if TYPE_CHECKING:
    from geochat.chat import GeoChat
    from geochat.engines import Engine


def add_engine_options(parser: argparse.ArgumentParser) -> None:
    """Declare the engine and the dialect of a served model; `open_chat` reads them with those of the model."""
    group = parser.add_argument_group("engine")
    group.add_argument(
        "--engine",
        metavar="ENGINE",
        default="local",
        help="local: in this process; vllm: a vLLM started on this machine, shared by all that name the same MODEL; or "
        "the address of any OpenAI-compatible server, http://host:8000/v1, where MODEL is the model's name (default: "
        "local)",
    )
    group.add_argument("--dialect", metavar="NAME", help="how MODEL writes regions (default: by its settings)")
    group.add_argument("--settings", metavar="FILE", type=Path, help="geochat.json of a served MODEL, or its folder")
    group.add_argument(
        "--timeout", metavar="S", type=float, help="seconds of a server's silence before it is asked again (300)"
    )
    group.add_argument("--vllm-python", metavar="PATH", help="Python or environment of vLLM ($GEOCHAT_VLLM_PYTHON)")


def open_chat(args: argparse.Namespace, **changed: Any) -> "GeoChat":  # noqa: ANN401 - fields of EngineOptions
    """Open the façade over the engine selected by `add_engine_options` and the model's options.

    Args:
        args: The arguments.
        changed: Fields of `EngineOptions` that are not as the arguments say.

    Raises:
        GeoChatError: It cannot be opened; errors in names and small files come before torch is imported.
    """
    from geochat.chat import GeoChat

    return GeoChat(opener(args, **changed)())


def opener(args: argparse.Namespace, **changed: Any) -> "Callable[[], Engine]":  # noqa: ANN401
    """Return a picklable function that opens that engine, here or in another process; see `open_chat`."""
    from geochat.engines.registry import EngineOptions, open_engine

    options = {
        "model": args.model,
        "base": args.base,
        "device": args.device,
        "dtype": args.dtype,
        "quantization": args.quantization,
        "allow_download": args.allow_download,
        "dialect": args.dialect,
        "settings": args.settings,
        "timeout": args.timeout,
        "vllm_python": args.vllm_python,
        "tell": note,
    }
    return partial(open_engine, args.engine, EngineOptions(**options | changed))


def check_model(args: argparse.Namespace) -> None:
    """Check the model's name and small files before heavy imports; a server's model has none here.

    Raises:
        CheckpointError: As `check_checkpoint`.
    """
    from geochat.models.finding import check_checkpoint

    if "://" not in args.engine:
        check_checkpoint(args.model, base=args.base)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `geochat engines`."""
    parser.description = (
        "List the engines that --engine names, and your vLLM servers that --engine vllm has started. They end by "
        "themselves when no command uses them any more."
    )
    parser.add_argument("--stop", action="store_true", help="end those servers, also where a command uses them")


def run(args: argparse.Namespace) -> int:
    """List engines and servers, or end the servers."""
    from geochat.engines.registry import ENGINES
    from geochat.engines.vllm import keeper, sharing

    if not args.stop:
        print(f"engines: {', '.join(ENGINES)}, or the address of an OpenAI-compatible server")
    for url, folder in sharing.running():
        if args.stop:
            sharing.stop(folder)
        print(f"vLLM at {url} {'has ended' if args.stop else f'runs; its log is {folder / keeper.LOG}'}")
    return 0
