"""Accuracy of prompts on UC Merced, with an encoder that was not trained on six of its classes.

    python -m geochat_train.prompts.study --imagery DIR --out DIR [--split val|test] [--docs docs]

Zero-shot on the classes that contrastive training saw and on the six it did not; CoOp on these six from 1 to 16 shots;
base-to-new of CoOp and CoCoOp over all 21. Prompts are learned from the training photographs that are neither kept for
validation nor overlap with test ones. Each run is written down when it is done: a study that was stopped goes on.
`--docs` writes the table and the figure of docs/clip.md.
"""

import argparse
import json
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from geochat.clip import REMOTE_SENSING, DualEncoder, PromptSettings
from geochat.errors import DataError, SettingsError
from geochat_data.readers import UCM_SCENES
from geochat_data.splits import UNSEEN_SCENES, read_list
from geochat_train.prompts.features import Features, SceneImages, read_scenes
from geochat_train.prompts.learning import published
from geochat_train.prompts.trials import BaseToNew, Trial, halves, outcome, summary, zero_shot

FIGURE = Path("images") / "clip-shots.png"
_PLACE = re.compile(r"(<!-- study -->\n).*(<!-- end of study -->)", re.DOTALL)
_NAMES = {"coop": "CoOp", "cocoop": "CoCoOp"}


def write_docs(docs: Path, found: Sequence[dict[str, Any]], split: str, encoder: str) -> None:
    """Write the table into `clip.md`, between its marks, and the plot.

    Args:
        docs: The folder of `clip.md`.
        found: Findings of the study.
        split: The photographs it was tested on.
        encoder: Encoder with which it was made.

    Raises:
        DataError: The study is not finished, or `clip.md` has no marks.
        SettingsError: matplotlib is not installed.
    """
    page = docs / "clip.md"
    text = page.read_text(encoding="utf-8")
    if not _PLACE.search(text):
        raise DataError(f"{page} has no <!-- study --> and <!-- end of study -->, between which the table goes")
    table = "\n".join(lines(found, split, encoder))
    draw(found, docs / FIGURE)
    page.write_text(_PLACE.sub(lambda marks: f"{marks[1]}{table}\n{marks[2]}", text), encoding="utf-8")


def lines(found: Sequence[dict[str, Any]], split: str, encoder: str) -> list[str]:
    """Return Markdown lines: zero-shot, CoOp by shots, base-to-new.

    Raises:
        DataError: The study is not finished.
    """
    zero = {row["of"]: row for row in found if row["study"] == "zero-shot"}
    shots = summary(_runs(found, "shots", "coop"))
    halves = {method: summary(_runs(found, "base-to-new", method)) for method in _NAMES}
    if not (zero and shots and all(halves.values())):
        raise DataError("the study is not finished; run it again, it goes on where it was")
    plain = BaseToNew(zero["base"]["accuracy"], zero["new"]["accuracy"])
    images = {name: row["images"] for name, row in zero.items()}
    by_shots = " | ".join(str(row["shots"]) for row in shots)
    return [
        f"UC Merced's {split} photographs, {encoder}; accuracy in %, mean ± standard deviation over seeds 1-3.",
        "",
        "| zero-shot | images | accuracy |",
        "|---|---|---|",
        *(
            f"| {what}, among {zero[name]['classes']} | {images[name]} | {_percent(zero[name]['accuracy'])} |"
            for name, what in (("seen", "classes seen in training"), ("unseen", "classes not seen"), ("all", "all"))
        ),
        "",
        f"| CoOp on the {zero['unseen']['classes']} classes not seen | {by_shots} |",
        f"|---|{'---|' * len(shots)}",
        f"| accuracy by shots | {' | '.join(_with_deviation(row, 'accuracy') for row in shots)} |",
        "",
        "| base-to-new, 16 shots | base | new | H |",
        "|---|---|---|---|",
        f"| zero-shot | {_percent(plain.base)} | {_percent(plain.new)} | {_percent(plain.harmonic)} |",
        *(
            f"| {_NAMES[method]} | {' | '.join(_with_deviation(rows[0], n) for n in ('base', 'new', 'harmonic'))} |"
            for method, rows in halves.items()
        ),
    ]


