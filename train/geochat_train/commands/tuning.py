"""`geochat train lora`, `qlora`, `full`, `projector` and `grpo`: fine-tuning by a recipe."""

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, cast

from geochat.cli.output import note
from geochat_train.commands import options

if TYPE_CHECKING:
    from geochat_train.recipe import TuningRecipe


@dataclass(frozen=True)
class TuningCommand:
    """A method of fine-tuning, as a command.

    Attributes:
        method: Its name in `geochat_train.recipe.METHODS`.
        description: Description in its help.
    """

    method: str
    description: str

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the arguments."""
        parser.description = self.description
        parser.add_argument("--dry-run", action="store_true", help="estimate memory and time without loading weights")
        options.add_run_options(parser)
        options.add_settings(parser, self.method)

    def run(self, args: argparse.Namespace) -> int:
        """Train, or estimate the cost."""
        return _run(args, self.method)


LORA = TuningCommand(
    "lora",
    "Fine-tune the model with low-rank adapters (LoRA). The result is a small folder that PEFT and `geochat ask "
    "--model` load onto the base.",
)
QLORA = TuningCommand(
    "qlora",
    "Fine-tune the model with low-rank adapters on a 4-bit language model (QLoRA), which needs a fraction of "
    "the memory.",
)
FULL = TuningCommand("full", "Fine-tune all weights of the adapted parts. The result is a whole checkpoint.")
PROJECTOR = TuningCommand(
    "projector",
    "Train the projector between the vision tower and the language model, both frozen. The result is a whole "
    "checkpoint.",
)
GRPO = TuningCommand(
    "grpo",
    "Reinforce the model by rewards of its own answers (GRPO): the overlap of their boxes with the true ones, the same "
    "number or choice, readable regions. It samples groups of answers to each question of the data and makes those "
    "above their group's mean more probable. The result is as that of lora, qlora or full.",
)


def _run(args: argparse.Namespace, name: str) -> int:
    from geochat.cli import output
    from geochat_train.commands.options import check_recipe

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
    from geochat_train.recipe import GrpoRecipe
    from geochat_train.reinforcement.run import reinforce
    from geochat_train.tuning import tune

    with interruptible():
        if isinstance(recipe, GrpoRecipe):
            done = reinforce(recipe, restart=args.restart, tell=tell)
        else:
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
    """On interruption by the user, print how to resume."""
    try:
        yield
    except KeyboardInterrupt:
        note("interrupted; the same command goes on from the last checkpoint")
        raise


def is_first_process() -> bool:
    """Return whether this process is the one that prints."""
    return os.environ.get("RANK", "0") == "0"  # as torchrun and accelerate set it


def tell(text: str) -> None:
    """Print progress."""
    if is_first_process():
        print(text, file=sys.stderr, flush=True)
