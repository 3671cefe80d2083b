"""`geochat ask`: one question about one image."""

import argparse
from pathlib import Path
from typing import Any

from geochat.cli import options

TASKS = {
    "auto": None,
    "describe": "caption",
    **{name: name for name in ("chat", "caption", "scene", "vqa", "grounding", "refer", "identify")},
}
"""Names on the command line and the values of `geochat.prompts.Task` they stand for."""


def add_parser(commands: Any) -> argparse.ArgumentParser:  # noqa: ANN401 - argparse keeps its type private
    """Declare the command."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "ask",
        help="ask a question about an image",
        description="Ask a question about an image. The answer streams to standard output; [1] in it is the first "
        "region listed below it.",
    )
    parser.add_argument("image", metavar="IMAGE", help="a TIFF, PNG, JPEG, WebP or JPEG 2000 file")
    parser.add_argument("question", metavar="QUESTION", help="what to ask; for --task scene the classes, a,b,c")
    parser.add_argument("--task", choices=TASKS, default="auto", help="kind of question (default: by its task token)")
    view = parser.add_argument_group("what is looked at")
    view.add_argument(
        "--region",
        metavar="x1,y1,x2,y2[,θ]",
        type=options.region,
        action="append",
        default=[],
        help="a box asked about, in pixels of the whole image, turned by θ degrees clockwise; may be repeated; "
        "write --region=-5,... where it begins with a minus",
    )
    view.add_argument(
        "--region-file",
        metavar="FILE",
        type=Path,
        action="append",
        default=[],
        help="GeoJSON polygons asked about; may be repeated",
    )
    view.add_argument("--window", metavar="col,row,width,height", type=options.window, help="look at this part only")
    view.add_argument(
        "--bands",
        metavar="r,g,b",
        type=options.bands,
        default="auto",
        help="band numbers from 1, or rgb, nir, swir, or as landsat8:nir",
    )
    view.add_argument(
        "--stretch",
        metavar="HOW",
        type=options.stretch,
        default={},
        help="band values to brightness: auto, none, percentile, percentile:1,99, or the values low,high",
    )
    options.add_model_options(parser)
    parser.add_argument("--max-new-tokens", metavar="N", type=int, default=512, help="answer budget (default: 512)")
    out = parser.add_argument_group("results")
    out.add_argument("--json", action="store_true", help="print one JSON object instead of text")
    out.add_argument("--overlay", metavar="FILE", type=Path, help="draw the regions on the image (.png or .jpg)")
    out.add_argument("--geojson", metavar="FILE", type=Path, help="write the regions as GeoJSON")
    out.add_argument("--geopackage", metavar="FILE", type=Path, help="write the regions as a GeoPackage (.gpkg)")
    return parser


def run(args: argparse.Namespace) -> int:
    """Ask, print and write."""
    from geochat.cli import output
    from geochat.engines import GenerationSettings
    from geochat.imagery import Stretch, open_image
    from geochat.prompts import Task

    output.check_targets(args)
    regions = [*args.region, *(output.read_geojson(path) for path in args.region_file)]
    generation = GenerationSettings(max_new_tokens=args.max_new_tokens)
    image = open_image(args.image, bands=args.bands, window=args.window, stretch=Stretch(**args.stretch))
    task = TASKS[args.task]
    stream = output.load(args).stream(
        image, args.question, regions=regions, task=Task(task) if task else None, generation=generation
    )
    answer = stream.wait() if args.json else output.print_stream(stream)
    if args.json:
        output.print_json(answer.to_dict())
    output.write_files(answer, args)
    return 0
