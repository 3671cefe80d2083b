"""`geochat eval run`: a benchmark's questions to a model, or to a file of answers."""

import argparse
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geochat.cli import options

if TYPE_CHECKING:
    from geochat_eval.running import Answerer, Progress

_FORMATS = ("geochat", "earthdial", "lmms-eval")


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
    answers.add_argument(
        "--format", choices=_FORMATS, default="geochat", help="whose field names --answers has (default: geochat)"
    )
    answers.add_argument("--max-new-tokens", metavar="N", type=int, help="answer budget (default: the benchmark's)")
    answers.add_argument(
        "--batch-rows", metavar="N", type=int, default=32, help="answers computed together (default: 32)"
    )
    return parser


def run(args: argparse.Namespace) -> int:
    """Plan, answer, merge."""
    from geochat.errors import SettingsError
    from geochat_eval.benchmarks import Sources
    from geochat_eval.running import Run, RunSettings

    if args.answers and args.blind:
        raise SettingsError("--answers takes answers from a file, which --blind does not change; drop one of the two")
    images, wording = args.out / "images", args.wording.replace("-", " ")
    sources = Sources(args.images, args.questions, args.truth, args.split, wording, args.scenes, images)
    settings = RunSettings(
        args.benchmark, sources, args.limit, args.max_new_tokens, args.blind, args.strict, args.retry
    )
    rank, world = (int(os.environ.get(name, default)) for name, default in (("RANK", "0"), ("WORLD_SIZE", "1")))
    work = Run(args.out, settings)
    _show(work.answer(_answerer(args), rank, world))
    if work.complete:
        print(f"wrote {work.folder.answers}")
    return 0


def _answerer(args: argparse.Namespace) -> "Answerer":
    from geochat_eval.running import ChatAnswerer, FileAnswerer

    if args.answers:
        return FileAnswerer(args.answers, args.format)
    from geochat.assistant import GeoChat
    from geochat.engines import EngineLimits

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
