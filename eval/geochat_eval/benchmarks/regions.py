"""Boxes in questions and answers: referring, region captioning and grounded description, GeoChat-Bench and VRSBench.

GeoChat-Bench names images without their suffix, `.png`. Its referring truths are polygons in pixels; those of VRSBench
are boxes in percent of the image. The prompts are those of the original's scripts.
"""

from collections.abc import Iterator
from functools import partial

from geochat.errors import DataError, ImageError
from geochat.imagery import image_size
from geochat.prompts import Task
from geochat_data.readers import Report
from geochat_eval.benchmarks.base import Benchmark, Item, Sources, add_task_token, image_name, name_of, read_items, text
from geochat_eval.boxes import rewrite_regions
from geochat_eval.json_objects import JsonObject

_KEPT = ("type", "dataset", "obj_ids", "size_group", "image_id", "unique", "obj_cls")
_BOXES = ("matched_boxes@0.5", "all_matched@0.5", "predicted_hit@0.5")
_PUBLISHED = {
    f"matched_boxes@0.5{group}": {"GeoChat-7B (rule not stated)": percent}
    for group, percent in {
        "": 10.6, "/small": 2.9, "/medium": 13.6, "/large": 21.7, "/single": 16.0, "/multiple": 4.3
    }.items()
}  # fmt: skip


def _read(what: str, truth: str, sources: Sources, report: Report) -> Iterator[Item]:
    path = sources.file(what)
    sources.folder("the folder of its images")
    return read_items(path, report, partial(_make, truth))


def _make(truth: str, row: JsonObject, number: int) -> Item:
    name = image_name(row, "image_id")
    image = name if "." in name.rsplit("/", 1)[-1] else f"{name}.png"
    if row.get(truth) is None:
        raise KeyError(truth)
    kept = {key: row[key] for key in _KEPT if key in row}
    question = text(row, "question") if truth == "ground_truth" else str(row.get("question", ""))
    return Item(name_of(row, number), image, question, row[truth], kept)


def _refer_prompt(item: Item, sources: Sources) -> str:
    """Build [refer] for a phrase, [grounding] for a description to be located, as `type` says."""
    if str(item.fields.get("type", "ref")).startswith("ref"):
        template, _ = sources.dialect.wordings.templates.get(Task.REFER, ("{}", ""))
        return add_task_token(template.replace("{}", item.question), Task.REFER, sources)
    return add_task_token(item.question, Task.GROUNDING, sources, space="")


def _identify_prompt(item: Item, sources: Sources) -> str:
    """Build the prompt with the file's region, which is in the published dialect, in the model's dialect."""
    words = sources.dialect.wordings.defaults[Task.IDENTIFY]
    region = rewrite_regions(item.question, sources.dialect, partial(_size, item, sources))
    return add_task_token(f"{words} {region}", Task.IDENTIFY, sources)


def _grounding_prompt(item: Item, sources: Sources) -> str:
    return add_task_token(item.question or sources.dialect.wordings.defaults[Task.GROUNDING], Task.GROUNDING, sources)


def _size(item: Item, sources: Sources) -> tuple[int, int]:
    """(width, height) of the question's image.

    Raises:
        DataError: It cannot be read, and without its size its region cannot be written as the model writes it.
    """
    try:
        return image_size(sources.root / item.image)
    except ImageError as error:
        raise DataError(f"question {item.id} cannot be asked of a model that crops images: {error}") from error


REFERRING = Benchmark(
    "referring",
    "boxes of phrases, GeoChat-Bench",
    "--questions referring.jsonl --images DIR",
    partial(_read, "GeoChat-Bench's referring.jsonl", "ground_truth"),
    "referring",
    _refer_prompt,
    256,
    headline=_BOXES,
    published=_PUBLISHED,
)

REGION_CAPTIONING = Benchmark(
    "region-captioning",
    "what is in a region, GeoChat-Bench",
    "--questions region_captioning.jsonl --images DIR",
    partial(_read, "GeoChat-Bench's region_captioning.jsonl", "ground_truth"),
    "region-caption",
    _identify_prompt,
    128,
    headline=("rouge_1", "rouge_l", "meteor"),
    published={
        "rouge_1": {"GeoChat-7B": 87.3, "EarthDial-4B (its answers, scored here)": 73.35},
        "rouge_l": {"GeoChat-7B": 87.2, "EarthDial-4B (its answers, scored here)": 73.31},
        "meteor": {"GeoChat-7B (which METEOR is not stated)": 83.9},
    },
)

GROUNDING_DESCRIPTION = Benchmark(
    "grounding-description",
    "descriptions with boxes, GeoChat-Bench",
    "--questions grounding_description.jsonl --images DIR",
    partial(_read, "GeoChat-Bench's grounding_description.jsonl", "description"),
    "grounded-description",
    _grounding_prompt,
    512,
    headline=("matched_and_named@0.5", "f1@0.5", "rouge_l", "clean_regions"),
)

VRSBENCH_REFERRING = Benchmark(
    "vrsbench-referring",
    "boxes of phrases, VRSBench",
    "--questions VRSBench_EVAL_referring.json --images DIR",
    partial(_read, "VRSBench_EVAL_referring.json", "ground_truth"),
    "referring",
    _refer_prompt,
    128,
    headline=_BOXES,
)
