"""`geochat clip`: scenes classified by a dual encoder, without a language model."""

import argparse
from importlib import import_module
from typing import Any

_ACTIONS = ("classify", "convert")


def add_parser(commands: Any) -> argparse.ArgumentParser:  # noqa: ANN401 - argparse keeps its type private
    """Declare the command and its actions."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "clip",
        help="classify scenes with a dual encoder",
        description="Classify scenes by class names alone or with learned prompts, without a language model.",
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
