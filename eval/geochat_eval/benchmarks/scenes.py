"""Scene classification: any folder of classes, and the question files of GeoChat-Bench.

For a folder, the published question names all its classes. A file holds complete prompts, and the class is its truth
field or the part of `question_id` before the slash. UC Merced's 21 class names are written as words.
"""

from collections.abc import Iterator

from geochat.prompts import Task
from geochat_data.readers import UCM_SCENES, DataSource, Report, class_names, read
from geochat_eval.benchmarks.base import (
    Benchmark,
    Item,
    Sources,
    apply_wording,
    image_name,
    name_of,
    named_classes,
    read_items,
    text,
)
from geochat_eval.benchmarks.labelled_images import (
    image_path,
    labelled_images,
    reading_split,
    split_filter,
    user_source,
)
from geochat_eval.json_objects import JsonObject

_SPACED = {name.replace(" ", ""): name for name in UCM_SCENES}
_FILES = "--images DIR of class folders; or --questions FILE (question_id, image, text) with its images"


def _read(sources: Sources, report: Report) -> Iterator[Item]:
    if sources.reader is not None:
        return _from_records(sources, report)
    if sources.questions is not None:
        sources.folder("the folder of the file's images")
        return read_items(sources.questions, report, _from_file)
    return _from_folders(sources, report)


def _from_file(row: JsonObject, number: int) -> Item:
    truth = text(row, "ground_truth") if row.get("ground_truth") is not None else text(row, "question_id").split("/")[0]
    return Item(name_of(row, number), image_name(row, "image", "image_id"), text(row, "text", "question"), truth)


def _from_folders(sources: Sources, report: Report) -> Iterator[Item]:
    root = sources.folder("the folder whose folders are the classes")
    source = DataSource(root, split=reading_split(sources), report=report)
    names = class_names(source)
    ours = {name: _SPACED[name] for name in names} if set(names) <= set(_SPACED) else {name: name for name in names}
    question = apply_wording(", ".join(ours[name] for name in names), Task.SCENE, sources)
    kept = split_filter(sources)
    for image in read("folders", source):
        if image.path is None or not kept(image.path.name):
            continue
        scene, path = str(image.scene), image.path.relative_to(root).as_posix()
        name = f"{image.path.parent.name}/{image.path.name}"
        yield Item(name, path, question, ours[scene], {"scene": ours[scene]})


def _from_records(sources: Sources, report: Report) -> Iterator[Item]:
    """Read the user's records with a scene; each question names all scenes."""
    images = [image for image in labelled_images(sources, report) if image.scene]
    folders = sources.reader == "folders"
    names = class_names(user_source(sources, Report())) if folders else sorted({str(image.scene) for image in images})
    question = apply_wording(", ".join(names), Task.SCENE, sources)
    for image in images:
        path = image_path(image, sources)
        yield Item(path, path, question, image.scene, {"scene": image.scene})


def _choices(item: Item, _sources: Sources) -> tuple[str, ...]:
    """Return the classes that a question names, in its order; a file's own text may name none."""
    return named_classes(item.question)


UCMERCED = Benchmark(
    "ucmerced",
    "scene classification, UC Merced, 21 classes",
    _FILES,
    _read,
    "scene",
    max_new_tokens=32,
    choices=_choices,
    published={"accuracy": {"GeoChat-7B (zero-shot, all 2,100)": 84.43, "EarthDial-4B (all 2,100)": 92.4}},
)

AID = Benchmark(
    "aid",
    "scene classification, AID, 30 classes",
    _FILES,
    _read,
    "scene",
    max_new_tokens=32,
    choices=_choices,
    published={"accuracy": {"GeoChat-7B (zero-shot)": 72.03}},
)

WHU_RS19 = Benchmark(
    "whu-rs19",
    "scene classification, WHU-RS19, 19 classes",
    _FILES,
    _read,
    "scene",
    max_new_tokens=32,
    choices=_choices,
)

SCENES = Benchmark(
    "scenes",
    "scene classification, any folder of classes",
    _FILES,
    _read,
    "scene",
    max_new_tokens=32,
    choices=_choices,
)
