#!/usr/bin/env python
"""The figures of geochat-mini as its card and docs/mini.md show them, from the runs that `eval/card.sh` wrote.

    python eval/figures.py RUNS [--docs docs] [--card geochat/models/mini/README.md] [--seed N]

Rewrites the section "Figures" of both pages, and `images/mini-confusion.png` and `images/mini-answers.jpg` below the
docs: 24 answers drawn at random by the seed on rendered scenes, which may be published, unlike photographs. A bold
figure is no better than its baseline.
"""

import argparse
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from geochat_data.readers import UCM_SCENES
from geochat_eval.reports import report
from geochat_eval.reports.examples import contact_sheet, matrix
from geochat_eval.scorers import ScorerSettings

ROOT = Path(__file__).resolve().parents[1]
SHOWN = ("refer", "describe", "identify", "presence", "comparison", "count")  # runs on rendered scenes
EACH = 4  # answers drawn from each
FORM = ("clean_regions", "empty")  # rules that say nothing of an answer's truth
BESIDE = {
    "blind": "without the image",
    "majority_caption": "majority caption of the named class",
    "classifier": "the dual encoder, zero-shot",
    "held-out-words": "held-out wordings",
    "one-look": "without the second look",
}
_ITSELF = (BESIDE["held-out-words"], BESIDE["one-look"])  # the model asked in other ways, which it need not surpass


@dataclass(frozen=True)
class Row:
    """One line of a table: its label, a run and a rule of its scorer, the unit of n, the chance level."""

    name: str
    run: str
    rule: str
    unit: str = ""
    chance: str = ""


UCM = (
    Row("scene through chat, 21 classes", "scenes", "accuracy"),
    Row("[refer], single objects, first box at rotated IoU 0.5", "ucm-refer", "first_box@0.5"),
    Row("the same at 0.25", "ucm-refer", "first_box@0.25"),
    Row("[refer], several objects, F1 at 0.5", "ucm-refer", "f1@0.5/multiple", "boxes"),
    Row(
        "[refer] of present and absent objects, balanced accuracy", "ucm-refer-absent", "balanced_accuracy", chance="50"
    ),
    Row("presence, balanced accuracy", "ucm-presence", "accuracy/balanced/presence"),
    Row("comparison", "ucm-comparison", "accuracy"),
    Row("count", "ucm-count", "accuracy"),
    Row("grounded description, F1 of boxes at 0.5", "ucm-describe", "f1@0.5", "boxes"),
    Row("captions, CIDEr-D", "captions", "cider"),
    Row("captions, ROUGE-L", "captions", "rouge_l"),
    Row("caption words beyond the class, precision", "captions", "beyond_class_precision", "words"),
    Row("the same, recall", "captions", "beyond_class_recall", "words"),
    Row("[identify] on mosaics of two to four categories", "ucm-identify", "accuracy"),
    Row("the same, both regions of a pair correct", "ucm-identify", "pairs_right", "pairs"),
    Row("[refer] answers whose regions all parse", "ucm-refer", "clean_regions"),
    Row("descriptions whose regions all parse", "ucm-describe", "clean_regions"),
    Row("empty [refer] answers", "ucm-refer", "empty"),
)
SYNTHETIC = (
    Row("[refer], single objects, first box at 0.5", "refer", "first_box@0.5"),
    Row("[refer], several objects, F1 at 0.5", "refer", "f1@0.5/multiple", "boxes"),
    Row("[refer] of present and absent objects, balanced accuracy", "refer-absent", "balanced_accuracy", chance="50"),
    Row("[identify], two or more categories", "identify", "accuracy"),
    Row("the same, both regions of a pair correct", "identify", "pairs_right", "pairs"),
    Row("presence, balanced accuracy", "presence", "accuracy/balanced/presence"),
    Row("comparison", "comparison", "accuracy"),
    Row("count", "count", "accuracy"),
    Row("grounded description, F1 of boxes at 0.5", "describe", "f1@0.5", "boxes"),
    Row("[refer] answers whose regions all parse", "refer", "clean_regions"),
)
ELSEWHERE = (
    Row("[refer], DOTA patches of 1024 px, single objects, first box at 0.5", "dota-refer", "first_box@0.5"),
    Row("[refer], airplanes in images of 800 to 1000 px", "planes-refer", "first_box@0.5"),
)
TABLES = (
    ("UC Merced, {split} photographs", UCM),
    ("synthetic scenes outside the training seeds", SYNTHETIC),
    ("other sources, not used in training", ELSEWHERE),
)


