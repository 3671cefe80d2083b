"""`geochat train full`: all weights."""

import argparse
from typing import Any

from geochat_train.commands.tuning import add_method, run_method

_DESCRIPTION = "Teach all weights of the adapted parts. The result is a whole checkpoint."


def add_parser(methods: Any) -> argparse.ArgumentParser:  # noqa: ANN401 - argparse keeps its type private
    """Declare the method."""
    return add_method(methods, "full", "all weights", _DESCRIPTION)


def run(args: argparse.Namespace) -> int:
    """Train."""
    return run_method(args, "full")
