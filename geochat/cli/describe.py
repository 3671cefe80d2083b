"""`geochat describe`: describe a scene, as a whole or window by window."""

import argparse
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any

from geochat.cli import archives, options, output, remote, scenes, values
from geochat.errors import ImageError

if TYPE_CHECKING:
    from geochat.archive import SceneWork
    from geochat.find import Survey, WindowAnswers
    from geochat.models import ModelInfo


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.description = (
        "Describe a scene: caption, scene class, and answers to questions of your own. With --grid the same is asked "
        "about every window, and -o writes a polygon for each window with the answers as attributes. Of several "
        "scenes, or of a list of them, the answers go into --job DIR."
    )
    parser.add_argument("scene", metavar="SCENE", nargs="*", help="an image of any size")
    parser.add_argument("--grid", action="store_true", help="ask about every window instead of the whole scene at once")
    parser.add_argument(
        "--ask", metavar="QUESTION", type=values.words, action="append", default=[], help="may be repeated"
    )
    parser.add_argument(
        "--classes", metavar="A,B,C", help="scene classes, or those of a .txt file's lines (default: the model's own)"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object per window")
    scenes.add_output_options(parser, "windows")
    scenes.add_window_options(parser, "0")
    scenes.add_job_options(parser)
    archives.add_archive_options(parser)
    options.add_model_options(parser)
    remote.add_server_option(parser)


def run(args: argparse.Namespace) -> int:
    """Ask, print and write."""
    if archives.is_archive(args, args.scene):
        return archives.run(args, args.scene, partial(_work, args))
    if not args.scene:
        raise ImageError("there is no scene; name one, or a list of them (--scenes)")
    args.scene = args.scene[0]
    if (url := remote.server_of(args)) is not None:
        return remote.describe(args, url, args.scene)
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
    classes = None if args.classes is None else values.class_names(args.classes)
    chat = options.load_model(args)
    survey = chat.survey(
        scene, args.ask, classes=classes, **_look(args), **scenes.job_options(args), on_progress=bar.show
    )
    if args.grid:
        output.note(survey.look.describe())
    return survey


def _look(args: argparse.Namespace) -> dict[str, Any]:
    look = scenes.look_options(args)
    return look if args.grid else look | {"scales": (), "whole": True}


def _work(args: argparse.Namespace, info: "ModelInfo") -> "SceneWork":
    """Return the work on each of many scenes."""
    from geochat.archive import SceneWork
    from geochat.find import survey_questions

    classes = info.settings.scene_classes if args.classes is None else values.class_names(args.classes)
    return SceneWork("describe", survey_questions(args.ask, classes), _look(args))
