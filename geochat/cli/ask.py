"""`geochat ask`: one question about one image."""

import argparse
from pathlib import Path
from typing import Any

from geochat.cli import options, values


def add_parser(commands: Any) -> argparse.ArgumentParser:  # noqa: ANN401 - argparse keeps its type private
    """Declare the command."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "ask",
        help="ask a question about an image",
        description="Ask a question about an image. The answer streams to standard output; [1] in it is the first "
        "region listed below it.",
    )
    parser.add_argument("image", metavar="IMAGE", help="a TIFF, PNG, JPEG, WebP or JPEG 2000 file")
    parser.add_argument(
        "question",
        metavar="QUESTION",
        nargs="?",
        type=values.words,
        help="what to ask; for --task scene the classes, a,b,c; caption, grounding and identify need no words",
    )
    parser.add_argument(
        "--task", choices=options.TASKS, default="auto", help="kind of question (default: by its task token)"
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
        help="GeoJSON polygons asked about; may be repeated",
    )
    options.add_model_options(parser)
    options.add_generation_options(parser)
    out = parser.add_argument_group("results")
    out.add_argument("--json", action="store_true", help="print one JSON object instead of text")
    out.add_argument("--overlay", metavar="FILE", type=Path, help="draw the regions on the image (.png or .jpg)")
    out.add_argument("--geojson", metavar="FILE", type=Path, help="write the regions as GeoJSON")
    out.add_argument("--geopackage", metavar="FILE", type=Path, help="write the regions as a GeoPackage (.gpkg)")
    return parser


def run(args: argparse.Namespace) -> int:
    """Ask, print and write."""
    from geochat.cli import output

    output.check_targets(args)
    regions = [*args.region, *(output.read_geojson(path) for path in args.region_file)]
    generation = options.generation(args)
    image = options.open_view(args)
    stream = output.load(args).stream(
        image, args.question or "", regions=regions, task=options.task(args.task), generation=generation
    )
    answer = stream.wait() if args.json else output.print_stream(stream)
    if args.json:
        output.print_json(answer.to_dict())
    output.write_files(answer, args)
    return 0
