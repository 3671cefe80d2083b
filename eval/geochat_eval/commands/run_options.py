"""Options of `geochat eval run`, and the benchmarks they name: one, or one for each kind of question about labels."""

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geochat.cli import archives, options
from geochat.cli.options import add_dialect_option
from geochat.errors import SettingsError
from geochat_eval.commands.score import FORMATS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.description = (
        "Ask the questions of a benchmark, or questions generated from your own labels, and write every answer as it "
        "comes. The same command resumes an interrupted run; several processes (`accelerate launch -m geochat eval run "
        "...`) share the work."
    )
    parser.add_argument(
        "benchmark",
        metavar="BENCH",
        help="a name of `geochat eval list`; or own:FORMAT, such as own:coco, for labels `geochat data build` reads",
    )
    parser.add_argument(
        "labels", metavar="PATH", nargs="?", type=Path, help="with own:FORMAT: the label file or folder"
    )
    parser.add_argument("--out", metavar="DIR", type=Path, required=True, help="folder of the run")
    parser.add_argument("--restart", action="store_true", help="delete the run in DIR and start again")
    _add_questions(parser.add_argument_group("questions"))
    options.add_model_options(parser)
    _add_answers(parser.add_argument_group("answers"))
    archives.add_ray_options(parser)


def _add_questions(files: Any) -> None:  # noqa: ANN401
    files.add_argument("--images", metavar="DIR", type=Path, help="folder of the images, or of labelled imagery")
    files.add_argument(
        "--questions",
        metavar="FILE",
        help=f"the benchmark's questions; with own:FORMAT kinds of {','.join(KINDS)} (default: the first "
        "five, as far as the labels allow them)",
    )
    files.add_argument("--truth", metavar="FILE", type=Path, help="file of truths, if FILE has none")
    files.add_argument(
        "--split", default="test", help="train, val or test; with own:FORMAT a name of its files (default: test)"
    )
    files.add_argument(
        "--incomplete",
        action="store_true",
        help="with own:FORMAT: not every object is labelled, so nothing is counted or absent",
    )
    files.add_argument("--column", metavar="NAME", help="with own:geo: the attribute with the category")
    files.add_argument(
        "--wording",
        choices=("published", "varied", "held-out"),
        default="published",
        help="of generated questions (default: published); training never sees those held out",
    )
    files.add_argument("--scenes", metavar="N", type=int, default=500, help="number of synthetic scenes (default: 500)")
    files.add_argument(
        "--limit", metavar="N", type=int, help="ask N questions, sampled evenly over their classes; may be raised later"
    )
    files.add_argument("--seed", metavar="N", type=int, default=0, help="of the sample of --limit (default: 0)")
    files.add_argument(
        "--strict", action="store_true", help="stop at the first line that cannot be used or question that fails"
    )
    files.add_argument("--retry", action="store_true", help="ask failed questions again")


def _add_answers(answers: Any) -> None:  # noqa: ANN401
    answers.add_argument("--blind", action="store_true", help="withhold the images, to measure what can be guessed")
    answers.add_argument(
        "--choices",
        action="store_true",
        help="offer closed sets of answers to scene and yes-or-no questions; published figures are of free text",
    )
    answers.add_argument("--answers", metavar="FILE", type=Path, help="take the answers from FILE, not from a model")
    add_dialect_option(answers, "the model that gave the answers of --answers", named=False)
    answers.add_argument(
        "--majority-caption",
        metavar="RUN",
        type=Path,
        help="answer each image with the most frequent training caption of its class in RUN, a run of scenes",
    )
    add_classifier_options(answers)
    answers.add_argument(
        "--format",
        metavar="NAME",
        choices=FORMATS,
        default="geochat",
        help="of --answers: %(choices)s (default: geochat)",
    )
    answers.add_argument(
        "--max-new-tokens", metavar="N", type=int, help="maximum length of an answer (default: the benchmark's)"
    )
    answers.add_argument("--batch-rows", metavar="N", type=int, default=32, help="batch size (default: 32)")
    answers.add_argument("--no-report", action="store_true", help="do not score the answers at the end")


