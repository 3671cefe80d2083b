"""`geochat eval`: benchmarks, and what answers are worth."""

import argparse
from typing import Any

from geochat.cli.group import add_actions, run

__all__ = ["add_parser", "run"]

_ACTIONS = ("listing", "running", "scoring", "reporting", "comparing", "cards")


def add_parser(commands: Any) -> argparse.ArgumentParser:  # noqa: ANN401 - argparse keeps its type private
    """Declare the command and its actions."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "eval",
        help="measure models",
        description="Ask a model the questions of a benchmark, score answers, and compare runs.",
    )
    add_actions(parser, __name__, _ACTIONS)
    return parser
