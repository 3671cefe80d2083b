"""`geochat clip`: scenes classified by a dual encoder, without a language model."""

import argparse
from typing import Any

from geochat.cli.group import add_actions, run

__all__ = ["add_parser", "run"]

_ACTIONS = ("classify", "convert")


def add_parser(commands: Any) -> argparse.ArgumentParser:  # noqa: ANN401 - argparse keeps its type private
    """Declare the command and its actions."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "clip",
        help="classify scenes with a dual encoder",
        description="Classify scenes by class names alone or with learned prompts, without a language model.",
    )
    add_actions(parser, __name__, _ACTIONS)
    return parser
