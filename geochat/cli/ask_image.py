"""`geochat ask` about one image: one question, or one for each feature of a vector layer."""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from geochat.assistant import Answer, Question
from geochat.assistant.layers import Skipped, ask_features, layer_boxes, layer_shapes
from geochat.assistant.region_input import pixel_boxes
from geochat.assistant.table import Row
from geochat.chat import GeoChat
from geochat.cli import options, output
from geochat.cli.images import ImageName, label_of
from geochat.cli.output import NoticeLog, note, print_error
from geochat.cli.results import check_targets, in_order, table_writer, write_files
from geochat.cli.text import print_stream
from geochat.errors import GeoChatError, RegionError
from geochat.exports import (
    GroundedRegion,
    VectorLayer,
    answered_geojson,
    draw,
    read_vector_layer,
    write_answered_geopackage,
    write_geojson,
    write_picture,
)
from geochat.geometry import OrientedBox
from geochat.imagery import GeoImage
from geochat.prompts import Task


def run(args: argparse.Namespace, image: ImageName, question: Question) -> int:
    """Ask, print and write; returns the exit status.

    Raises:
        GeoChatError: An option, the image or a region is wrong, or a result cannot be written.
    """
    check_targets(args)
    layers = _read_layers(args)
    view = options.open_view(args, image)
    if view.scene is not None and (args.geojson or args.geopackage):
        view.scene.require_map()
    pixel_boxes(args.region, view.frame)  # errors in regions are reported before the model is loaded
    boxes = [layer_boxes(layer, view.frame) for layer in layers]
    if question.task not in (None, Task.IDENTIFY):
        _shapes(layers, view)
    chat = options.load_model(args)
    if len(layers) == 1 and not args.region and _is_identify(chat, view, boxes[0], question):
        return _ask_features(args, image, _Features(chat, view, layers[0], boxes[0], question))
    stream = chat.stream(view, replace(question, regions=[*args.region, *_shapes(layers, view)]))
    if args.json:
        answer = stream.wait()
        output.print_json(answer.to_dict())
    else:
        answer = print_stream(stream)
    write_files(answer, args, image)
    return 0


def _read_layers(args: argparse.Namespace) -> list[VectorLayer]:
    """Read the layers of `--region-file`: of several in one file, `--region-layer`, or the first with a note.

    Raises:
        RegionError: A file cannot be read, or a layer is named without a file.
    """
    if args.region_layer is not None and not args.region_file:
        raise RegionError(f"--region-layer {args.region_layer} names a layer of no file; give --region-file too")
    layers = [read_vector_layer(path, args.region_layer) for path in args.region_file]
    for layer in layers:
        if layer.others and args.region_layer is None:
            note(f"{layer.path} has several layers; taken: {layer.name} (--region-layer names another: "
                 f"{', '.join(layer.others)})")  # fmt: skip
    return layers


def _shapes(layers: list[VectorLayer], view: GeoImage) -> list[object]:
    return [shape for layer in layers for shape in layer_shapes(layer, view.frame)]


def _is_identify(chat: GeoChat, view: GeoImage, boxes: list[OrientedBox | Skipped], question: Question) -> bool:
    """Return whether the question, asked about one of the regions, is an identify question."""
    first = next(box for box in boxes if isinstance(box, OrientedBox))
    understood = chat.start(view).prepare(replace(question, regions=first), alone=True).interpretation
    return understood.task is Task.IDENTIFY and understood.reply is None


@dataclass(frozen=True)
class _Features:
    """A vector layer on an image, and the question about each of its features.

    Attributes:
        chat: The model.
        view: The view of the image.
        layer: The vector layer.
        boxes: The box of each feature in the view, or the reason to skip it.
        question: The question about each.
    """

    chat: GeoChat
    view: GeoImage
    layer: VectorLayer
    boxes: Sequence[OrientedBox | Skipped]
    question: Question


@dataclass(frozen=True)
class _FeatureResult:
    """The result of one feature, without the pixels of its answer."""

    row: Row
    line: str = ""
    region: GroundedRegion | None = None
    skipped: str | None = None
    failed: bool = False
    provenance: dict[str, Any] = field(default_factory=dict)


def _ask_features(args: argparse.Namespace, image: ImageName, features: _Features) -> int:
    """Ask about each feature, print one line each, and write the layer with answers; exit status 1 if one failed."""
    results: list[_FeatureResult] = []
    notices = NoticeLog("feature")
    with table_writer(args.table) as write_row:
        for place, result in in_order(_feature_results(args, image, features)):
            results.append(result)
            _print_feature(f"feature {place + 1}", result, notices)
            write_row(result.row)
    notices.close()
    _write_layer(args, features, results)
    return 1 if any(result.failed for result in results) else 0


def _feature_results(
    args: argparse.Namespace, image: ImageName, features: _Features
) -> Iterator[tuple[int, _FeatureResult]]:
    asked = ask_features(features.chat.engine, features.view, features.boxes, features.question)
    for place, answer in asked:
        yield place, _feature_result(args, image, place + 1, answer)


def _feature_result(
    args: argparse.Namespace, image: ImageName, number: int, answer: Answer | Skipped | GeoChatError
) -> _FeatureResult:
    if isinstance(answer, Skipped):
        row = Row(label_of(image), number, error=f"skipped: {answer.reason}")
        return _FeatureResult(row, skipped=answer.reason)
    if isinstance(answer, GeoChatError):
        return _FeatureResult(Row(label_of(image), number, error=str(answer)), skipped=str(answer), failed=True)
    values = answer.to_dict()
    row = Row.of(label_of(image), values, number)
    line = output.json_text({"feature": number, **values}) if args.json else f"{number}: {row.answer}"
    exported = args.geojson or args.geopackage or args.overlay
    return _FeatureResult(row, line, answer.asked[0], provenance=answer.provenance if exported else {})


def _print_feature(name: str, result: _FeatureResult, notices: NoticeLog) -> None:
    if result.failed:
        print_error(f"{name}: {result.skipped}")
    elif result.skipped is not None:
        note(f"{name} was skipped: {result.skipped}")
    else:
        print(result.line, flush=True)
        notices.add(name, result.row.notices)


def _write_layer(args: argparse.Namespace, features: _Features, results: Sequence[_FeatureResult]) -> None:
    """Write the layer with its answers, and its overlay."""
    provenance = next((result.provenance for result in results if result.provenance), {})
    provenance = {key: value for key, value in provenance.items() if key != "prompt"}  # it holds a feature's place
    added: dict[str, list[Any]] = {
        "phrase": [None if result.region is None else result.region.phrase for result in results],
        "answer": [result.row.answer for result in results],
        "probability": [result.row.probability for result in results],
        "score": [result.row.score for result in results],
        "skipped": [result.skipped for result in results],
    }
    if args.geojson:
        write_geojson(args.geojson, answered_geojson(features.layer, added, provenance))
    if args.geopackage:
        write_answered_geopackage(args.geopackage, features.layer, added, provenance)
    if args.overlay:
        numbers = [number for number, result in enumerate(results, 1) if result.region is not None]
        regions = [result.region for result in results if result.region is not None]
        write_picture(args.overlay, draw(features.view.pil(), regions, features.view.frame, numbers), provenance)
