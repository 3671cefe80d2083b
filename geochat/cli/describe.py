"""`geochat describe`: what a scene shows, as a whole or window by window."""

import argparse
from collections import Counter
from typing import TYPE_CHECKING, Any

from geochat.cli import options, output, scenes, values

if TYPE_CHECKING:
    from geochat.find import Survey, WindowAnswers


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.description = (
        "Describe a scene: caption, scene class, and answers to questions of your own. With --grid the same is asked "
        "about every window, and -o writes a polygon for each window with the answers as attributes."
    )
    parser.add_argument("scene", metavar="SCENE", help="an image of any size")
    parser.add_argument("--grid", action="store_true", help="ask about every window instead of the whole scene at once")
    parser.add_argument(
        "--ask", metavar="QUESTION", type=values.words, action="append", default=[], help="may be repeated"
    )
    parser.add_argument(
        "--classes", metavar="A,B,C", help="scene classes, or those of a .txt file's lines (default: the model's own)"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object a window")
    scenes.add_output_options(parser, "windows")
    scenes.add_window_options(parser, "0")
    scenes.add_job_options(parser)
    options.add_model_options(parser)


def run(args: argparse.Namespace) -> int:
    """Ask, print and write."""
    bar = scenes.ProgressBar()
    survey = _survey(args, bar)
    classes: Counter[Any] = Counter()

    def show(answers: "WindowAnswers") -> None:
        if args.json:
            output.print_json({"window": list(answers.window), **answers.values}, indent=None)
        elif not args.grid:
            print("\n".join(f"{name}: {value}" for name, value in answers.values.items() if isinstance(value, str)))
        classes[answers.values.get("scene")] += 1

    if not scenes.compute(args, survey, bar, show):
        return 0
    if args.grid and not args.json:
        print("\n".join(f"{name}: {count}" for name, count in classes.most_common() if name))
    return scenes.write_results(args, survey, survey.save)


def _survey(args: argparse.Namespace, bar: scenes.ProgressBar) -> "Survey":
    scenes.check_outputs(args)
    scene = scenes.scene_of(args)
    look = scenes.look_options(args)
    if not args.grid:
        look |= {"scales": (), "whole": True}
    classes = None if args.classes is None else values.class_names(args.classes)
    chat = options.load_model(args)
    survey = chat.survey(scene, args.ask, classes=classes, **look, **scenes.job_options(args), on_progress=bar.show)
    if args.grid:
        output.note(survey.look.describe())
    return survey
