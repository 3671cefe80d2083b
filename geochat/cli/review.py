"""`geochat review`: review of a layer by a person, with precision, recall and a threshold."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geochat.cli import options
from geochat.cli.output import note, print_json
from geochat.errors import SettingsError

if TYPE_CHECKING:
    from geochat.find.verdicts import Figures, Threshold


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.description = (
        "Review a layer of `geochat find` by eye. With --scene and --out, writes one page of objects and of windows "
        "without objects, drawn at random, to accept or reject by key or click; the page saves the verdicts. With "
        "--verdicts, prints precision and estimated recall with 95 % intervals, and the lowest score threshold that "
        "reaches --precision."
    )
    parser.add_argument("layer", metavar="LAYER", type=Path, help="a layer of objects on SCENE")
    page = parser.add_argument_group("page")
    page.add_argument("--scene", metavar="SCENE", help="the image on which the objects lie")
    page.add_argument("--out", metavar="FILE", type=Path, help="the page to write (.html)")
    page.add_argument(
        "--job",
        metavar="DIR",
        type=Path,
        help="folder of the search, from which empty windows are taken (default: the name of LAYER and .job)",
    )
    page.add_argument(
        "--sample",
        metavar="N",
        type=int,
        default=50,
        help="maximum number of objects, and of empty windows (default: 50)",
    )
    page.add_argument("--seed", metavar="N", type=int, default=0, help="seed of the random sample (default: 0)")
    options.add_source_options(page)
    figures = parser.add_argument_group("figures")
    figures.add_argument("--verdicts", metavar="FILE", type=Path, help="file saved by the page")
    figures.add_argument("--precision", metavar="P", type=float, help="requested precision, from 0 to 1, such as 0.9")
    figures.add_argument("--json", action="store_true", help="print one JSON object instead of text")


def run(args: argparse.Namespace) -> int:
    """Write the page, or print the figures.

    Raises:
        GeoChatError: A file cannot be read or written, or an option is missing or impossible.
    """
    if args.verdicts is not None:
        return _figures(args)
    if args.scene is None or args.out is None:
        raise SettingsError("give --scene and --out for the page, or --verdicts for the figures")
    return _page(args)


def _page(args: argparse.Namespace) -> int:
    from geochat.exports import check_target
    from geochat.find.review import job_of, write_review
    from geochat.imagery import Scene

    if args.sample < 1:
        raise SettingsError(f"--sample {args.sample} leaves nothing to review; give 1 or more")
    check_target(args.out, (".html", ".htm"))
    job = args.job or job_of(args.layer)
    if job is None:
        note(f"there is no search in {args.layer}.job, so the page has no empty windows; give --job DIR for recall")
    scene = Scene.open(args.scene, page=args.page, asset=args.asset)
    objects, windows = write_review(args.out, args.layer, scene, job, sample=args.sample, seed=args.seed)
    note(f"wrote {args.out}: {objects} objects and {windows} windows without objects")
    return 0


def _figures(args: argparse.Namespace) -> int:
    from geochat.exports import read_vector_layer
    from geochat.find.verdicts import Verdicts

    if args.precision is not None and not 0 <= args.precision <= 1:
        raise SettingsError(f"--precision {args.precision:g} is no share; give 0 to 1, such as 0.9")
    verdicts = Verdicts(args.verdicts, read_vector_layer(args.layer))
    figures = verdicts.figures()
    threshold = None if args.precision is None else verdicts.threshold(args.precision)
    if args.json:
        more: dict[str, Any] = {} if args.precision is None else {"threshold": threshold and threshold.to_dict()}
        print_json({**figures.to_dict(), **more})
        return 0
    _tell(figures)
    if args.precision is not None:
        _tell_threshold(threshold, args.precision)
    return 0


def _tell(figures: "Figures") -> None:
    low, high = figures.precision_interval
    print(f"precision: {figures.precision:.3f} (95 %: {low:.3f} to {high:.3f}, Wilson)")
    print(f"  {figures.accepted} of {figures.judged} objects accepted, of {figures.objects} in the layer")
    if figures.recall is None or figures.recall_interval is None:
        print("recall: unknown (no empty window was judged)")
        return
    low, high = figures.recall_interval
    print(f"recall: {figures.recall:.3f} (95 %: {low:.3f} to {high:.3f}), estimated")
    print(f"  {figures.missed} objects missed in {figures.windows} empty windows;")
    print("  assumes that they are missed as densely beside found ones as in empty windows")


def _tell_threshold(threshold: "Threshold | None", wanted: float) -> None:
    if threshold is None:
        print(f"threshold: none; no score gives a precision of {wanted:g}")
        return
    low, high, reached = *threshold.interval, threshold.precision
    print(f"threshold: {threshold.score:.4f}")
    print(f"  precision {reached:.3f} (95 %: {low:.3f} to {high:.3f}, Wilson)")
    print(f"  by {threshold.reviewed} reviewed objects; keeps {threshold.kept} of the layer")
