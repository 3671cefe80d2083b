"""`geochat merge`: an adapter and its base as one checkpoint."""

import argparse
from pathlib import Path
from typing import Any

from geochat.cli import options


def add_parser(commands: Any) -> argparse.ArgumentParser:  # noqa: ANN401 - argparse keeps its type private
    """Declare the command."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "merge",
        help="make an adapter and its base one model",
        description="Merge a LoRA adapter into its base and write a checkpoint in the native layout. The base is taken "
        "in full precision even where the adapter was trained beside 4 bits. An interrupted merge goes on when it is "
        "run again.",
    )
    parser.add_argument("adapter", metavar="ADAPTER", help="what `geochat train` wrote, or PEFT, or the original")
    parser.add_argument("destination", metavar="DST", type=Path, help="folder to write; must not exist")
    parser.add_argument("--base", metavar="MODEL", help="what ADAPTER adapts (default: what it names itself)")
    parser.add_argument(
        "--dtype",
        metavar="NAME",
        default="float32",
        help="float32 loses nothing, bfloat16 and float16 take half the space (default: float32)",
    )
    parser.add_argument("--shard-size", metavar="SIZE", default="5GB", help="largest weights file (default: 5GB)")
    options.add_download_option(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of text")
    return parser


def run(args: argparse.Namespace) -> int:
    """Merge, and print what was written.

    Raises:
        CheckpointError: There is no adapter, or it does not fit its base.
    """
    from geochat.checkpoints.hub import find
    from geochat.cli import convert
    from geochat.models.finding import check_adapter, check_destination
    from geochat.models.reading import IMAGE_SIZE

    check_destination(args.destination)
    check_adapter(find(args.adapter), base=args.base)
    args.source, args.image_size = args.adapter, IMAGE_SIZE
    return convert.run(args)
