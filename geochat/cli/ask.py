"""`geochat ask`: a question about an image, about each of several, or about each feature of a vector layer."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from geochat.cli import images, options, remote, values
from geochat.errors import PromptError

if TYPE_CHECKING:
    from geochat.assistant import Question


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.description = (
        "Ask a question about an image. The answer streams to standard output; [1] in it stands for the first region "
        "listed below it. With several images, or a folder of them, the question is asked about each image on its own "
        "and each answer is one line; a failure is reported on standard error, the other images are still answered, "
        "and the exit status is 1."
    )
    parser.add_argument(
        "words",
        metavar="IMAGE",
        nargs="+",
        help="a TIFF, PNG, JPEG, WebP, BMP or JPEG 2000 file, or a folder of them (without its sub-folders)",
    )
    parser.add_argument(
        "last",
        metavar="QUESTION",
        nargs="?",
        help="the last word, unless it names an existing file or folder or ends like an image file. For --task scene "
        "the classes, a,b,c; caption, grounding and identify need no question",
    )
    parser.add_argument("--question", metavar="TEXT", type=values.words, help="a question that reads like a file name")
    parser.add_argument(
        "--task",
        choices=options.TASKS,
        default="auto",
        help="kind of question (default: by its text and regions)",
    )
    parser.add_argument("--choices", metavar="A,B,C", help="closed set of answers, or a .txt file with one per line")
    parser.add_argument(
        "--verbatim", action="store_true", help="send the question unchanged, also to a model with trained wordings"
    )
    view = options.add_view_options(parser)
    view.add_argument(
        "--region",
        metavar="x1,y1,x2,y2[,θ]",
        type=values.region,
        action="append",
        default=[],
        help="box to ask about, in pixels of the whole image, rotated by θ degrees clockwise; may be repeated",
    )
    view.add_argument(
        "--region-file",
        metavar="FILE",
        type=Path,
        action="append",
        default=[],
        help="polygons to ask about: GeoJSON, GeoPackage, Shapefile, ..., in any CRS; may be repeated. An identify "
        "question is asked about each feature of one file, and --geojson and --geopackage write the same layer with "
        "the answers",
    )
    view.add_argument("--region-layer", metavar="NAME", help="layer of FILE (default: the first)")
    options.add_model_options(parser)
    remote.add_server_option(parser)
    options.add_generation_options(parser)
    out = parser.add_argument_group("results")
    out.add_argument(
        "--json", action="store_true", help="print a JSON object instead of text, or one per line for several images"
    )
    out.add_argument(
        "--table",
        metavar="FILE",
        type=Path,
        help="write a row for each answer (.csv or .jsonl); rows go to FILE.part, which becomes FILE at the end",
    )
    out.add_argument(
        "--overlay",
        metavar="FILE",
        type=Path,
        help="draw the regions on the image (.png, .jpg); for several images a folder",
    )
    out.add_argument("--geojson", metavar="FILE", type=Path, help="write the regions of all images as GeoJSON")
    out.add_argument("--geopackage", metavar="FILE", type=Path, help="write them as a GeoPackage (.gpkg)")


def run(args: argparse.Namespace) -> int:
    """Ask, print and write.

    Raises:
        GeoChatError: An option or image is wrong, or a result cannot be written.
    """
    words = images.split_words([*args.words, *filter(None, [args.last])], args.question)
    if (url := remote.server_of(args)) is not None:
        return remote.ask(args, url, words.images, words.question, several=words.several)
    from geochat.cli import ask_batch, ask_image

    question = _question(args, words.question)
    if words.several:
        return ask_batch.run(args, words.images, question)
    return ask_image.run(args, words.images[0], question)


def _question(args: argparse.Namespace, words: str) -> "Question":
    """Return the question of words and options, without regions.

    Raises:
        GeoChatError: A generation setting is impossible, or fewer than two choices are given.
    """
    from geochat.assistant import Question

    choices = () if args.choices is None else values.class_names(args.choices)
    if args.choices is not None and len(set(choices)) < 2:
        raise PromptError(f"--choices {args.choices} leaves nothing to choose; give two or more, separated by commas")
    generation = options.generation(args)
    return Question(words, task=args.task, choices=choices, raw=args.verbatim, generation=generation)
