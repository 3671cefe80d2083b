"""The study's findings as the table and the figure of docs/clip.md."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from geochat.errors import DataError, SettingsError
from geochat_train.prompts.runs import summary
from geochat_train.prompts.trials import BaseToNew

FIGURE = Path("images") / "clip-shots.png"
_PLACE = re.compile(r"(<!-- study -->\n).*(<!-- end of study -->)", re.DOTALL)
_NAMES = {"coop": "CoOp", "cocoop": "CoCoOp"}


def write_docs(docs: Path, found: Sequence[dict[str, Any]], split: str, encoder: str) -> None:
    """Write the table into `clip.md`, between its marks, and the figure.

    Args:
        docs: The folder of `clip.md`.
        found: What the study wrote down.
        split: The photographs it was tested on.
        encoder: What it was made with.

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
    """Markdown: zero-shot, CoOp by shots, base-to-new.

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
    """Accuracy on the classes not seen against shots, with the deviation over seeds as error bars.

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
    axes.set(xlabel="labelled images a class", ylabel="accuracy on classes not seen, %")
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
