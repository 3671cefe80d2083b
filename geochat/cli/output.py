"""Loading the model a command asks, and printing JSON. Imports nothing heavy."""

import argparse
import json
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from geochat.assistant import GeoChat


def load(args: argparse.Namespace) -> "GeoChat":
    """The façade over the checkpoint that `options.add_model_options` lets name.

    Raises:
        GeoChatError: It cannot be loaded; what its names and small files show is reported before torch is imported.
    """
    from geochat.assistant import GeoChat

    return GeoChat.from_pretrained(
        args.model,
        base=args.base,
        device=args.device,
        dtype=args.dtype,
        quantization=args.quantization,
        allow_download=args.allow_download,
    )


def print_json(value: Mapping[str, Any], *, indent: int | None = 2) -> None:
    """Print one JSON object, in one line where `indent` is None."""
    print(json_text(value, indent=indent))


def json_text(value: Mapping[str, Any], *, indent: int | None = None) -> str:
    """A JSON object as standard output can show it."""
    legible = (sys.stdout.encoding or "").lower().startswith("utf")
    return json.dumps(value, ensure_ascii=not legible, indent=indent, allow_nan=False)
