"""`geochat doctor`: is everything in place?"""

import argparse
from typing import Any

from geochat.cli.checks import all_checks


def add_parser(commands: Any) -> argparse.ArgumentParser:  # noqa: ANN401 - argparse keeps its type private
    """Declare the command."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "doctor",
        help="check the installation",
        description="Check versions, device, memory, file formats, write access and the bundled model. "
        "Exit status 1 when something does not work.",
    )
    return parser


def run(args: argparse.Namespace) -> int:
    """Run every check, even after one has failed."""
    del args
    well = True
    for name, check in all_checks():
        try:
            verdict, detail = "ok", check()
        except Exception as error:  # a check that breaks in any way is a finding
            well, verdict, detail = False, "FAIL", " ".join(f"{error or type(error).__name__}".split())
        print(f"{verdict:<5}{name:<14}{detail}")
    return 0 if well else 1
