"""`geochat eval score`: figures of a file of answers."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from geochat.cli.options import add_dialect_option, stated_dialect
from geochat.cli.output import note
from geochat.cli.values import RegistryNames
from geochat_eval.registry import SCORERS

if TYPE_CHECKING:
    from geochat_eval.score import ScoredFile

FORMATS = RegistryNames("geochat_eval.formats:FORMATS")
_NOTED = 5  # places named for each reason


def add_arguments(score: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    score.description = (
        "Score a file of answers from any source, without a model: a percentage for every rule, defined in "
        "docs/scoring.md."
    )
    score.add_argument(
        "file", metavar="FILE", type=Path, help="answers with their ground truth, one JSON object per line"
    )
    score.add_argument(
        "--as", dest="task", required=True, metavar="TASK", choices=SCORERS, help="what was asked: %(choices)s"
    )
    score.add_argument(
        "--format", metavar="NAME", choices=FORMATS, default="geochat", help="%(choices)s (default: %(default)s)"
    )
    add_dialect_option(score, "the model that gave the answers", "that of the run FILE is in, else GeoChat")
    score.add_argument("--truth", metavar="FILE", type=Path, help="truths joined by question_id, where FILE has none")
    score.add_argument(
        "--images", metavar="DIR", type=Path, help="folder of images, to read image sizes if true boxes are in pixels"
    )
    score.add_argument("--no-meteor", action="store_true", help="skip METEOR, which is slow to start")
    score.add_argument(
        "--bootstrap", metavar="N", type=int, default=1000, help="replicates behind the 95%% intervals (%(default)s)"
    )
    score.add_argument("--seed", metavar="N", type=int, default=0, help="of the bootstrap (%(default)s)")
    score.add_argument("--strict", action="store_true", help="stop at a line that cannot be scored")
    score.add_argument("--json", action="store_true", help="print one JSON object instead of a table")


def run(args: argparse.Namespace) -> int:
    """Print the figures of a file; lines that could not be scored are listed on standard error."""
    from geochat.cli.output import print_json
    from geochat.dialects import find_dialect
    from geochat_eval.reports.writing import table_lines
    from geochat_eval.runs.folder import dialects_of
    from geochat_eval.score import score_file
    from geochat_eval.scorers import ScorerSettings

    settings = ScorerSettings(args.bootstrap, args.seed, args.images, not args.no_meteor)
    stated = stated_dialect(args) or (find_dialect("earthdial") if args.format == "earthdial" else None)
    dialect, truth_dialect = dialects_of(args.file, stated)
    result = score_file(
        args.file,
        args.task,
        args.format,
        settings,
        dialect=dialect,
        truth_dialect=truth_dialect,
        truths=args.truth,
        strict=args.strict,
    )
    if args.json:
        print_json(result.to_dict())
    else:
        print("\n".join(table_lines(result.scored)))
        if args.bootstrap:
            print(f"\n{result.tally}")
    _note_skipped(result)
    return 0


def _note_skipped(result: "ScoredFile") -> None:
    sys.stdout.flush()  # the figures first, also where both streams go to one screen
    for reason, count in result.report.reasons.items():
        places = result.report.places[reason]
        more = ", ..." if count > _NOTED else ""
        note(f"{count} lines left out: {reason} ({', '.join(places[:_NOTED])}{more})")
