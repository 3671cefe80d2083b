"""`geochat train coop`: context vectors for a dual encoder's prompts."""

import argparse

from geochat_train.commands import prompt_options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.description = (
        "Learn context vectors in place of a prompt's words (CoOp, Zhou et al. 2022) from a few images a "
        "class; the encoder stays as it is. `geochat clip classify --prompts FILE` uses them."
    )
    prompt_options.add_options(parser, vectors=16, words="", batch_size=32, epochs="50, 100 or 200 by shots")
    parser.add_argument("--class-specific", action="store_true", help="vectors of its own for each class")


def run(args: argparse.Namespace) -> int:
    """Learn and report."""
    from geochat_train.commands import prompting

    return prompting.run("coop", args)
