"""`geochat eval run`: a benchmark's questions to a model, or to a file of answers."""

import argparse
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geochat.cli import options
from geochat.cli.dialects import add_for, stated_dialect
from geochat.cli.eval.classifying import add_classifier_options, classifier
from geochat.cli.eval.scoring import FORMATS
from geochat.cli.reporting import note

if TYPE_CHECKING:
    from geochat.dialects import Dialect
    from geochat_eval.running import Answerer, ChatAnswerer, Progress


def add_parser(actions: Any) -> argparse.ArgumentParser:  # noqa: ANN401 - argparse keeps its type private
    """Declare the action."""
    parser: argparse.ArgumentParser = actions.add_parser(
        "run",
        help="ask a model the questions of a benchmark",
        description="Ask the questions of a benchmark and write every answer as it comes. Stopped at any moment and "
        "started again, it goes on where it was; several processes (`accelerate launch -m geochat eval run ...`) "
        "share the work.",
    )
    parser.add_argument("benchmark", metavar="BENCH", help="a name of `geochat eval list`")
    parser.add_argument("--out", metavar="DIR", type=Path, required=True, help="folder of the run")
    files = parser.add_argument_group("what is asked")
    files.add_argument("--images", metavar="DIR", type=Path, help="folder of the images, or of labelled imagery")
    files.add_argument("--questions", metavar="FILE", type=Path, help="the benchmark's questions, or labels")
    files.add_argument("--truth", metavar="FILE", type=Path, help="the answers, where FILE has none")
    files.add_argument("--split", choices=("train", "val", "test"), default="test", help="(default: test)")
    files.add_argument(
        "--wording",
        choices=("published", "varied", "held-out"),
        default="published",
        help="of questions the benchmark makes (default: published); training never sees those held out",
    )
    files.add_argument("--scenes", metavar="N", type=int, default=500, help="synthetic scenes drawn (default: 500)")
    files.add_argument("--limit", metavar="N", type=int, help="ask the first N questions only")
    files.add_argument("--strict", action="store_true", help="stop at the first thing that cannot be used or fails")
    files.add_argument("--retry", action="store_true", help="ask again what failed before")
    options.add_model_options(parser)
    answers = parser.add_argument_group("how it is answered")
    answers.add_argument("--blind", action="store_true", help="withhold the images: what can be guessed?")
    answers.add_argument("--answers", metavar="FILE", type=Path, help="take answers from FILE, not from a model")
    add_for(answers, "the model that gave the answers of --answers")
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
    return parser


def run(args: argparse.Namespace) -> int:
    """Plan, answer, merge, report."""
    from geochat.errors import SettingsError
    from geochat_eval.benchmarks import Sources
    from geochat_eval.running import Run, RunSettings

    if args.blind and (args.answers or args.canned or args.classifier):
        raise SettingsError(
            "--blind withholds images from a model that talks, and none is asked; drop it, or what answers in its place"
        )
    if args.for_model and not args.answers:
        raise SettingsError("--for says whose answers --answers holds; a model that is asked brings its own settings")
    images, wording, answerer = args.out / "images", args.wording.replace("-", " "), None
    dialect = _dialect(args)
    if dialect is None:
        answerer = _chat(args)
        dialect = answerer.dialect
    sources = Sources(
        args.images, args.questions, args.truth, args.split, wording, args.scenes, images, dialect=dialect
    )
    settings = RunSettings(
        args.benchmark, sources, args.limit, args.max_new_tokens, args.blind, args.strict, args.retry
    )
    rank, world = (int(os.environ.get(name, default)) for name, default in (("RANK", "0"), ("WORLD_SIZE", "1")))
    work = Run(args.out, settings)
    _show(work.answer(answerer or _answerer(args, dialect), rank, world))
    if not work.complete:
        return 0
    print(f"wrote {work.folder.answers}")
    for reason, count in work.folder.failures_by_reason().items():
        note(f"{count} questions got no answer: {reason}; {work.folder.failures} names them")
    if not work.folder.answers.stat().st_size:
        return 1
    if not args.no_report:
        _report(args.out)
    return 0


def _report(folder: Path) -> None:
    """Write the reports and print the headline."""
    from geochat.errors import DataError
    from geochat_eval.reporting import report, write_report
    from geochat_eval.table import headline_lines

    try:
        made = report(folder)
    except DataError as error:  # such as a benchmark that comes without its answers
        note(f"no report: {error}")
        return
    print("\n".join(headline_lines(made.headline)))
    print(f"wrote {write_report(made)[-1]}, and the same as .md and .json")


def _dialect(args: argparse.Namespace) -> "Dialect | None":
    """How whoever answers is asked, found without loading a model; None for one that may have to be fetched first."""
    from geochat.dialects import GEOCHAT
    from geochat.models import bundled_path
    from geochat.models.reading import read_dialect

    if args.answers or args.classifier or args.canned:
        return stated_dialect(args) or GEOCHAT
    if args.model is None or Path(args.model).is_dir():
        return read_dialect(args.model or bundled_path(), base=args.base)
    return None


def _answerer(args: argparse.Namespace, dialect: "Dialect") -> "Answerer":
    from geochat_eval.running import CannedAnswerer, FileAnswerer

    if args.answers:
        return FileAnswerer(args.answers, args.format, dialect=dialect)
    if args.classifier:
        return classifier(args)
    if args.canned:
        return CannedAnswerer(args.canned, args.images or Path())
    return _chat(args)


def _chat(args: argparse.Namespace) -> "ChatAnswerer":
    from geochat.assistant import GeoChat
    from geochat.engines import EngineLimits
    from geochat_eval.running import ChatAnswerer

    chat = GeoChat.from_pretrained(
        args.model,
        base=args.base,
        device=args.device or _own_device(),
        dtype=args.dtype,
        quantization=args.quantization,
        limits=EngineLimits(batch_rows=args.batch_rows),
    )
    return ChatAnswerer(chat.engine)


def _own_device() -> str | None:
    """One GPU for each process of this machine, where there are several processes and GPUs."""
    import torch

    local = os.environ.get("LOCAL_RANK")
    return f"cuda:{int(local) % torch.cuda.device_count()}" if local and torch.cuda.is_available() else None


def _show(progress: "Iterable[Progress]") -> None:
    """Questions done, their rate and the time left, on standard error; a line a minute where nobody watches."""
    from tqdm import tqdm

    watched = sys.stderr.isatty()
    bar = tqdm(unit=" questions", mininterval=0.2 if watched else 60, dynamic_ncols=watched)
    with bar:
        for step in progress:
            if bar.total is None:
                bar.reset(step.total)
                bar.initial = bar.n = step.done
            bar.update(step.done - bar.n)
            if step.failed:
                bar.set_postfix_str(f"{step.failed} failed", refresh=False)
