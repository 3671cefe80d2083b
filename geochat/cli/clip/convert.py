"""`geochat clip convert`: weights in open_clip's format to a transformers directory."""

import argparse
from pathlib import Path
from typing import Any

from geochat.cli.clip import options
from geochat.errors import SettingsError


def add_parser(actions: Any) -> argparse.ArgumentParser:  # noqa: ANN401 - argparse keeps its type private
    """Declare the action."""
    parser: argparse.ArgumentParser = actions.add_parser(
        "convert",
        help="rewrite open_clip weights as a transformers CLIP",
        description="Write a dual encoder as a directory that transformers loads: weights, config, tokenizer and image "
        "processor. The activation is then on record, and nothing has to be said again.",
    )
    options.add_encoder_options(parser, required=True)
    parser.add_argument("out", metavar="DIR", type=Path, help="folder to write to, created if missing")
    return parser


def run(args: argparse.Namespace) -> int:
    """Load and write."""
    if args.out.is_dir() and any(args.out.iterdir()):
        raise SettingsError(f"the folder {args.out} is not empty; name a new one")
    options.check_encoder(args.model)
    from geochat.clip import save_encoder

    encoder = options.load_encoder(args)
    save_encoder(encoder, args.out)
    print(f"wrote {args.out}: {encoder.name}, {encoder.model.num_parameters() / 1e6:.1f} million parameters")
    return 0
