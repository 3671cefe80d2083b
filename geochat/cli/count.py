"""`geochat count`: the number of objects in a whole scene."""

import argparse

from geochat.cli import output, scenes, values
from geochat.cli.find import add_search_options, search


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.description = (
        "Count the objects in a whole scene. They are found as by `geochat find`, each once. -o writes a polygon for "
        "each cell of a grid of windows, with the number of objects whose centre lies in it, or null if the cell was "
        "not searched. A --job of `geochat find` with the same phrases and options is reused."
    )
    parser.add_argument("scene", metavar="SCENE", help="an image of any size")
    parser.add_argument(
        "words",
        metavar="PHRASE",
        nargs="+",
        type=values.words,
        help='objects to count, such as "ships" "storage tanks"',
    )
    add_search_options(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object, by phrase")


def run(args: argparse.Namespace) -> int:
    """Find, count, print and write."""
    from geochat.find import CellCounts

    bar = scenes.ProgressBar()
    finding = search(args, bar)
    if not scenes.compute(args, finding, bar, save=lambda path, name: CellCounts(finding).save(path, name)):
        return 0
    counts = CellCounts(finding)
    if args.json:
        output.print_json(counts.totals)
    else:
        print("\n".join(f"{phrase}: {count}" for phrase, count in counts.totals.items()))
    return scenes.write_results(args, finding, counts.save)
