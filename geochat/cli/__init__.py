"""The `geochat` command.

`commands` holds the table of commands. A command is imported when it is selected, and heavy modules when it runs, so
that help is instant. Standard output holds results only; messages go to standard error.

Exit status: 0 success, 1 an error reported in one line, 2 wrong usage, 130 interrupted, 141 closed output pipe.
"""

import argparse
import os
import sys
from collections.abc import Sequence

from geochat import __version__
from geochat.cli import process
from geochat.cli.commands import COMMANDS, add_commands
from geochat.cli.output import report


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status.

    Args:
        argv: Arguments without the program's name; None takes the process's.
    """
    debug = False
    try:
        process.enable_interrupts()
        process.open_streams()
        args = process.parse(build_parser(), sys.argv[1:] if argv is None else argv)
        debug = args.debug
        process.quiet_libraries(debug=debug)
        status: int = args.run(args)
        sys.stdout.flush()  # a closed pipe shows here at the latest
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or the interpreter complains at exit
        return 141
    except Exception as error:  # the last stop before the user
        return report(error, debug=debug)
    return status


def build_parser() -> argparse.ArgumentParser:
    """Build the program's parser; a command declares its arguments when it is selected."""
    parser = argparse.ArgumentParser(
        prog="geochat", description="Ask questions about satellite and aerial images and get grounded answers."
    )
    parser.add_argument("--version", action="version", version=f"geochat {__version__}")
    parser.set_defaults(debug=False)
    add_commands(parser, COMMANDS)
    return parser
