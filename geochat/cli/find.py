"""`geochat find`: objects in a whole scene, each once, as a layer."""

import argparse
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any

from geochat.cli import archives, options, output, proposals, remote, scenes, values
from geochat.errors import PromptError, SettingsError

if TYPE_CHECKING:
    from geochat.archive import SceneWork
    from geochat.find import Finding, FoundObject
    from geochat.models import ModelInfo


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.description = (
        "Find objects in a whole scene, in overlapping windows at the ground resolution of the model. Each object is "
        "reported once, also if several windows show it, and pieces of an object that no window shows whole are "
        "merged. Prints the number of objects per phrase. Windows that could not be searched are listed in a second "
        "table of the layer, and make the exit status 1. Results of many scenes are stored in one folder, --job DIR."
    )
    parser.usage = (
        "geochat find [options] SCENE PHRASE [PHRASE ...]\n"
        "       geochat find [options] SCENE [SCENE ...] -q PHRASE [-q PHRASE ...] --job DIR\n"
        "       geochat find [options] --scenes LIST PHRASE [PHRASE ...] --job DIR"
    )
    parser.add_argument(
        "words",
        metavar="SCENE PHRASE",
        nargs="*",
        type=values.words,
        help='an image of any size, and objects to find in it, such as "ships" "storage tanks"; with -q all words are '
        "scenes, with --scenes alone all are phrases",
    )
    parser.add_argument(
        "-q", "--phrase", metavar="PHRASE", type=values.words, action="append", help="objects to find; may be repeated"
    )
    add_search_options(parser)
    archives.add_archive_options(parser)
    remote.add_server_option(parser)
    proposals.add_arguments(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object per line for each object")


def add_search_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options of a search, which `geochat count` shares."""
    scenes.add_output_options(parser, "results")
    scenes.add_window_options(parser, "25%")
    group = parser.add_argument_group("objects")
    group.add_argument(
        "--min-score",
        metavar="S",
        type=float,
        help="leave out objects of a lower score, from 0 to 1 (default: the model's)",
    )
    group.add_argument("--limit", metavar="N", type=int, help="stop once N objects are found")
    group.add_argument(
        "--max-boxes", metavar="N", type=int, default=100, help="boxes of a phrase in one window (default: 100)"
    )
    group.add_argument(
        "--iou",
        metavar="T",
        type=float,
        default=0.3,
        help="overlap from which boxes of two windows are one object (default: 0.3)",
    )
    group.add_argument(
        "--verbatim", action="store_true", help="send phrases as they are, though the model knows trained wordings"
    )
    scenes.add_job_options(parser)
    options.add_model_options(parser)
    options.add_generation_options(parser)


def run(args: argparse.Namespace) -> int:
    """Find, print and write; or judge the candidates of another detector."""
    named = _separate(args)
    if archives.is_archive(args, named):
        if args.proposals is not None:
            raise SettingsError("--proposals are those of one scene; name one scene, without --scenes and --ray")
        return archives.run(args, named, partial(_work, args))
    args.scene = named[0]
    if (url := remote.server_of(args)) is not None:
        return remote.find(args, url, args.scene, args.words)
    if args.proposals is not None:
        return proposals.run(args)
    bar = scenes.ProgressBar()
    finding = search(args, bar)

    def show(found: "FoundObject") -> None:
        if args.json:
            output.print_json(found.to_dict(), indent=None)

    if not scenes.compute(args, finding, bar, show):
        return 0
    if not args.json:
        counts = Counter(found.phrase for found in finding.objects())
        for phrase in finding.phrases:
            print(f"{phrase}: {counts[phrase]}")
    if args.min_score is None and finding.improbable:
        output.note(remote.IMPROBABLE.format(finding.improbable))
    if others := finding.others:
        output.note(f"{others} boxes are left out: the model called them by another name than what was asked for")
    return scenes.write_results(args, finding, finding.save)


def search(args: argparse.Namespace, bar: scenes.ProgressBar) -> "Finding":
    """Return the search of `scene` for `words` with the options of `add_search_options`; nothing is computed yet.

    Raises:
        GeoChatError: A file cannot be read or written, or an option is impossible.
    """
    scenes.check_outputs(args)
    scene = scenes.scene_of(args)
    wanted = _find_options(args)
    finding = options.load_model(args).find(
        scene, args.words, **wanted, **scenes.job_options(args), on_progress=bar.show
    )
    output.note(finding.look.describe())
    return finding


def _separate(args: argparse.Namespace) -> list[str]:
    """Separate scenes from phrases, which stay in `words`.

    Returns:
        The scenes among the words.

    Raises:
        PromptError: There is no scene, or no phrase.
    """
    named: list[str]
    if args.phrase:
        named, args.words = args.words, args.phrase
    elif args.scenes:
        named = []
    else:
        named, args.words = args.words[:1], args.words[1:]
    if not (named or args.scenes):
        raise PromptError("there is no scene; give SCENE PHRASE, or SCENE ... -q PHRASE")
    if not args.words:
        raise PromptError('there is nothing to find; name something behind the scene, such as "ships"')
    return named


def _find_options(args: argparse.Namespace) -> dict[str, Any]:
    return {
        **scenes.look_options(args),
        "max_boxes": args.max_boxes,
        "min_score": args.min_score,
        "limit": args.limit,
        "iou": args.iou,
        "raw": args.verbatim,
        "generation": options.generation(args),
    }


def _work(args: argparse.Namespace, _: "ModelInfo") -> "SceneWork":
    """Return the search of each of many scenes."""
    from geochat.archive import SceneWork

    return SceneWork("find", tuple(args.words), _find_options(args))
