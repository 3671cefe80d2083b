"""`geochat train`: teach a model; each way to do so is a module with `add_parser` and `run`."""

import argparse
from typing import Any

from geochat.cli.group import add_actions, run

__all__ = ["add_parser", "run"]

_METHODS = ("lora", "qlora", "full", "projector", "clip", "coop", "cocoop")


def add_parser(commands: Any) -> argparse.ArgumentParser:  # noqa: ANN401 - argparse keeps its type private
    """Declare the command and its methods."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "train",
        help="teach a model your imagery",
        description="Train a model; `geochat train METHOD --help` says what each method takes.",
    )
    add_actions(parser, __name__, _METHODS, "method")
    return parser
