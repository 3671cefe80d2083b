"""`geochat train clip`: a dual encoder by the contrastive loss."""

import argparse
from dataclasses import asdict
from typing import TYPE_CHECKING, cast

from geochat_train.commands import options
from geochat_train.commands.tuning import interruptible, is_first_process, tell

if TYPE_CHECKING:
    from geochat_train.recipe import ClipRecipe


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.description = (
        "Train a dual encoder by CLIP's loss on captioned images: JSON lines of `image` and `captions`. "
        "The result is a CLIPModel of transformers, which `geochat clip` and `geochat train coop` take."
    )
    options.add_run_options(parser)
    options.add_settings(parser, "clip")


def run(args: argparse.Namespace) -> int:
    """Train."""
    from geochat.cli import output
    from geochat_train.commands.options import check_recipe

    recipe = cast("ClipRecipe", options.recipe_of(args, "clip"))
    check_recipe(recipe, dual_encoder=True)
    from geochat_train.contrastive.run import contrast

    with interruptible():
        done = contrast(recipe, restart=args.restart, tell=tell)
    if not is_first_process():
        return 0
    if args.json:
        output.print_json({**asdict(done), "folder": str(done.folder)})
    else:
        print(f"{done.folder}: {done.steps} steps, this start {done.seconds:.0f} s, scale {done.scale:.1f}")
    return 0
