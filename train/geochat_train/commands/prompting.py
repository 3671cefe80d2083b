"""Runs of the two ways of learning prompts, and what is told of them."""

import argparse
import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from geochat.cli.options import load_encoder
from geochat.cli.output import note, print_json
from geochat.cli.values import class_names
from geochat_train.commands.prompt_options import check, trial

if TYPE_CHECKING:
    from geochat_train.prompts import Features, SceneImages


def run(method: str, args: argparse.Namespace) -> int:
    """Learn from each number of shots with each seed; keep what was learned, tell how well it does."""
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
    prompts = run_trial(asked, images, features, _progress(asked.learning.epochs))
    if args.out is not None:
        save_prompts(prompts, args.out, asked.described())
        note(f"wrote {args.out}: {len(images.classes)} classes, {prompts.settings.vectors} vectors")
    if test is not None:
        _tell(args, {"shots": asked.shots, "seed": asked.learning.seed, "accuracy": score(prompts, test, features)})


def _many(
    method: str, args: argparse.Namespace, images: "SceneImages", test: "SceneImages", features: "Features"
) -> None:
    """Tell each run when it is done, then their means and deviations."""
    from geochat_train.prompts.runs import outcome, summary

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


def _progress(epochs: int) -> Callable[[int, float], None] | None:
    """A running line where somebody watches."""
    if not sys.stderr.isatty():
        return None

    def show(epoch: int, loss: float) -> None:
        end = "\n" if epoch + 1 == epochs else ""
        print(f"\repoch {epoch + 1} of {epochs}, loss {loss:.3f}", end=end, file=sys.stderr, flush=True)

    return show
