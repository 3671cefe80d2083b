"""`geochat count`: how many of something there are in a whole scene."""

import argparse

from geochat.cli import output, scenes, values
from geochat.cli.find import add_search_options, search


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.description = (
        "Count things in a whole scene: finds them as `geochat find` does, each once, and counts them. -o writes a "
        "polygon for each cell of a grid of windows, with the number of objects whose centre lies in it; null where "
        "the scene was not looked at. A --job of `geochat find` with the same words and options is taken as it is."
    )
    parser.add_argument("scene", metavar="SCENE", help="an image of any size")
    parser.add_argument(
        "words", metavar="PHRASE", nargs="+", type=values.words, help='what to count, such as "ships" "storage tanks"'
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