KINDS = {
    "referring": "refer",
    "identify": "identify",
    "presence": "presence",
    "count": "count",
    "scenes": "scenes",
    "comparison": "comparison",
    "absent": "refer-absent",
    "descriptions": "describe",
    "captions": "captions",
}
"""Kinds of questions about the user's labels, and their benchmarks."""

_USUAL = 5  # kinds asked where none is named
_PREFIX = "own:"
_SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class Job:
    """One benchmark that is run.

    Attributes:
        benchmark: Its name.
        out: The folder of its run.
        files: Fields of `Sources` about its files.
    """

    benchmark: str
    out: Path
    files: dict[str, Any]


def jobs(args: argparse.Namespace) -> list[Job]:
    """Return the runs that are asked for: one benchmark, or one for each kind of question about own labels.

    Raises:
        SettingsError: Options contradict each other, or a name is unknown.
    """
    if not args.benchmark.startswith(_PREFIX):
        return [_published(args)]
    reader, kinds = _reader(args.benchmark), _kinds(args.questions)
    if args.labels is None:
        raise SettingsError(f"{args.benchmark} reads your labels; name their file or folder behind it")
    if args.truth is not None:
        raise SettingsError("--truth is a benchmark's; truths of your own data are its labels")
    if args.answers and len(kinds) > 1:
        raise SettingsError("--answers are those to questions of one kind; name it with --questions")
    files = {"questions": args.labels, "reader": reader, "exhaustive": not args.incomplete, "column": args.column}
    return [Job(KINDS.get(kind, kind), args.out / kind, files) for kind in kinds]


def _published(args: argparse.Namespace) -> Job:
    for name, given in (("PATH", args.labels), ("--incomplete", args.incomplete), ("--column", args.column)):
        if given:
            raise SettingsError(f"{name} is of own:FORMAT, such as own:coco; {args.benchmark} is a benchmark")
    if args.split not in _SPLITS:
        raise SettingsError(f"--split {args.split!r} is none of {', '.join(_SPLITS)}")
    return Job(args.benchmark, args.out, {"questions": None if args.questions is None else Path(args.questions)})


def _reader(benchmark: str) -> str:
    from geochat_data.readers import READERS

    name = benchmark.removeprefix(_PREFIX)
    if name not in READERS:
        raise SettingsError(f"no reader is called {name!r}; choose own: with one of {', '.join(sorted(READERS))}")
    return name


def _kinds(text: str | None) -> list[str]:
    wanted = list(KINDS)[:_USUAL] if text is None else [name.strip() for name in text.split(",") if name.strip()]
    by_benchmark = {benchmark: kind for kind, benchmark in KINDS.items()}
    kinds = [by_benchmark.get(name, name) for name in wanted]
    if unknown := [kind for kind in kinds if kind not in KINDS]:
        raise SettingsError(f"--questions {unknown[0]!r} is no kind of question; choose some of {', '.join(KINDS)}")
    if not kinds:
        raise SettingsError(f"--questions names nothing; choose some of {', '.join(KINDS)}")
    return list(dict.fromkeys(kinds))


if TYPE_CHECKING:
    from geochat_eval.runs import Predictor


def add_classifier_options(group: Any) -> None:  # noqa: ANN401 - argparse keeps its type private
    """Declare `--classifier` and `--prompts`, which `classifier` reads."""
    group.add_argument(
        "--classifier",
        action="store_true",
        help="MODEL is a dual encoder: answer with the most probable class of the question (default: the bundled one)",
    )
    group.add_argument(
        "--prompts", metavar="FILE", type=Path, help="learned prompts of the dual encoder, instead of templates"
    )


def classifier(args: argparse.Namespace) -> "Predictor":
    """Return the dual encoder of `--model` as a predictor.

    Raises:
        CheckpointError: It cannot be loaded, or the prompts are another encoder's.
    """
    from geochat.clip import DualEncoder, read_prompts
    from geochat_eval.runs.classifier import ClassifierPredictor

    prompts = read_prompts(args.prompts) if args.prompts else None
    encoder = DualEncoder.from_pretrained(
        args.model, device=args.device, dtype=args.dtype, allow_download=args.allow_download
    )
    return ClassifierPredictor(encoder, prompts)
