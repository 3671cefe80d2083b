"""`geochat eval compare`: two runs, or two files of answers, question by question."""

import argparse
from pathlib import Path

from geochat.cli.options import add_dialect_option, stated_dialect
from geochat_eval.commands.score import FORMATS
from geochat_eval.registry import BENCHMARKS, SCORERS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.description = (
        "Score two runs on the questions both answered, and give each difference with its paired 95% "
        "interval; those that exclude zero are marked with *."
    )
    parser.add_argument("first", metavar="A", type=Path, help="folder of `geochat eval run`, or a file of answers")
    parser.add_argument("second", metavar="B", type=Path, help="the same")
    parser.add_argument(
        "--as", dest="task", metavar="TASK", choices=SCORERS, help="what was asked, where A is a file: %(choices)s"
    )
    parser.add_argument(
        "--format", metavar="NAME", choices=FORMATS, default="geochat", help="of A, where it is a file (%(default)s)"
    )
    parser.add_argument("--format-b", metavar="NAME", choices=FORMATS, help="of B, where it is another")
    add_dialect_option(parser, "the model that gave A, where A is a file")
    add_dialect_option(parser, "the model that gave B, where B is a file", option="--for-b")
    parser.add_argument(
        "--images", metavar="DIR", type=Path, help="folder of images, to read image sizes if true boxes are in pixels"
    )
    parser.add_argument("--no-meteor", action="store_true", help="skip METEOR, which is slow to start")
    parser.add_argument(
        "--bootstrap", metavar="N", type=int, default=1000, help="replicates behind the 95%% intervals (default: 1000)"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")


def run(args: argparse.Namespace) -> int:
    """Compare and print."""
    from geochat.cli.output import print_json
    from geochat.errors import SettingsError
    from geochat_eval.reports import compare
    from geochat_eval.reports.writing import difference_lines
    from geochat_eval.runs import EvaluationFolder
    from geochat_eval.runs.folder import dialects_of
    from geochat_eval.scorers import ScorerSettings

    task, images = args.task, args.images
    if args.first.is_dir():
        about = EvaluationFolder(args.first).read_settings()
        task = task or BENCHMARKS[str(about.get("benchmark"))].scorer
        images = images or EvaluationFolder(args.first).image_root(about)
    if task is None:
        raise SettingsError(f"{args.first} is a file, which does not say what was asked; say it with --as")
    for path in (args.first, args.second):
        if path.is_dir():
            EvaluationFolder(path).check_results()
    first, second = (EvaluationFolder(path).answers if path.is_dir() else path for path in (args.first, args.second))
    settings = ScorerSettings(args.bootstrap, images=images, meteor=not args.no_meteor)
    ours, ours_true = dialects_of(args.first, stated_dialect(args))
    theirs, theirs_true = dialects_of(args.second, stated_dialect(args, "--for-b"))
    found = compare(
        first,
        second,
        task,
        settings,
        (args.format, args.format_b or args.format),
        dialects=(ours, theirs),
        truth_dialects=(ours_true, theirs_true),
    )
    if args.json:
        print_json(found.to_dict())
        return 0
    print("\n".join(difference_lines(found.first, found.second, found.differences)))
    print(f"\n{found.better} questions answered better by A, {found.worse} by B, {found.equal} equally well")
    if args.bootstrap:
        print(found.tally)
    for reason, count in found.report.reasons.items():
        print(f"{count} left out: {reason} (such as {found.report.places[reason][0]})")
    return 0
