"""`geochat eval card`: the headline figures of several runs as one table for a model card."""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.description = (
        "Print a Markdown table: each run's headline figures with their intervals, figures for "
        "comparison, and the command. A folder RUN.NAME next to RUN, such as RUN.blind, is compared with it."
    )
    parser.add_argument("runs", metavar="RUN", type=Path, nargs="+", help="folders of `geochat eval run`")
    parser.add_argument("--no-meteor", action="store_true", help="skip METEOR, which is slow to start")
    parser.add_argument(
        "--bootstrap", metavar="N", type=int, default=1000, help="replicates behind the 95%% intervals (default: 1000)"
    )


def run(args: argparse.Namespace) -> int:
    """Score every run and print the table."""
    from geochat_eval.reports import card, report
    from geochat_eval.scorers import ScorerSettings

    settings = ScorerSettings(args.bootstrap, meteor=not args.no_meteor)
    print(card(report(path, settings, beside=_beside(path), examples=0) for path in args.runs))
    return 0


def _beside(path: Path) -> dict[str, Path]:
    return {found.name.removeprefix(f"{path.name}."): found for found in sorted(path.parent.glob(f"{path.name}.*"))}
