"""`geochat train coop` and `cocoop`: prompts of a dual encoder, learned from a few images per class."""

import argparse
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from geochat.cli.options import add_encoder_options, check_encoder, load_encoder
from geochat.cli.output import note, print_json
from geochat.cli.values import class_names
from geochat.errors import DataError, SettingsError
from geochat.progress import progress_bar
from geochat_data.commands.options import number, positive

if TYPE_CHECKING:
    from geochat_train.prompts import Features, SceneImages, Trial

_MOST_VECTORS = 64  # CLIP reads 77 tokens, the class's name among them


@dataclass(frozen=True)
class PromptCommand:
    """A method of learning prompts, as a command.

    Attributes:
        method: Its name in `geochat.clip.learned.METHODS`.
        description: Description in its help.
        vectors: Default number of vectors.
        words: Initial words by default; empty for random vectors.
        batch_size: Default number of images per step.
        epochs: The default, in words.
        class_specific: Whether each class may have vectors of its own.
    """

    method: str
    description: str
    vectors: int
    words: str
    batch_size: int
    epochs: str
    class_specific: bool

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the arguments."""
        parser.description = self.description
        add_options(parser, vectors=self.vectors, words=self.words, batch_size=self.batch_size, epochs=self.epochs)
        if self.class_specific:
            parser.add_argument("--class-specific", action="store_true", help="separate vectors for each class")
        else:
            parser.set_defaults(class_specific=False)

    def run(self, args: argparse.Namespace) -> int:
        """Learn and report."""
        return run(self.method, args)


COOP = PromptCommand(
    "coop",
    "Learn context vectors in place of a prompt's words (CoOp, Zhou et al. 2022) from a few images per class; the "
    "encoder stays as it is. `geochat clip classify --prompts FILE` uses them.",
    vectors=16,
    words="",
    batch_size=32,
    epochs="50, 100 or 200 by shots",
    class_specific=True,
)
COCOOP = PromptCommand(
    "cocoop",
    "Learn context vectors and a small network that adds to them what it makes of each image (CoCoOp, Zhou et al. "
    "2022), which costs a pass of the text tower an image and carries over better to other classes.",
    vectors=4,
    words="a photo of a",
    batch_size=1,
    epochs="10",
    class_specific=False,
)


def add_options(parser: argparse.ArgumentParser, *, vectors: int, words: str, batch_size: int, epochs: str) -> None:
    """Declare the arguments; the defaults are a method's published settings."""
    parser.add_argument("images", metavar="DIR", type=Path, help="folder of folders of images, one a class")
    parser.add_argument("--out", metavar="FILE", type=Path, help="where the prompts are written, .safetensors")
    parser.add_argument("--classes", metavar="A,B,C", help="names of the classes (default: the folders' names)")
    parser.add_argument(
        "--shots", metavar="N,N", type=_numbers, default=(16,), help="images per class; 0 takes all (default: 16)"
    )
    parser.add_argument("--seeds", metavar="N,N", type=_numbers, default=(1,), help="one run for each (default: 1)")
    parser.add_argument("--test", metavar="DIR", type=Path, help="other images of the classes, to measure accuracy on")
    parser.add_argument(
        "--base-to-new", action="store_true", help="learn from half of the classes, test on both halves apart"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object per run and a summary")
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
        "--batch-size", metavar="N", type=positive, default=batch_size, help=f"images per step (default: {batch_size})"
    )
    learning.add_argument("--rate", metavar="R", type=float, default=0.002, help="learning rate (default: 0.002)")
    learning.add_argument(
        "--views", metavar="N", type=positive, default=4, help="the image itself and N-1 random crops (default: 4)"
    )
    add_encoder_options(parser)


def check(args: argparse.Namespace) -> bool:
    """Return whether a single run is requested, whose prompts may be stored; needs no torch.

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
    """Return one run's settings.

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


def run(method: str, args: argparse.Namespace) -> int:
    """Learn from each number of shots with each seed; store the prompts and print their accuracy."""
    single = check(args)
    from geochat.clip.prompt_files import check_prompt_file
    from geochat_data.readers import Report
    from geochat_train.prompts import Features, read_scenes

    if args.out is not None:
        check_prompt_file(args.out)
    report = Report()
    images = read_scenes(args.images, class_names(args.classes) if args.classes else (), report)
    test = read_scenes(args.test, images.classes, report) if args.test else None
    if report.skipped:
        note(f"left out: {report}")
    features = Features(load_encoder(args))
    if single:
        _single(method, args, images, test, features)
    elif test is not None:
        _many(method, args, images, test, features)
    return 0


def _single(
    method: str, args: argparse.Namespace, images: "SceneImages", test: "SceneImages | None", features: "Features"
) -> None:
    from geochat.clip import save_prompts
    from geochat_train.prompts import run_trial
    from geochat_train.prompts.trials import score

    asked = trial(method, args, args.shots[0], args.seeds[0])
    with progress_bar("epochs", asked.learning.epochs) as bar:

        def show(_epoch: int, loss: float) -> None:
            bar.set_postfix_str(f"loss {loss:.3f}", refresh=False)
            bar.update()

        prompts = run_trial(asked, images, features, show)
    if args.out is not None:
        save_prompts(prompts, args.out, asked.described())
        note(f"wrote {args.out}: {len(images.classes)} classes, {prompts.settings.vectors} vectors")
    if test is not None:
        _tell(args, {"shots": asked.shots, "seed": asked.learning.seed, "accuracy": score(prompts, test, features)})


def _many(
    method: str, args: argparse.Namespace, images: "SceneImages", test: "SceneImages", features: "Features"
) -> None:
    """Print each run when it is done, then means and standard deviations."""
    from geochat_train.prompts.trials import outcome, summary

    rows = []
    for shots in args.shots:
        for seed in args.seeds:
            rows.append(outcome(trial(method, args, shots, seed), images, test, features, halved=args.base_to_new))
            _tell(args, rows[-1])
    for row in summary(rows):
        _tell(args, row)


def _tell(args: argparse.Namespace, row: Mapping[str, float]) -> None:
    if args.json:
        print_json(row, indent=None)
    else:
        print(
            "  ".join(
                f"{name} {value:.1%}" if isinstance(value, float) else f"{name} {value}" for name, value in row.items()
            )
        )
    sys.stdout.flush()
