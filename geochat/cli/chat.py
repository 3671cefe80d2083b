"""`geochat chat`: a conversation about an image."""

import argparse

from geochat.cli import options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.description = (
        "Hold a conversation about an image; each answer takes the earlier ones into account. /help lists the commands "
        "of a conversation. Questions may also come through a pipe, one per line."
    )
    parser.add_argument("image", metavar="IMAGE", help="a TIFF, PNG, JPEG, WebP or JPEG 2000 file")
    options.add_view_options(parser)
    options.add_model_options(parser)
    options.add_generation_options(parser)
    parser.add_argument(
        "--verbatim", action="store_true", help="send questions unchanged, also to a model with trained wordings"
    )
    parser.add_argument("--json", action="store_true", help="print each answer as one line of JSON instead of text")


def run(args: argparse.Namespace) -> int:
    """Open the image, load the model and hold the conversation."""
    from geochat.cli.chat_commands import Session
    from geochat.cli.chat_loop import converse

    generation = options.generation(args)
    image = options.open_view(args, args.image)
    session = Session(options.load_model(args), image, generation, verbatim=args.verbatim)
    return converse(session, as_json=args.json, debug=args.debug)
