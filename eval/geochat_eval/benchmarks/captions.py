"""Image captioning: UCM-captions, Sydney-captions, RSICD, VRSBench, and the user's own captions.

The first three come as `dataset*.json` with `images` of `filename`, `split` and `sentences` of `raw`; for UC Merced a
folder with `captions.jsonl` (`image`, `split`, `scene`, `captions`) serves too. The user's are read as labelled images.
"""

from collections.abc import Iterator
from functools import partial

from geochat.prompts import Task
from geochat_data.readers import Report
from geochat_eval.benchmarks.base import Benchmark, Item, Sources, image_name, name_of, read_items, text
from geochat_eval.benchmarks.labelled_images import image_path, is_ucm, labelled_images
from geochat_eval.json_objects import JsonObject

_RULES = ("cider", "rouge_l", "bleu_4", "meteor", "beyond_class_precision", "beyond_class_recall")
_FILES = "--questions dataset.json --images DIR"


def _question(sources: Sources) -> str:
    return sources.dialect.wordings.defaults[Task.CAPTION]


def _read(sources: Sources, report: Report) -> Iterator[Item]:
    path = sources.file("the captions file, dataset.json")
    sources.folder("the folder of its images")
    return read_items(path, report, partial(_make, sources), "images")


def _make(sources: Sources, row: JsonObject, number: int) -> Item | None:
    name = image_name(row, "filename")
    if row.get("split", sources.split) != sources.split:
        return None
    captions = [text(sentence, "raw") for sentence in row["sentences"]]
    if not captions:
        raise ValueError("it has no caption")
    return Item(name_of(row, number, "imgid"), name, _question(sources), captions)


def _read_labelled(sources: Sources, report: Report) -> Iterator[Item]:
    if sources.reader is None and (sources.questions is not None or not is_ucm(sources)):
        yield from _read(sources, report)
        return
    for image in labelled_images(sources, report):
        if image.captions:
            path = image_path(image, sources)
            yield Item(path, path, _question(sources), list(image.captions), {"scene": image.scene})


def _read_vrsbench(sources: Sources, report: Report) -> Iterator[Item]:
    path = sources.file("VRSBench_EVAL_Cap.json")
    sources.folder("the folder of its images")
    return read_items(path, report, _make_vrsbench)


def _make_vrsbench(row: JsonObject, number: int) -> Item:
    name = name_of(row, number)
    return Item(name, image_name(row, "image_id"), text(row, "question"), text(row, "ground_truth"))


UCM_CAPTIONS = Benchmark(
    "ucm-captions",
    "image captions, UC Merced",
    f"{_FILES}; or --images DIR with captions.jsonl",
    _read_labelled,
    "image-caption",
    max_new_tokens=96,
    headline=_RULES,
)

CAPTIONS = Benchmark(
    "captions",
    "image captions, any images",
    _FILES,
    _read_labelled,
    "image-caption",
    max_new_tokens=96,
    headline=_RULES,
)

SYDNEY_CAPTIONS = Benchmark(
    "sydney-captions", "image captions, Sydney", _FILES, _read, "image-caption", max_new_tokens=96, headline=_RULES
)

RSICD = Benchmark("rsicd", "image captions, RSICD", _FILES, _read, "image-caption", max_new_tokens=96, headline=_RULES)

VRSBENCH_CAPTION = Benchmark(
    "vrsbench-caption",
    "long image captions, VRSBench",
    "--questions VRSBench_EVAL_Cap.json --images DIR",
    _read_vrsbench,
    "image-caption",
    max_new_tokens=512,
    headline=_RULES,
)
