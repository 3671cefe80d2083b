"""`geochat data check`: what is wrong with a training file."""

import argparse
from pathlib import Path

from geochat.cli.options import add_dialect_option, dialect_of
from geochat_data.commands import options

_SHOWN = 5  # places for each finding


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.description = (
        "Check every sample: its form, its image, its regions, whether it is there twice and, with "
        "--against, whether its image is also in another split. Exit status 1 when something is found."
    )
    options.add_file(parser)
    add_dialect_option(parser, "the model FILE was built for")
    parser.add_argument(
        "--against", metavar="PATH", type=Path, help="another split: its folder of images or its file of samples"
    )
    parser.add_argument("--against-images", metavar="DIR", type=Path, help="where --against is a file, its images")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of text")


def run(args: argparse.Namespace) -> int:
    """Check and print the findings."""
    from geochat.cli import output
    from geochat.errors import SettingsError
    from geochat_data.checking import check_leakage, check_samples, image_paths

    if args.against and not args.images:
        raise SettingsError("--against compares images; name the folder of this file's with --images")
    report, files = check_samples(args.file, args.images, dialect_of(args))
    if args.against:
        check_leakage(files.values(), image_paths(args.against, args.against_images), report)
    if args.json:
        output.print_json(report.to_dict())
        return 1 if report.skipped else 0
    print(f"{report.used} samples read, {len(files)} images looked at, {report.skipped} findings")
    for reason, count in report.reasons.most_common():
        print(f"\n{count} x {reason}")
        for place in report.places[reason][:_SHOWN]:
            print(f"  {place}")
    return 1 if report.skipped else 0
