"""What the methods that a recipe describes have in common."""

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, cast

from geochat.cli.reporting import note
from geochat_train.commands import options

if TYPE_CHECKING:
    from geochat_train.recipe import TuningRecipe


def add_method(methods: Any, name: str, about: str, description: str) -> argparse.ArgumentParser:  # noqa: ANN401
    """Declare a method."""
    parser: argparse.ArgumentParser = methods.add_parser(name, help=about, description=description)
    parser.add_argument("--dry-run", action="store_true", help="say what it would take, without loading weights")
    options.add_run_options(parser)
    options.add_settings(parser, name)
    return parser


def run_method(args: argparse.Namespace, name: str) -> int:
    """Train, or say what it would take."""
    from geochat.cli import output
    from geochat_train.commands.checks import check_recipe

    recipe = cast("TuningRecipe", options.recipe_of(args, name))
    check_recipe(recipe, dry=args.dry_run)
    if args.dry_run:
        from geochat_train.tuning.estimate import estimate

        estimated = estimate(recipe)
        if args.json:
            output.print_json(estimated.to_dict())
        else:
            print(estimated)
        return 0
    from geochat_train.tuning import tune

    with interruptible():
        done = tune(recipe, restart=args.restart, tell=tell)
    if not is_first_process():
        return 0
    if args.json:
        output.print_json({**asdict(done), "folder": str(done.folder)})
    else:
        print(f"{done.folder}: {done.steps} steps, this start {done.seconds:.0f} s")
        print(f"try it: geochat ask IMAGE QUESTION --model {done.folder}")
    return 0


@contextmanager
def interruptible() -> Iterator[None]:
    """Say how to go on, where the user interrupts."""
    try:
        yield
    except KeyboardInterrupt:
        note("interrupted; the same command goes on from the last checkpoint")
        raise


def is_first_process() -> bool:
    """Whether this is the one of several processes that speaks."""
    return os.environ.get("RANK", "0") == "0"  # as torchrun and accelerate set it


def tell(text: str) -> None:
    """Tell of progress."""
    if is_first_process():
        print(text, file=sys.stderr, flush=True)
