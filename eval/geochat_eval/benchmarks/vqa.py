"""Visual question answering: RSVQA in its original form and in GeoChat-Bench's, and VRSBench.

RSVQA's original files are three JSON objects; `--questions` names `..._questions.json`, and `..._answers.json` next to
it is found by its name. Questions that are not marked active belong to another split and are skipped. GeoChat's
`lrben.jsonl` and `hrben.jsonl` hold prompts without answers, which `--truth` adds: RSVQA's answers file, or lines with
a `question_id` and a `ground_truth`.
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from geochat.errors import DataError
from geochat.prompts import Task
from geochat_data.readers import Report
from geochat_eval.benchmarks.base import Benchmark, Item, Sources, apply_wording, image_name, name_of, read_items, text
from geochat_eval.json_objects import JsonObject, read_objects

_FILES = "--questions ..._questions.json (RSVQA) or FILE.jsonl (GeoChat-Bench) [--truth FILE] --images DIR"
_FILES_VRSBENCH = "--questions VRSBench_EVAL_vqa.json --images DIR"
_ENDINGS = (".tif", ".png", ".jpg")


def _read(sources: Sources, report: Report) -> Iterator[Item]:
    path, images = sources.file("RSVQA's or GeoChat-Bench's file"), sources.folder("the folder of its images")
    answers = path.with_name(path.name.replace("questions", "answers"))
    truths = sources.truth or (answers if path.suffix == ".json" and answers != path else None)
    if truths is None:
        return read_items(path, report, partial(_make, {}, images))
    return read_items(path, report, partial(_make, _answers(truths, report), images), "questions")


def _answers(path: Path, report: Report) -> dict[str, str]:
    """Read the answers by question id."""
    known: dict[str, str] = {}
    for where, row in read_objects(path, report, "answers"):
        if row.get("active", True) and "question_id" in row:
            try:
                known[str(row["question_id"])] = text(row, "ground_truth", "answer")
            except (KeyError, TypeError) as error:
                report.skip(f"malformed: {error}", where)
    if not known:
        raise DataError(f"{path} holds no answer with a question_id; give RSVQA's answers or lines with ground_truth")
    return known


def _make(answers: dict[str, str], images: Path, row: JsonObject, number: int) -> Item | None:
    if not row.get("active", True):
        return None
    if "img_id" in row:
        name, question, asked = name_of(row, number, "id"), text(row, "question"), text(row, "img_id")
        ending = next((ending for ending in _ENDINGS if (images / f"{asked}{ending}").is_file()), _ENDINGS[0])
        image = f"{asked}{ending}"
    else:
        name, question = name_of(row, number), text(row, "text", "question")
        image = image_name(row, "image", "image_id")
    truth = answers.get(str(name)) or row.get("ground_truth")
    return Item(name, image, question, truth, {"category": text(row, "category", "type")})


def _prompt(item: Item, sources: Sources) -> str:
    return apply_wording(item.question, Task.VQA, sources)


def _read_vrsbench(sources: Sources, report: Report) -> Iterator[Item]:
    path = sources.file("VRSBench_EVAL_vqa.json")
    sources.folder("the folder of its images")
    return read_items(path, report, _make_vrsbench)


def _make_vrsbench(row: JsonObject, number: int) -> Item:
    kind = text(row, "type")
    return Item(
        name_of(row, number),
        image_name(row, "image_id"),
        text(row, "question"),
        text(row, "ground_truth"),
        {"type": kind},
    )


_YES_NO = ("yes", "no")
_CLOSED = {
    **dict.fromkeys(("presence", "comp", "comparison", "object existence"), _YES_NO),
    "rural_urban": ("rural", "urban"),
}


def _choices(item: Item, _sources: Sources) -> tuple[str, ...]:
    """Return the closed set of answers to the question's type, independent of its truth."""
    return _CLOSED.get(str(item.fields.get("category") or item.fields.get("type")), ())


RSVQA_LR = Benchmark(
    "rsvqa-lr",
    "questions about Sentinel-2 images",
    _FILES,
    _read,
    "vqa",
    _prompt,
    32,
    choices=_choices,
    headline=("accuracy/without_count", "accuracy/without_count_macro"),
    published={
        "accuracy/type/presence": {"GeoChat-7B": 91.09, "EarthDial-4B": 92.6},
        "accuracy/type/comp": {"GeoChat-7B": 90.33, "EarthDial-4B": 92.8},
        "accuracy/type/rural_urban": {"GeoChat-7B": 94.0, "EarthDial-4B": 94.0},
        "accuracy/without_count": {"GeoChat-7B": 90.70, "EarthDial-4B": 92.7},
    },
)

RSVQA_HR = Benchmark(
    "rsvqa-hr",
    "questions about aerial photographs of the USGS",
    _FILES,
    _read,
    "vqa",
    _prompt,
    32,
    choices=_choices,
    headline=("accuracy/without_count", "accuracy/without_count_macro"),
    published={
        "accuracy/type/presence": {"GeoChat-7B": 58.45},
        "accuracy/type/comp": {"GeoChat-7B": 83.19},
        "accuracy/without_count": {"GeoChat-7B": 72.30},
    },
)

VRSBENCH_VQA = Benchmark(
    "vrsbench-vqa",
    "questions of VRSBench",
    _FILES_VRSBENCH,
    _read_vrsbench,
    "vqa",
    _prompt,
    max_new_tokens=32,
    choices=_choices,
)
