"""`geochat data`: instruction data from labelled imagery, checked, shown, counted and indexed."""

import argparse
from importlib import import_module
from typing import Any

_ACTIONS = ("build", "check", "show", "stats", "index", "scenes")


def add_parser(commands: Any) -> argparse.ArgumentParser:  # noqa: ANN401 - argparse keeps its type private
    """Declare the command and its actions."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "data",
        help="make and inspect training data",
        description="Make grounded conversations from labelled imagery, and inspect files of them.",
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
