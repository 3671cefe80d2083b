"""Figures on held-out photographs: `python -m geochat_mini.measure`.

    python -m geochat_mini.measure ask --imagery DIR --out NEW [--model MODEL] [--split test]
    python -m geochat_mini.measure show OLD NEW

`ask` uses the validation parts, on which choices are based. The test parts and the evaluation-only sources are used
once, for weights that may be released. Each photograph's counts are appended to NEW/counts.jsonl, and an interrupted
run resumes after them. `show` prints the figures of one run or several, side by side, with 95 % bootstrap intervals
over photographs.
"""

import argparse
import json
import random
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import isnan
from pathlib import Path

from geochat import GeoChat
from geochat.errors import GeoChatError
from geochat_data.readers import Report
from geochat_data.readers.json_files import read_jsonl
from geochat_data.records import LabelledImage
from geochat_eval.bootstrap import Figure, Shares
from geochat_mini.sources import folder_of, read_evaluation_only, read_photographs
from geochat_mini.trials import REFUSED, Counts, trials, windowed

MEANS = {
    "scene, own names": "scene, ",
    "scene, renamed": "scene renamed, ",
    "[refer] single @0.5": "refer single, ",
    "absent objects refused": "absent refused, ",
    "presence": "presence ",
    "exact count": "count, ",
    "words of training": "words, ",
    "held-out words": "held-out words, ",
}
"""Means over the figures that begin so, each counted alike."""
BLIND = "blind: "
"""Before a figure's name: what an answer that never looks would get."""


def measure(chat: GeoChat, image: LabelledImage, *, side: int | None = None) -> Counts:
    """Return the counts of all questions about a photograph.

    Args:
        chat: The model.
        image: The photograph; its name decides what is drawn at random.
        side: Side of the windows in which its objects are found, pixels; None for that of `geochat find`.

    Raises:
        GeoChatError: The photograph cannot be read.
    """
    counts: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])

    def add(found: Counts, prefix: str = "") -> None:
        for figure, (right, out_of) in found.items():
            counts[prefix + figure][0] += right
            counts[prefix + figure][1] += out_of

    asked = list(trials(image, random.Random(image.name)))
    picture = image.path or image.open()
    for number, answer in chat.ask_each((picture, each.question) for each in asked):
        if isinstance(answer, GeoChatError):
            raise answer
        found = asked[number].score(answer)
        add(found)
        add(asked[number].blind, BLIND)
        if "out of scope, refused" not in found:
            add({REFUSED: (float(answer.interpretation.reply is not None), 1)})
    if image.path is not None:
        add(windowed(chat, image, side))
    return {figure: (right, out_of) for figure, (right, out_of) in counts.items()}


def photographs(imagery: Path, split: str, most: int) -> Iterator[LabelledImage]:
    """Select at most a number of photographs per source, evenly spaced."""
    images = read_photographs(imagery, "all", Report(), "test" if split == "test" else "val", turned=False)
    if split == "test":
        images += read_evaluation_only(imagery, Report())
    random.Random(0).shuffle(images)
    taken: dict[str, int] = defaultdict(int)
    for image in images:
        taken[folder_of(image)] += 1
        if taken[folder_of(image)] <= most:
            yield image


def figures(counts: Iterable[tuple[str, Counts]]) -> dict[str, Figure]:
    """Return shares with their intervals, the means over them first.

    Args:
        counts: Of each photograph its name and counts.
    """
    shares = Shares([""])
    for image, found in counts:
        for figure, share in found.items():
            shares.add([share], [figure], image)
    single = {figure: shares.figure("", figure) for figure in shares.groups}
    means = {}
    for name, prefix in MEANS.items():
        for blind in ("", BLIND):
            of = [
                each
                for each in single
                if each.startswith(blind + prefix) and "@0.25" not in each and "beside" not in each
            ]
            if of:
                means[blind + name] = shares.mean("", of)
    return {**means, **single}


def table(runs: Mapping[str, Mapping[str, Figure]]) -> Iterator[str]:
    """Yield a Markdown table: one row per figure, with that of a blind answer, one column per run."""
    names = list(dict.fromkeys(name for found in runs.values() for name in found if not name.startswith(BLIND)))
    yield f"| figure | n | blind | {' | '.join(runs)} |"
    yield f"|---|---|---|{'---|' * len(runs)}"
    for name in names:
        some = next(found[name] for found in runs.values() if name in found)
        blind = next((found[BLIND + name] for found in runs.values() if BLIND + name in found), None)
        shown = [_shown(found.get(name)) for found in runs.values()]
        yield f"| {name} | {some.n} | {'' if blind is None else f'{blind.percent:.1f}'} | {' | '.join(shown)} |"


def _shown(figure: Figure | None) -> str:
    if figure is None:
        return ""
    interval = "" if isnan(figure.low) else f" ({figure.low:.1f}-{figure.high:.1f})"  # none of a single photograph
    return f"{figure.percent:.1f}{interval}"


def _ask(args: argparse.Namespace) -> None:
    args.out.mkdir(parents=True, exist_ok=True)
    path = args.out / "counts.jsonl"
    done = {image for image, _ in _read(path)}
    chat = GeoChat.from_pretrained(args.model)
    with path.open("a", encoding="utf-8") as file:
        for image in photographs(args.imagery, args.split, args.most):
            if image.name not in done:
                file.write(json.dumps({"image": image.name, "counts": measure(chat, image, side=args.window)}) + "\n")
                file.flush()


def _read(path: Path) -> list[tuple[str, Counts]]:
    if not path.exists():
        return []
    rows = (row for _, row in read_jsonl(path, Report()))
    return [(row["image"], {figure: (right, of) for figure, (right, of) in row["counts"].items()}) for row in rows]


def main(arguments: Sequence[str] | None = None) -> None:
    """Ask the questions, or show earlier answers."""
    parser = argparse.ArgumentParser(prog="python -m geochat_mini.measure", description=__doc__)
    commands = parser.add_subparsers(required=True)
    ask = commands.add_parser("ask", help="ask a model about every photograph")
    ask.add_argument("--imagery", type=Path, required=True)
    ask.add_argument("--out", type=Path, required=True, help="folder of the counts")
    ask.add_argument("--model", type=Path, help="default: the bundled one")
    ask.add_argument("--split", choices=("val", "test"), default="val")
    ask.add_argument("--most", type=int, default=60, help="photographs of a source")
    ask.add_argument(
        "--window", type=int, help="side of the windows objects are found in, pixels; default: of geochat find"
    )
    ask.set_defaults(run=_ask)
    show = commands.add_parser("show", help="print the figures of runs side by side")
    show.add_argument("runs", type=Path, nargs="+", metavar="RUN")
    show.set_defaults(run=_show)
    args = parser.parse_args(arguments)
    args.run(args)


def _show(args: argparse.Namespace) -> None:
    runs = {run.name: figures(_read(run / "counts.jsonl")) for run in args.runs}
    sys.stdout.writelines(f"{line}\n" for line in table(runs))


if __name__ == "__main__":
    main()
