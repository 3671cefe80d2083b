"""`geochat merge`: write an adapter and its base as one checkpoint."""

import argparse
from pathlib import Path

from geochat.cli import options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.description = (
        "Merge a LoRA adapter into its base and write a checkpoint in the native layout. The base is read in full "
        "precision, also for an adapter trained on a 4-bit base. An interrupted merge resumes when the command is run "
        "again."
    )
    parser.add_argument("adapter", metavar="ADAPTER", help="adapter of `geochat train`, of PEFT or of the original")
    parser.add_argument("destination", metavar="DST", type=Path, help="folder to write; must not exist")
    parser.add_argument("--base", metavar="MODEL", help="base of ADAPTER (default: the one it names)")
    parser.add_argument(
        "--dtype",
        metavar="NAME",
        default="float32",
        help="float32 is exact, bfloat16 and float16 take half the space (default: float32)",
    )
    parser.add_argument("--shard-size", metavar="SIZE", default="5GB", help="largest weights file (default: 5GB)")
    options.add_download_option(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of text")


def run(args: argparse.Namespace) -> int:
    """Merge, and print a summary.

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