def draw(found: Sequence[dict[str, Any]], file: Path) -> None:
    """Plot accuracy on the unseen classes against shots, with the standard deviation over seeds as error bars.

    Raises:
        SettingsError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise SettingsError("the figure is drawn with matplotlib; pip install 'geochat[plots]'") from error
    rows = summary(_runs(found, "shots", "coop"))
    zero = next(row["accuracy"] for row in found if row["study"] == "zero-shot" and row["of"] == "unseen")
    figure = Figure(figsize=(6, 3.6), layout="constrained")
    axes = figure.add_subplot()
    axes.axhline(100 * zero, color="tab:gray", linestyle="--", label="zero-shot")
    axes.errorbar(
        [row["shots"] for row in rows],
        [100 * row["accuracy"] for row in rows],
        [100 * row["accuracy_deviation"] for row in rows],
        marker="o",
        capsize=4,
        label="CoOp",
    )
    axes.set_xscale("log", base=2)
    axes.set_xticks([row["shots"] for row in rows], [str(row["shots"]) for row in rows])
    axes.set(xlabel="labelled images per class", ylabel="accuracy on classes not seen, %")
    axes.grid(alpha=0.3)
    axes.legend()
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=120)


def _runs(found: Sequence[dict[str, Any]], study: str, method: str) -> list[dict[str, float]]:
    rows = [row for row in found if row["study"] == study and row["method"] == method]
    return [{name: value for name, value in row.items() if name not in {"study", "method"}} for row in rows]


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"


def _with_deviation(row: dict[str, float], name: str) -> str:
    return f"{_percent(row[name])} ± {_percent(row[f'{name}_deviation'])}"


SHOTS = (1, 2, 4, 8, 16)
SEEDS = (1, 2, 3)
_WORDS = "a photo of a"  # what both methods begin with in the published base-to-new comparison

Found = dict[str, Any]


@dataclass(frozen=True)
class Scenes:
    """Photographs for learning, and others for testing."""

    train: SceneImages
    test: SceneImages

    def of(self, classes: tuple[str, ...]) -> "Scenes":
        """Return the photographs of some classes."""
        return Scenes(self.train.of(classes), self.test.of(classes))


def read_ucm_scenes(imagery: Path, split: str) -> Scenes:
    """Read UC Merced's photographs for learning prompts, and those of `split`, "val" or "test".

    Raises:
        DataError: They are not there.
    """
    kept, overlapping = read_list("ucm_val"), read_list("ucm_overlap")
    everything = read_scenes(imagery / "ucm" / "train", UCM_SCENES)
    train = everything.without(kept | overlapping)
    if split == "val":
        return Scenes(train, everything.only(kept - overlapping))
    return Scenes(train, read_scenes(imagery / "ucm" / "test", UCM_SCENES))


def zero_shot_figures(scenes: Scenes, features: Features) -> Iterator[Found]:
    """Yield zero-shot accuracy among the seen classes, among the unseen ones, and among all."""
    unseen = tuple(name for name in UCM_SCENES if name in UNSEEN_SCENES)
    seen = tuple(name for name in UCM_SCENES if name not in UNSEEN_SCENES)
    base, new = halves(UCM_SCENES)
    groups = {"seen": seen, "unseen": unseen, "all": UCM_SCENES, "base": base, "new": new}
    for name, classes in groups.items():
        images = scenes.test.of(classes)
        accuracy = zero_shot(images, features, REMOTE_SENSING)
        yield {
            "study": "zero-shot",
            "of": name,
            "classes": len(classes),
            "images": len(images.files),
            "accuracy": accuracy,
        }


def trials() -> Iterator[tuple[str, Trial]]:
    """Yield the study's runs, each with the name of its part."""
    for shots in SHOTS:
        for seed in SEEDS:
            yield "shots", Trial("coop", PromptSettings(), replace(published("coop", shots), seed=seed), shots)
    for method in ("coop", "cocoop"):
        for seed in SEEDS:
            learning = replace(published(method, 16), seed=seed)
            yield "base-to-new", Trial(method, PromptSettings(words=_WORDS), learning, 16)


def findings(scenes: Scenes, features: Features, known: list[Found]) -> Iterator[Found]:
    """Yield the missing findings."""
    if not any(found["study"] == "zero-shot" for found in known):
        yield from zero_shot_figures(scenes, features)
    unseen = scenes.of(tuple(name for name in UCM_SCENES if name in UNSEEN_SCENES))
    done = {(found["study"], found.get("method"), found.get("shots"), found.get("seed")) for found in known}
    for study, trial in trials():
        if (study, trial.method, trial.shots, trial.learning.seed) in done:
            continue
        used = unseen if study == "shots" else scenes
        row = outcome(trial, used.train, used.test, features, halved=study == "base-to-new")
        yield {"study": study, "method": trial.method, **row}


def read_findings(file: Path) -> list[Found]:
    """Read earlier findings; a truncated last line is dropped.

    Raises:
        DataError: The file holds something else.
    """
    if not file.exists():
        return []
    found: list[Found] = []
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    for number, line in enumerate(lines, 1):
        try:
            found.append(json.loads(line))
        except ValueError as error:
            if number < len(lines) or line.endswith("\n"):
                raise DataError(f"{file}:{number} is no finding ({error}); remove the file to begin again") from error
            file.write_text("".join(lines[:-1]), encoding="utf-8")
    return found


def main() -> int:
    """Parse, do the missing runs, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--imagery", metavar="DIR", type=Path, required=True, help="holds ucm/")
    parser.add_argument("--out", metavar="DIR", type=Path, required=True, help="findings are kept here")
    parser.add_argument("--model", metavar="MODEL", help="dual encoder (default: the bundled one)")
    parser.add_argument("--split", choices=("val", "test"), default="val", help="(default: val)")
    parser.add_argument("--docs", metavar="DIR", type=Path, help="write the table and the figure of its clip.md")
    args = parser.parse_args()
    encoder = DualEncoder.from_pretrained(args.model)
    scenes, features = read_ucm_scenes(args.imagery, args.split), Features(encoder)
    args.out.mkdir(parents=True, exist_ok=True)
    file = args.out / f"{args.split}-{encoder.sha256[:12]}.jsonl"
    known = read_findings(file)
    with file.open("a", encoding="utf-8") as kept:
        for found in findings(scenes, features, known):
            kept.write(json.dumps(found) + "\n")
            kept.flush()
            sys.stdout.write(f"{json.dumps(found)}\n")
    if args.docs:
        write_docs(args.docs, read_findings(file), args.split, encoder.name)
    return 0


if __name__ == "__main__":
    sys.exit(main())