class Runs:
    """The reports of the runs below a folder, by name."""

    def __init__(self, folder: Path) -> None:
        """Read the existing reports."""
        found = sorted(folder.glob("*/report.json"))
        self.folder = folder
        self.reports: dict[str, dict[str, Any]] = {file.parent.name: json.loads(file.read_text()) for file in found}

    def scores(self, run: str) -> dict[str, Any]:
        """Return the scores of a run with those of its format validity."""
        scores = self.reports[run]["scores"]
        validity = scores["format_validity"]
        whole = scores | {rule: figure["percent"] for rule, figure in validity.items()}
        for part, key in (("n", "n"), ("intervals", "interval")):
            whole[part] = scores[part] | {rule: figure[key] for rule, figure in validity.items()}
        return whole

    def beside(self, row: Row) -> Iterator[tuple[str, float]]:
        """Yield the figures for comparison, without published ones."""
        scores = self.scores(row.run)
        for name, value in scores["baselines"].items():
            kind, _, rule = name.partition("/")
            if rule == row.rule:
                yield {"constant_box": "best constant box"}.get(kind, kind), value
        for run in self.reports:
            other = run.removeprefix(f"{row.run}.")
            if other != run and self.scores(run).get(row.rule) is not None:
                yield BESIDE.get(other, other), self.scores(run)[row.rule]

    def line(self, row: Row) -> str:
        """Format a line of a table."""
        scores = self.scores(row.run)
        value, interval, n = scores[row.rule], scores["intervals"].get(row.rule), scores["n"][row.rule]
        beside = [] if row.rule in FORM else list(self.beside(row))
        least = [other for name, other in beside if name not in _ITSELF] + [float(row.chance or "-inf")]
        shown = f"{value:.1f}" if row.rule in FORM or value > max(least) else f"**{value:.1f}**"
        published = self.reports[row.run]["published"].get(row.rule, {})
        words = [f"{name} {other:.1f}" for name, other in (*beside, *published.items())]
        words += [f"chance {row.chance}"] if row.chance else []
        span = f"{interval[0]:.1f} - {interval[1]:.1f}" if interval and interval[0] is not None else ""
        return f"| {row.name} | {shown} | {span} | {n} {row.unit}".rstrip() + f" | {'; '.join(words)} |"

    def tables(self) -> str:
        """Return all three tables."""
        about = self.reports["scenes"]["settings"]
        lines = [
            f"Weights sha256 `{self.reports['scenes']['model_sha256']}`, greedy decoding, 95 % bootstrap intervals."
        ]
        for title, rows in TABLES:
            there = [row for row in rows if row.run in self.reports and self.scores(row.run).get(row.rule) is not None]
            if there:
                lines += [
                    "",
                    f"| {title.format(split=about['split'])} | % | interval | n | for comparison |",
                    "|---|---|---|---|---|",
                ]
                lines += [self.line(row) for row in there]
        drawn = self.reports.get("refer", {}).get("settings", {}).get("scenes")
        split = "" if about["split"] == "test" else f"SPLIT={about['split']} "
        command = f"{split}{f'SCENES={drawn} ' if drawn else ''}eval/card.sh IMAGERY OUT"
        return "\n".join(
            [
                *lines,
                "",
                f"Commands: `{command}` runs the benchmarks, `python eval/figures.py OUT` writes these tables.",
            ]
        )

    def by_class(self) -> str:
        """Return the table of scenes by class, with the most frequent confusions."""
        lines = ["| class | correct, % | n | most frequent confusions |", "|---|---|---|---|"]
        for truth, answers in self.confusion().items():
            wrong = {answer: count for answer, count in answers.items() if answer != truth}
            most = sorted(wrong, key=lambda answer: (-wrong[answer], answer))[:2]
            taken = ", ".join(f"{answer} ({wrong[answer]})" for answer in most)
            share = 100 * answers.get(truth, 0) / max(1, sum(answers.values()))
            lines.append(f"| {truth} | {share:.0f} | {sum(answers.values())} | {taken} |")
        return "\n".join(lines)

    def confusion(self) -> Mapping[str, Mapping[str, int]]:
        """Return counts of answers by true class, with readable class names."""
        names = {name.replace(" ", ""): name for name in UCM_SCENES}
        return {
            names.get(truth, truth): {names.get(answer, answer): count for answer, count in row.items()}
            for truth, row in self.scores("scenes")["confusion"].items()
        }


def write_section(page: Path, heading: str, text: str) -> None:
    """Replace the section under a second-level heading with `text`."""
    before, found, rest = page.read_text(encoding="utf-8").partition(f"## {heading}\n")
    if not found:
        raise SystemExit(f"{page} has no heading '## {heading}'; give it one where the figures belong")
    _, following, after = rest.partition("\n## ")
    page.write_text(f"{before}{found}{text}\n{following}{after}", encoding="utf-8")


def main() -> None:
    """Parse, gather, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", metavar="RUNS", type=Path, help="the folder eval/card.sh wrote into")
    parser.add_argument("--docs", metavar="DIR", type=Path, default=ROOT / "docs", help="(default: docs)")
    parser.add_argument("--card", metavar="FILE", type=Path, default=ROOT / "geochat/models/mini/README.md")
    parser.add_argument("--seed", metavar="N", type=int, default=0, help="of the answers drawn (default: 0)")
    args = parser.parse_args()
    runs = Runs(args.runs)
    if "scenes" not in runs.reports:
        raise SystemExit(f"{args.runs} holds no finished run called scenes; run eval/card.sh IMAGERY {args.runs} first")
    drawn = []
    for number, name in enumerate(SHOWN):
        if name in runs.reports:
            settings = ScorerSettings(0, args.seed + number, meteor=False)
            drawn += report(args.runs / name, settings, examples=EACH).examples["at random"]
    images = args.docs / "images"
    images.mkdir(parents=True, exist_ok=True)
    matrix(runs.confusion()).save(images / "mini-confusion.png", optimize=True)
    contact_sheet(drawn).save(images / "mini-answers.jpg", quality=80, optimize=True)
    write_section(args.docs / "mini.md", "Figures", runs.tables())
    write_section(
        args.docs / "mini.md", "Scenes by class", f"{runs.by_class()}\n\n![Confusion](images/mini-confusion.png)"
    )
    write_section(args.card, "Figures", runs.tables())


if __name__ == "__main__":
    main()
