"""`geochat clip classify`: what scenes are."""

import argparse
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geochat.cli.clip import options
from geochat.cli.images import none_opens
from geochat.cli.options import add_view_options, class_names
from geochat.cli.reporting import note
from geochat.errors import SettingsError

if TYPE_CHECKING:
    from geochat.clip import Classifier


def add_parser(actions: Any) -> argparse.ArgumentParser:  # noqa: ANN401 - argparse keeps its type private
    """Declare the action."""
    parser: argparse.ArgumentParser = actions.add_parser(
        "classify",
        help="say what scenes are",
        description="Classify images among classes named in words, or with prompts that `geochat train coop` or "
        "`cocoop` learned. Images that cannot be read are told on standard error and left out.",
    )
    parser.add_argument("images", metavar="IMAGE", type=Path, nargs="+", help="image, or folder of images")
    parser.add_argument("--classes", metavar="A,B,C", help="names to choose from, or a .txt file with a name a line")
    parser.add_argument(
        "--templates",
        metavar="TEXT",
        nargs="+",
        default=["remote-sensing"],
        help="sentences with {} for the class, a file with one a line, or remote-sensing, satellite, photo "
        "(default: the ensemble remote-sensing)",
    )
    parser.add_argument("--prompts", metavar="FILE", type=Path, help="learned prompts, instead of templates")
    output = parser.add_argument_group("output")
    kinds = output.add_mutually_exclusive_group()
    kinds.add_argument("--json", action="store_const", const="json", dest="kind", help="one JSON object an image")
    kinds.add_argument("--csv", action="store_const", const="csv", dest="kind", help="a column for each class")
    output.add_argument(
        "--score", action="store_true", help="compare with the folders' names and tell accuracy on standard error"
    )
    options.add_encoder_options(parser)
    add_view_options(parser)
    speed = parser.add_argument_group("speed")
    speed.add_argument("--batch-size", metavar="N", type=int, default=32, help="images at once (default: 32)")
    speed.add_argument("--no-cache", action="store_true", help="neither keep features of images nor look for them")
    parser.set_defaults(kind="table")
    return parser


def run(args: argparse.Namespace) -> int:
    """Classify and print; exit status 1 where no image could be read."""
    from geochat.imagery import Stretch, open_image

    files = options.image_files(args.images)
    opener = partial(open_image, bands=args.bands, window=args.window, stretch=Stretch(**args.stretch), page=args.page)
    if not _check(args, files):
        return 1
    from geochat.cli.clip.printing import PRINTERS
    from geochat.cli.clip.scoring import Score
    from geochat.clip import FeatureCache

    classifier = _classifier(args)
    cache = None if args.no_cache else FeatureCache(classifier.encoder)
    failed: list[Any] = []

    def on_error(image: Any, error: Exception) -> None:  # noqa: ANN401 - any kind of image
        failed.append(image)
        note(f"left out: {error}")

    printer, score = PRINTERS[args.kind](classifier.classes, files), Score(classifier.classes)
    for found in classifier.classify_many(
        files, batch_size=args.batch_size, opener=opener, cache=cache, on_error=on_error
    ):
        printer.show(found)
        score.count(found)
    if args.score:
        note(score.told())
    if failed:
        note(f"{len(failed)} of {len(files)} images left out")
    return 1 if len(failed) == len(files) else 0


def _check(args: argparse.Namespace, files: list[Path]) -> bool:
    """Check what can be known before torch is imported; whether any image can be opened, telling each if none can.

    Raises:
        GeoChatError: An argument is impossible, or names what is not there.
    """
    if args.batch_size < 1:
        raise SettingsError(f"--batch-size {args.batch_size} leaves no image; give at least 1")
    if args.prompts is None and args.classes is None:
        raise SettingsError("nothing says which classes there are; give --classes a,b,c or --prompts FILE")
    if args.classes is not None:
        class_names(args.classes)
    options.check_prompts(args.prompts)
    options.check_encoder(args.model)
    unopened = none_opens(files)
    for error in unopened:
        note(f"left out: {error}")
    if unopened:
        note(f"{len(files)} of {len(files)} images left out")
    return not unopened


def _classifier(args: argparse.Namespace) -> "Classifier":
    from geochat.clip import Classifier, read_prompts, read_templates

    classes = class_names(args.classes) if args.classes is not None else None
    if args.prompts is not None:
        prompts = read_prompts(args.prompts)
        return Classifier.learned(options.load_encoder(args), prompts, classes)
    templates = read_templates(args.templates)
    return Classifier.zero_shot(options.load_encoder(args), classes or (), templates)
