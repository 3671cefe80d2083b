"""`geochat eval`: benchmarks, and what answers are worth."""

import argparse
from importlib import import_module
from typing import Any

_ACTIONS = ("listing", "running", "scoring", "reporting", "comparing", "cards")


def add_parser(commands: Any) -> argparse.ArgumentParser:  # noqa: ANN401 - argparse keeps its type private
    """Declare the command and its actions."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "eval",
        help="measure models",
        description="Ask a model the questions of a benchmark, score answers, and compare runs.",
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    for name in _ACTIONS:
        module = import_module(f"{__name__}.{name}")
        action: argparse.ArgumentParser = module.add_parser(actions)
        action.set_defaults(action=module.run)
        action.add_argument("--debug", action="store_true", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
    return parser


def run(args: argparse.Namespace) -> int:
    """Run the action."""
    status: int = args.action(args)
    return status
