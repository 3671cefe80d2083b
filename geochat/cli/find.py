"""`geochat find`: things in a whole scene, each once, as a layer."""

import argparse
from collections import Counter
from typing import TYPE_CHECKING

from geochat.cli import options, output, proposals, scenes, values

if TYPE_CHECKING:
    from geochat.find import Finding, FoundObject


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.description = (
        "Find things in a whole scene, through overlapping windows at the ground resolution the model knows. Each "
        "object is given once, also where several windows show it, and pieces of one that no window shows whole are "
        "joined. Prints how many there are of each; windows that could not be looked at are a second table of the "
        "layer, and make the exit status 1."
    )
    add_search_arguments(parser)
    proposals.add_arguments(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object a line for each object")


def add_search_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what is found where, which `geochat count` shares."""
    parser.add_argument("scene", metavar="SCENE", help="an image of any size")
    parser.add_argument(
        "words", metavar="PHRASE", nargs="+", type=values.words, help='what to find, such as "ships" "storage tanks"'
    )
    scenes.add_output_options(parser, "results")
    scenes.add_window_options(parser, "25%")
    group = parser.add_argument_group("objects")
    group.add_argument("--min-score", metavar="S", type=float, help="leave out objects of a lower score, from 0 to 1")
    group.add_argument("--limit", metavar="N", type=int, help="stop once N objects are found")
    group.add_argument(
        "--max-boxes", metavar="N", type=int, default=100, help="boxes of a phrase in one window (default: 100)"
    )
    group.add_argument(
        "--iou",
        metavar="T",
        type=float,
        default=0.3,
        help="overlap from which boxes of two windows are one object (default: 0.3)",
    )
    group.add_argument(
        "--verbatim", action="store_true", help="send phrases as they are, though the model knows trained wordings"
    )
    scenes.add_job_options(parser)
    options.add_model_options(parser)
    options.add_generation_options(parser)


def run(args: argparse.Namespace) -> int:
    """Find, print and write; or judge the candidates of another detector."""
    if args.proposals is not None:
        return proposals.run(args)
    bar = scenes.ProgressBar()
    finding = search(args, bar)

    def show(found: "FoundObject") -> None:
        if args.json:
            output.print_json(found.to_dict(), indent=None)

    if not scenes.compute(args, finding, bar, show):
        return 0
    if not args.json:
        counts = Counter(found.phrase for found in finding.objects())
        for phrase in finding.phrases:
            print(f"{phrase}: {counts[phrase]}")
    if others := finding.others:
        output.note(f"{others} boxes are left out: the model called them by another name than what was asked for")
    return scenes.write_results(args, finding, finding.save)


def search(args: argparse.Namespace, bar: scenes.ProgressBar) -> "Finding":
    """The search that `add_search_arguments` describe; nothing is computed yet.

    Raises:
        GeoChatError: A file cannot be read or written, or an option is impossible.
    """
    scenes.check_outputs(args)
    scene = scenes.scene_of(args)
    generation = options.generation(args)
    finding = options.load_model(args).find(
        scene,
        args.words,
        **scenes.look_options(args),
        **scenes.job_options(args),
        max_boxes=args.max_boxes,
        min_score=args.min_score,
        limit=args.limit,
        iou=args.iou,
        raw=args.verbatim,
        generation=generation,
        on_progress=bar.show,
    )
    output.note(finding.look.describe())
    return finding
