"""What the methods of instruction tuning have in common."""

import argparse
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, cast

from geochat.cli.reporting import note
from geochat.cli.train import options

if TYPE_CHECKING:
    from geochat_train.recipe import TuningRecipe


def add_method(methods: Any, name: str, about: str, description: str) -> argparse.ArgumentParser:  # noqa: ANN401
    """Declare a method."""
    parser: argparse.ArgumentParser = methods.add_parser(name, help=about, description=description)
    parser.add_argument("--dry-run", action="store_true", help="say what it would take, without loading weights")
    parser.add_argument("--restart", action="store_true", help="forget the run that is in the folder and begin anew")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of text")
    options.add_settings(parser, name)
    return parser


def run_method(args: argparse.Namespace, name: str) -> int:
    """Train, or say what it would take."""
    from geochat.cli import output

    recipe = cast("TuningRecipe", options.recipe_of(args, name))
    if args.dry_run:
        from geochat_train.tuning.estimate import estimate

        estimated = estimate(recipe)
        if args.json:
            output.print_json(estimated.to_dict())
        else:
            print(estimated)
        return 0
    from geochat_train.tuning import tune

    try:
        done = tune(recipe, restart=args.restart, tell=_tell)
    except KeyboardInterrupt:
        note("interrupted; the same command goes on from the last checkpoint")
        raise
    if args.json:
        output.print_json({**asdict(done), "folder": str(done.folder)})
    else:
        print(f"{done.folder}: {done.steps} steps, this start {done.seconds:.0f} s")
        print(f"try it: geochat ask IMAGE QUESTION --model {done.folder}")
    return 0


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
