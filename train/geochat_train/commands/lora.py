"""`geochat train lora`: adapters beside frozen weights."""

import argparse
from typing import Any

from geochat_train.commands.tuning import add_method, run_method

_DESCRIPTION = (
    "Teach the model with low-rank adapters (LoRA). The result is a small folder that PEFT and `geochat "
    "ask --model` load onto the base."
)


def add_parser(methods: Any) -> argparse.ArgumentParser:  # noqa: ANN401 - argparse keeps its type private
    """Declare the method."""
    return add_method(methods, "lora", "adapters beside frozen weights", _DESCRIPTION)


def run(args: argparse.Namespace) -> int:
    """Train."""
    return run_method(args, "lora")
