"""`own:FORMAT`: benchmarks whose questions are made from one's own labels, each in a folder of its own."""

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from geochat.errors import SettingsError

KINDS = {
    "referring": "refer",
    "identify": "identify",
    "presence": "presence",
    "count": "count",
    "scenes": "scenes",
    "comparison": "comparison",
    "absent": "refer-absent",
    "descriptions": "describe",
}
"""What may be asked of one's own labels, and the benchmark that asks it."""

_USUAL = 5  # kinds asked where none is named
_PREFIX = "own:"
_SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class Job:
    """One benchmark that is run.

    Attributes:
        benchmark: Its name.
        out: The folder of its run.
        files: What `Sources` is told of its files.
    """

    benchmark: str
    out: Path
    files: dict[str, Any]


def jobs(args: argparse.Namespace) -> list[Job]:
    """What is to be run: one benchmark, or of one's own labels one for each kind of question.

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
