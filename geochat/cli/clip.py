"""`geochat clip`: dual encoders, which classify scenes without a language model."""

import argparse

from geochat.cli.commands import Command, add_commands

ACTIONS = (
    Command("classify", "geochat.cli.clip_classify", "classify scenes"),
    Command("convert", "geochat.cli.clip_convert", "rewrite open_clip weights as a transformers CLIP"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the actions."""
    parser.description = "Classify scenes by class names alone or with learned prompts, without a language model."
    add_commands(parser, ACTIONS, "action")
