"""One question about one image, at the command line."""

import argparse
from dataclasses import replace
from pathlib import Path

from geochat.assistant import GeoChat, Question
from geochat.assistant.layers import Skipped, layer_boxes, layer_shapes
from geochat.assistant.region_input import pixel_boxes
from geochat.cli import features, options, output
from geochat.cli.reporting import note
from geochat.cli.targets import check_targets, write_files
from geochat.cli.text import print_stream
from geochat.errors import PromptError, RegionError
from geochat.exports import VectorLayer, read_vector_layer
from geochat.geometry import OrientedBox
from geochat.imagery import GeoImage
from geochat.prompts import Task


def read_question(args: argparse.Namespace, words: str) -> Question:
    """The question that words and options make, without regions.

    Raises:
        GeoChatError: A setting of the generation is impossible, or the choices leave nothing to choose.
    """
    choices = () if args.choices is None else options.class_names(args.choices)
    if args.choices is not None and len(set(choices)) < 2:
        raise PromptError(f"--choices {args.choices} leaves nothing to choose; give two or more, separated by commas")
    generation = options.generation(args)
    return Question(words, task=args.task, choices=choices, raw=args.verbatim, generation=generation)


def run(args: argparse.Namespace, image: Path, question: Question) -> int:
    """Ask about one image, or about each feature of a layer on it; print and write.

    Returns:
        The exit status.
    """
    check_targets(args)
    layers = read_layers(args)
    view = options.open_view(args, image)
    pixel_boxes(args.region, view.frame)  # what cannot be asked about is reported before the model is loaded
    boxes = [layer_boxes(layer, view.frame) for layer in layers]
    if question.task not in (None, Task.IDENTIFY):
        _shapes(layers, view)
    chat = output.load(args)
    if len(layers) == 1 and not args.region and _asks_what_it_is(chat, view, boxes[0], question):
        return features.run(args, image, features.Features(chat, view, layers[0], boxes[0], question))
    stream = chat.stream(view, replace(question, regions=[*args.region, *_shapes(layers, view)]))
    if args.json:
        answer = stream.wait()
        output.print_json(answer.to_dict())
    else:
        answer = print_stream(stream)
    write_files(answer, args, image)
    return 0


def read_layers(args: argparse.Namespace) -> list[VectorLayer]:
    """The layers of `--region-file`; of a file with several the first, which is told, or `--region-layer`.

    Raises:
        RegionError: A file cannot be read, or no file is given and a layer is named.
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


def _asks_what_it_is(chat: GeoChat, view: GeoImage, boxes: list[OrientedBox | Skipped], question: Question) -> bool:
    """Whether the question, put about one of the regions, is what it is."""
    first = next(box for box in boxes if isinstance(box, OrientedBox))
    understood = chat.start(view).prepare(replace(question, regions=first), alone=True).interpretation
    return understood.task is Task.IDENTIFY and understood.reply is None
