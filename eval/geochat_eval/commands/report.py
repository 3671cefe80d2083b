"""`geochat eval report`: a run's figures as JSON, Markdown and one HTML page."""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.description = (
        "Write report.json, report.md and report.html, which is self-contained, into the folder of a finished run."
    )
    parser.add_argument("folder", metavar="RUN", type=Path, help="folder of `geochat eval run`")
    add_options(parser)
    parser.add_argument("--json", action="store_true", help="print report.json too")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare how a run is scored and displayed."""
    parser.add_argument(
        "--beside",
        metavar="NAME=RUN",
        type=beside,
        action="append",
        default=[],
        help="a run of the same questions to compare with, such as blind=DIR; may be repeated",
    )
    parser.add_argument("--examples", metavar="N", type=int, default=8, help="answers shown of each kind (default: 8)")
    parser.add_argument("--no-meteor", action="store_true", help="skip METEOR, which is slow to start")
    parser.add_argument(
        "--bootstrap", metavar="N", type=int, default=1000, help="replicates behind the 95%% intervals (default: 1000)"
    )


def beside(text: str) -> tuple[str, Path]:
    """Parse `NAME=RUN`."""
    name, separator, path = text.partition("=")
    if not (name and separator and path):
        raise argparse.ArgumentTypeError(f"{text!r} names no run; write NAME=RUN, such as blind=runs/blind")
    return name, Path(path)


def run(args: argparse.Namespace) -> int:
    """Score, gather, write."""
    from geochat.cli.output import print_json
    from geochat_eval.reports import report, write_report
    from geochat_eval.scorers import ScorerSettings

    settings = ScorerSettings(args.bootstrap, meteor=not args.no_meteor)
    result = report(args.folder, settings, beside=dict(args.beside), examples=args.examples)
    paths = write_report(result)
    if args.json:
        print_json(result.to_dict())
    else:
        print("\n".join(f"wrote {path}" for path in paths))
    return 0
