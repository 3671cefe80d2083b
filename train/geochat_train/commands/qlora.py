"""`geochat train qlora`: adapters beside a model in 4 bits."""

import argparse
from typing import Any

from geochat_train.commands.tuning import add_method, run_method

_DESCRIPTION = (
    "Teach the model with low-rank adapters beside a language model in 4 bits (QLoRA), which takes a "
    "fraction of the memory."
)


def add_parser(methods: Any) -> argparse.ArgumentParser:  # noqa: ANN401 - argparse keeps its type private
    """Declare the method."""
    return add_method(methods, "qlora", "adapters beside a model in 4 bits", _DESCRIPTION)


def run(args: argparse.Namespace) -> int:
    """Train."""
    return run_method(args, "qlora")
