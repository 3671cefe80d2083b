"""`geochat ask`: a question about an image, about each of several, or about each feature of a vector layer."""

import argparse
from pathlib import Path
from typing import Any

from geochat.cli import images, options, values


def add_parser(commands: Any) -> argparse.ArgumentParser:  # noqa: ANN401 - argparse keeps its type private
    """Declare the command."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "ask",
        help="ask a question about images",
        description="Ask a question about an image. The answer streams to standard output; [1] in it is the first "
        "region listed below it. Of several images, or of those in a folder, each is asked about on its own, and each "
        "answer is one line; what cannot be answered is told on standard error, the others go on, and the exit status "
        "is 1.",
    )
    parser.add_argument(
        "words",
        metavar="IMAGE",
        nargs="+",
        help="a TIFF, PNG, JPEG, WebP, BMP or JPEG 2000 file, or a folder of them (sub-folders are left out)",
    )
    parser.add_argument(
        "last",
        metavar="QUESTION",
        nargs="?",
        help="what to ask: the last word, unless it names an existing file or folder or ends like an image file. For "
        "--task scene the classes, a,b,c; caption, grounding and identify need no words",
    )
    parser.add_argument("--question", metavar="TEXT", type=values.words, help="a question that reads like a file")
    parser.add_argument(
        "--task", choices=options.TASKS, default="auto", help="kind of question (default: by its words and regions)"
    )
    parser.add_argument("--choices", metavar="A,B,C", help="answer with one of these, or of a .txt file's lines")
    parser.add_argument(
        "--verbatim", action="store_true", help="send the question as it is, though the model knows trained wordings"
    )
    view = options.add_view_options(parser)
    view.add_argument(
        "--region",
        metavar="x1,y1,x2,y2[,θ]",
        type=values.region,
        action="append",
        default=[],
        help="a box asked about, in pixels of the whole image, turned by θ degrees clockwise; may be repeated",
    )
    view.add_argument(
        "--region-file",
        metavar="FILE",
        type=Path,
        action="append",
        default=[],
        help="polygons asked about: GeoJSON, GeoPackage, Shapefile, ..., in any CRS; may be repeated. Where the "
        "question is what they are (identify), those of one file are asked about one by one, and --geojson and "
        "--geopackage write the same layer with the answers",
    )
    view.add_argument("--region-layer", metavar="NAME", help="which layer of FILE (default: the first)")
    options.add_model_options(parser)
    options.add_generation_options(parser)
    out = parser.add_argument_group("results")
    out.add_argument(
        "--json", action="store_true", help="print one JSON object instead of text; of several images one a line"
    )
    out.add_argument(
        "--table",
        metavar="FILE",
        type=Path,
        help="write a row for each answer (.csv or .jsonl), as it comes, to FILE.part, which becomes FILE at the end",
    )
    out.add_argument(
        "--overlay",
        metavar="FILE",
        type=Path,
        help="draw the regions on the image (.png, .jpg); of several: a folder",
    )
    out.add_argument("--geojson", metavar="FILE", type=Path, help="write the regions of all images as GeoJSON")
    out.add_argument("--geopackage", metavar="FILE", type=Path, help="write them as a GeoPackage (.gpkg)")
    return parser


def run(args: argparse.Namespace) -> int:
    """Ask, print and write."""
    words = images.asked([*args.words, *filter(None, [args.last])], args.question)
    from geochat.cli import asking, several

    question = asking.read_question(args, words.question)
    if words.several:
        return several.run(args, words.images, question)
    return asking.run(args, words.images[0], question)
