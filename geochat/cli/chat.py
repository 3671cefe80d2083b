"""`geochat chat`: a conversation about an image."""

import argparse
from typing import Any

from geochat.cli import options


def add_parser(commands: Any) -> argparse.ArgumentParser:  # noqa: ANN401 - argparse keeps its type private
    """Declare the command."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "chat",
        help="talk about an image",
        description="Talk about an image: each answer has the earlier ones in mind. Type /help there for what else can "
        "be done. Questions may also come through a pipe, one a line.",
    )
    parser.add_argument("image", metavar="IMAGE", help="a TIFF, PNG, JPEG, WebP or JPEG 2000 file")
    options.add_view_options(parser)
    options.add_model_options(parser)
    options.add_generation_options(parser)
    parser.add_argument(
        "--verbatim", action="store_true", help="send questions as they are, though the model knows trained wordings"
    )
    parser.add_argument("--json", action="store_true", help="print each answer as one line of JSON instead of text")
    return parser


def run(args: argparse.Namespace) -> int:
    """Open the image, load the model and talk."""
    from geochat.cli import output
    from geochat.cli.converse import converse
    from geochat.cli.talk import Talk

    generation = options.generation(args)
    image = options.open_view(args, args.image)
    talk = Talk(output.load(args), image, generation, verbatim=args.verbatim)
    return converse(talk, as_json=args.json, debug=args.debug)
