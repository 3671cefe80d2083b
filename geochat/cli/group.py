"""A command that is a group of actions, each a module of its package with `add_parser` and `run`."""

import argparse
from collections.abc import Sequence
from importlib import import_module


def add_actions(parser: argparse.ArgumentParser, package: str, names: Sequence[str], word: str = "action") -> None:
    """Declare the actions of a command.

    Args:
        parser: The command's.
        package: Its package.
        names: Modules of the package, in the order help lists them.
        word: What help calls them, in the singular.
    """
    actions = parser.add_subparsers(title=f"{word}s", metavar=word.upper(), required=True)
    for name in names:
        module = import_module(f"{package}.{name}")
        action: argparse.ArgumentParser = module.add_parser(actions)
        action.set_defaults(run_action=module.run)
        action.add_argument("--debug", action="store_true", default=argparse.SUPPRESS, help=argparse.SUPPRESS)


def run(args: argparse.Namespace) -> int:
    """Run the action that was asked for."""
    status: int = args.run_action(args)
    return status
