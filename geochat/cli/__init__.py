"""The `geochat` command.

Each command is a module with `add_parser` and `run`. Nothing heavy is imported before a command runs, so that help is
instant. Standard output holds results alone; everything else goes to standard error. Exit status: 0 done, 1 an error
told in one line, 2 wrong usage, 130 interrupted, 141 the reader of the output went away.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module

from geochat import __version__
from geochat.cli import process
from geochat.cli.reporting import report

_COMMANDS = (
    "geochat.cli.demo",
    "geochat.cli.ask",
    "geochat.cli.chat",
    "geochat_serve.command",
    "geochat.cli.info",
    "geochat.cli.convert",
    "geochat.cli.verify",
    "geochat_data.commands",
    "geochat_eval.commands",
    "geochat_train.commands",
    "geochat.cli.merge",
    "geochat.cli.clip",
    "geochat.cli.doctor",
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status.

    Args:
        argv: Arguments without the program's name; None takes the process's.
    """
    debug = False
    try:
        process.take_interrupts()
        process.open_streams()
        args = process.parse(build_parser(), sys.argv[1:] if argv is None else argv)
        debug = args.debug
        process.limit_talk(debug=debug)
        status: int = args.run(args)
        sys.stdout.flush()  # a reader that went away shows here at the latest
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or the interpreter complains at exit
        return 141
    except Exception as error:  # the last stop before the user
        return report(error, debug=debug)
    return status


def build_parser() -> argparse.ArgumentParser:
    """The parser with every command."""
    parser = argparse.ArgumentParser(
        prog="geochat", description="Talk to satellite and aerial images and get grounded answers."
    )
    parser.add_argument("--version", action="version", version=f"geochat {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name in _COMMANDS:
        module = import_module(name)
        command: argparse.ArgumentParser = module.add_parser(commands)
        command.set_defaults(run=module.run)
        command.add_argument("--debug", action="store_true", help="show warnings and, on an error, the traceback")
    return parser
