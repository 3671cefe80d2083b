"""`geochat data show`: samples as a picture, to be looked at."""

import argparse
from pathlib import Path

from geochat.cli.options import add_dialect_option, dialect_of
from geochat_data.commands import options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.description = (
        "Draw a contact sheet: boxes of answers green, of questions yellow, the turns below each image."
    )
    options.add_file(parser)
    add_dialect_option(parser, "the model FILE was built for")
    parser.add_argument("--out", metavar="FILE", type=Path, default=Path("samples.png"), help="(default: samples.png)")
    parser.add_argument(
        "--count", metavar="N", type=options.positive, default=25, help="how many samples (default: 25)"
    )
    parser.add_argument("--seed", metavar="N", type=int, help="draw at random (default: the first ones)")


def run(args: argparse.Namespace) -> int:
    """Choose, draw and write."""
    import random
    from itertools import islice

    from geochat.errors import ExportError
    from geochat_data.inspection import contact_sheet
    from geochat_data.samples import read_samples

    dialect = dialect_of(args)
    samples = list(islice(read_samples(args.file), args.count if args.seed is None else None))
    if args.seed is not None:
        samples = random.Random(args.seed).sample(samples, min(args.count, len(samples)))
    sheet = contact_sheet(samples, args.images or args.file.parent, dialect)
    try:
        sheet.save(args.out)
    except (OSError, ValueError) as error:
        raise ExportError(f"{args.out} cannot be written: {error}; choose another --out, .png or .jpg") from error
    print(f"wrote {args.out}")
    return 0
