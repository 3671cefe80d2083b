"""`geochat find --proposals`: candidates of another detector, judged one by one."""

import argparse
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from geochat.cli import options, output, scenes
from geochat.errors import SettingsError

if TYPE_CHECKING:
    from geochat.find.candidates import Candidate


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the candidates and the method of judging them."""
    group = parser.add_argument_group("proposals")
    group.add_argument(
        "--proposals",
        metavar="FILE",
        type=Path,
        help="judge the polygons of FILE, boxes of any detector, instead of searching: each is named, scored, and "
        "kept or rejected; the results are the same features (.gpkg, .geojson)",
    )
    group.add_argument(
        "--judge-by",
        metavar="HOW",
        choices=("identify", "presence"),
        help="ask for the name of each (identify), or whether it shows a PHRASE (presence) (default: the first that "
        "the model was trained for)",
    )


def run(args: argparse.Namespace) -> int:
    """Judge, print and write.

    Returns:
        The exit status: 1 where a candidate is unread.

    Raises:
        GeoChatError: A file cannot be read or written, or an option is impossible.
    """
    from geochat.exports import check_target
    from geochat.find.proposals import SUFFIXES, Proposals

    _check(args)
    for path in args.output:
        check_target(path, SUFFIXES)
    scene = scenes.scene_of(args)
    bar = scenes.ProgressBar()
    look = scenes.look_options(args)
    proposals = Proposals(
        options.load_model(args).engine,
        scene,
        args.proposals,
        args.words,
        window=look["window"],
        bands=look["bands"],
        stretch=look["stretch"],
        **scenes.job_options(args),
        method=args.judge_by,
        min_score=args.min_score,
        generation=options.generation(args),
        on_progress=bar.show,
    )
    output.note(proposals.describe())
    counts = Counter[str]()

    def show(candidate: "Candidate") -> None:
        counts[candidate.verdict] += 1
        if args.json:
            output.print_json(candidate.to_dict(), indent=None)

    if not scenes.compute(args, proposals, bar, show):
        return 0
    if not args.json:
        print(f"kept: {counts['kept']}\nrejected: {counts['rejected']}\nunread: {counts['unread']}")
    status = scenes.write_results(args, proposals, proposals.save)
    return 1 if counts["unread"] else status


def _check(args: argparse.Namespace) -> None:
    """Refuse options of a search that have no effect here.

    Raises:
        SettingsError: One is given.
    """
    given = {"--aoi": args.aoi, "--limit": args.limit, "--format": args.format}
    for name, value in given.items():
        if value is not None:
            raise SettingsError(f"{name} is for a search; leave it out beside --proposals")
