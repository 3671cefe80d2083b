"""`geochat clip convert`: rewrite weights in open_clip's format as a transformers directory."""

import argparse
from pathlib import Path

from geochat.cli import options
from geochat.errors import SettingsError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.description = (
        "Write a dual encoder as a directory that transformers loads: weights, config, tokenizer and image processor. "
        "The config records the activation, so that no option is needed afterwards."
    )
    options.add_encoder_options(parser, required=True)
    parser.add_argument("out", metavar="DIR", type=Path, help="folder to write to, created if missing")


def run(args: argparse.Namespace) -> int:
    """Load and write.

    Raises:
        GeoChatError: The folder is not empty, or the encoder cannot be loaded.
    """
    if args.out.is_dir() and any(args.out.iterdir()):
        raise SettingsError(f"the folder {args.out} is not empty; name a new one")
    options.check_encoder(args.model)
    from geochat.clip import save_encoder

    encoder = options.load_encoder(args)
    save_encoder(encoder, args.out)
    print(f"wrote {args.out}: {encoder.name}, {encoder.model.num_parameters() / 1e6:.1f} million parameters")
    return 0
