"""`geochat data`: instruction data from labelled imagery, checked, shown, counted and indexed."""

import argparse
from typing import Any

from geochat.cli.group import add_actions, run

__all__ = ["add_parser", "run"]

_ACTIONS = ("build", "check", "show", "stats", "index", "scenes")


def add_parser(commands: Any) -> argparse.ArgumentParser:  # noqa: ANN401 - argparse keeps its type private
    """Declare the command and its actions."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "data",
        help="make and inspect training data",
        description="Make grounded conversations from labelled imagery, and inspect files of them.",
    )
    add_actions(parser, __name__, _ACTIONS)
    return parser
