"""Arguments of the two ways of learning prompts, and what is made of them."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from geochat.cli.options import add_encoder_options, check_encoder
from geochat.errors import DataError, SettingsError
from geochat_data.commands.options import number, positive

if TYPE_CHECKING:
    from geochat_train.prompts import Trial

_MOST_VECTORS = 64  # CLIP reads 77 tokens, the class's name among them


def add_options(parser: argparse.ArgumentParser, *, vectors: int, words: str, batch_size: int, epochs: str) -> None:
    """Declare the arguments, with a method's published settings as what is used when nothing is said."""
    parser.add_argument("images", metavar="DIR", type=Path, help="folder of folders of images, one a class")
    parser.add_argument("--out", metavar="FILE", type=Path, help="where the prompts are written, .safetensors")
    parser.add_argument("--classes", metavar="A,B,C", help="how the classes are said (default: the folders' names)")
    parser.add_argument(
        "--shots", metavar="N,N", type=_numbers, default=(16,), help="images a class; 0 takes all (default: 16)"
    )
    parser.add_argument("--seeds", metavar="N,N", type=_numbers, default=(1,), help="one run for each (default: 1)")
    parser.add_argument("--test", metavar="DIR", type=Path, help="other images of the classes, to tell accuracy on")
    parser.add_argument(
        "--base-to-new", action="store_true", help="learn from half of the classes, test on both halves apart"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object a run and a summary")
    prompt = parser.add_argument_group("prompt")
    prompt.add_argument("--vectors", metavar="M", type=positive, help=f"how many (default: {vectors})")
    prompt.add_argument(
        "--words", metavar="TEXT", help=f"what the vectors begin with (default: {words or 'random vectors'})"
    )
    prompt.add_argument(
        "--position", choices=("end", "middle", "front"), default="end", help="of the class's name (default: end)"
    )
    parser.set_defaults(usual_vectors=vectors, usual_words=words)
    learning = parser.add_argument_group("learning")
    learning.add_argument("--epochs", metavar="N", type=positive, help=f"(default: {epochs})")
    learning.add_argument(
        "--batch-size", metavar="N", type=positive, default=batch_size, help=f"images a step (default: {batch_size})"
    )
    learning.add_argument("--rate", metavar="R", type=float, default=0.002, help="learning rate (default: 0.002)")
    learning.add_argument(
        "--views", metavar="N", type=positive, default=4, help="the image itself and N-1 random crops (default: 4)"
    )
    add_encoder_options(parser)


def check(args: argparse.Namespace) -> bool:
    """Whether one run is asked for, whose prompts may be kept; needs no torch.

    Raises:
        SettingsError: Nothing would come of it, or the prompts of several runs would go to one file.
    """
    single = len(args.shots) == len(args.seeds) == 1 and not args.base_to_new
    if args.out is None and args.test is None:
        raise SettingsError("nothing is to be kept or told; give --out FILE, or --test DIR")
    if args.out is not None and not single:
        raise SettingsError("--out keeps one run's prompts; give one number of --shots and of --seeds, all classes")
    if args.vectors and args.vectors > _MOST_VECTORS:
        raise SettingsError(f"--vectors {args.vectors} is more than a sentence holds; give at most {_MOST_VECTORS}")
    if args.test is None and not single:
        raise SettingsError("several runs are compared by their accuracy; give --test DIR")
    for folder in (args.images, args.test):
        if folder is not None and not folder.exists():
            raise DataError(f"{folder} does not exist; check the path")
    check_encoder(args.model)
    return single


def trial(method: str, args: argparse.Namespace, shots: int, seed: int) -> "Trial":
    """One run's settings.

    Raises:
        SettingsError: They are impossible.
    """
    from geochat.clip import PromptSettings
    from geochat_train.prompts import LearningSettings, Trial, published

    usual_words = "" if args.vectors else args.usual_words  # a number of vectors asks for random ones
    words = usual_words if args.words is None else args.words
    prompt = PromptSettings(args.vectors or args.usual_vectors, words, args.position, args.class_specific)
    epochs = args.epochs or published(method, shots).epochs
    learning = LearningSettings(epochs, args.batch_size, args.rate, views=args.views, seed=seed)
    return Trial(method, prompt, learning, shots)


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(number(part) for part in text.split(","))
