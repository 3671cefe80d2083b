"""`geochat train cocoop`: context vectors that depend on the image."""

import argparse

from geochat_train.commands import prompt_options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.description = (
        "Learn context vectors and a small network that adds to them what it makes of each image (CoCoOp, "
        "Zhou et al. 2022), which costs a pass of the text tower an image and carries over better to other classes."
    )
    prompt_options.add_options(parser, vectors=4, words="a photo of a", batch_size=1, epochs="10")
    parser.set_defaults(class_specific=False)


def run(args: argparse.Namespace) -> int:
    """Learn and report."""
    from geochat_train.commands import prompting

    return prompting.run("cocoop", args)
