"""`geochat train`: teach a model; each way to do so is a module with `add_parser` and `run`."""

import argparse
from importlib import import_module
from typing import Any

_METHODS = ("lora", "qlora", "full", "projector", "clip", "coop", "cocoop")


def add_parser(commands: Any) -> argparse.ArgumentParser:  # noqa: ANN401 - argparse keeps its type private
    """Declare the command and its methods."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "train",
        help="teach a model your imagery",
        description="Train a model; `geochat train METHOD --help` says what each method takes.",
    )
    methods = parser.add_subparsers(title="methods", metavar="METHOD", required=True)
    for name in _METHODS:
        module = import_module(f"{__name__}.{name}")
        method: argparse.ArgumentParser = module.add_parser(methods)
        method.set_defaults(method_run=module.run)
        method.add_argument("--debug", action="store_true", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
    return parser


def run(args: argparse.Namespace) -> int:
    """Run the method."""
    status: int = args.method_run(args)
    return status
