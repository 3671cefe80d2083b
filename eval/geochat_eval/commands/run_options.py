"""Options of `geochat eval run`."""

import argparse
from pathlib import Path
from typing import Any

from geochat.cli import options
from geochat.cli.options import add_dialect_option
from geochat_eval.commands.classifying import add_classifier_options
from geochat_eval.commands.own import KINDS
from geochat_eval.commands.scoring import FORMATS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.description = (
        "Ask the questions of a benchmark, or questions made from your own labels, and write every answer "
        "as it comes. Stopped at any moment and started again, it goes on where it was; several processes (`accelerate "
        "launch -m geochat eval run ...`) share the work."
    )
    parser.add_argument(
        "benchmark",
        metavar="BENCH",
        help="a name of `geochat eval list`; or own:FORMAT, such as own:coco, for labels `geochat data build` reads",
    )
    parser.add_argument(
        "labels", metavar="PATH", nargs="?", type=Path, help="of own:FORMAT, the label file or folder of the data set"
    )
    parser.add_argument("--out", metavar="DIR", type=Path, required=True, help="folder of the run")
    parser.add_argument("--restart", action="store_true", help="forget the run that is in DIR and begin anew")
    _add_questions(parser.add_argument_group("what is asked"))
    options.add_model_options(parser)
    _add_answers(parser.add_argument_group("how it is answered"))


def _add_questions(files: Any) -> None:  # noqa: ANN401
    files.add_argument("--images", metavar="DIR", type=Path, help="folder of the images, or of labelled imagery")
    files.add_argument(
        "--questions",
        metavar="FILE",
        help=f"the benchmark's questions; of own:FORMAT what is asked, some of {','.join(KINDS)} (default: the first "
        "five, as far as the labels allow them)",
    )
    files.add_argument("--truth", metavar="FILE", type=Path, help="the answers, where FILE has none")
    files.add_argument(
        "--split", default="test", help="train, val or test; of own:FORMAT as its files name it (default: test)"
    )
    files.add_argument(
        "--incomplete", action="store_true", help="of own:FORMAT: not every object is labelled, so ask no counts"
    )
    files.add_argument("--column", metavar="NAME", help="of own:geo: the attribute with the category")
    files.add_argument(
        "--wording",
        choices=("published", "varied", "held-out"),
        default="published",
        help="of questions the benchmark makes (default: published); training never sees those held out",
    )
    files.add_argument("--scenes", metavar="N", type=int, default=500, help="synthetic scenes drawn (default: 500)")
    files.add_argument(
        "--limit", metavar="N", type=int, help="ask N questions, drawn evenly over their classes; may be raised later"
    )
    files.add_argument("--seed", metavar="N", type=int, default=0, help="of what --limit draws (default: 0)")
    files.add_argument("--strict", action="store_true", help="stop at the first thing that cannot be used or fails")
    files.add_argument("--retry", action="store_true", help="ask again what failed before")


def _add_answers(answers: Any) -> None:  # noqa: ANN401
    answers.add_argument("--blind", action="store_true", help="withhold the images: what can be guessed?")
    answers.add_argument(
        "--choices",
        action="store_true",
        help="offer scenes and yes-or-no questions their possible answers; published figures are of free text",
    )
    answers.add_argument("--answers", metavar="FILE", type=Path, help="take answers from FILE, not from a model")
    add_dialect_option(answers, "the model that gave the answers of --answers", named=False)
    answers.add_argument(
        "--canned", metavar="RUN", type=Path, help="answer with one caption for each class named in RUN, of ucmerced"
    )
    add_classifier_options(answers)
    answers.add_argument(
        "--format", choices=FORMATS, default="geochat", help="whose field names --answers has (default: geochat)"
    )
    answers.add_argument("--max-new-tokens", metavar="N", type=int, help="answer budget (default: the benchmark's)")
    answers.add_argument(
        "--batch-rows", metavar="N", type=int, default=32, help="answers computed together (default: 32)"
    )
    answers.add_argument("--no-report", action="store_true", help="do not score the answers at the end")
