"""`geochat data stats`: what a training file consists of."""

import argparse
from pathlib import Path

from geochat.cli.options import add_dialect_option, dialect_of
from geochat_data.commands import options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.description = "Count kinds of questions, turns, answers, boxes, angles and sizes."
    parser.add_argument("file", metavar="FILE", type=Path, help="samples, .json or .jsonl")
    add_dialect_option(parser, "the model FILE was built for")
    parser.add_argument("--plots", metavar="FILE", type=Path, help="draw the counts as bar charts (.png)")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of text")


def run(args: argparse.Namespace) -> int:
    """Count, print and draw."""
    from geochat.cli import output
    from geochat.errors import ExportError
    from geochat_data.inspection import bar_charts, statistics
    from geochat_data.samples import read_samples

    charts = statistics(options.counted(read_samples(args.file), "samples"), dialect_of(args))
    if args.json:
        output.print_json(charts)
    else:
        for title, bars in charts.items():
            print(f"{title}: {', '.join(f'{name} {count:,}' for name, count in bars.items()) or 'none'}")
    if args.plots:
        try:
            bar_charts(charts).save(args.plots)
        except (OSError, ValueError) as error:
            raise ExportError(f"{args.plots} cannot be written: {error}; choose another name, .png") from error
    return 0
