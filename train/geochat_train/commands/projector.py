"""`geochat train projector`: the projector alone."""

import argparse
from typing import Any

from geochat_train.commands.tuning import add_method, run_method

_DESCRIPTION = (
    "Align the projector between vision tower and language model, which stay as they are. The result is a "
    "whole checkpoint."
)


def add_parser(methods: Any) -> argparse.ArgumentParser:  # noqa: ANN401 - argparse keeps its type private
    """Declare the method."""
    return add_method(methods, "projector", "the projector alone", _DESCRIPTION)


def run(args: argparse.Namespace) -> int:
    """Train."""
    return run_method(args, "projector")
