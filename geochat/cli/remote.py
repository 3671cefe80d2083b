"""Commands on a server: `ask`, `describe` and `find` with `--server`. Imports neither torch nor image libraries.

Options that the server decides, or does not support, are refused rather than ignored.
"""

import argparse
import json
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import TYPE_CHECKING, Any

from geochat.cli import output, text, values
from geochat.errors import GeoChatError, RegionError, SettingsError

if TYPE_CHECKING:
    from geochat.cli.ask_batch import Answered
    from geochat.cli.images import ImageName
    from geochat.client import Client, RemoteAnswer

_VIEW = {"window", "bands", "stretch", "page"}
_FILES = {"table", "overlay", "geojson", "geopackage"}
_ASK = {*_VIEW, *_FILES, "question", "task", "choices", "verbatim", "region", "json"}
_GENERATION = {"max_new_tokens", "temperature", "top_p", "seed", "stop"}
_DESCRIBE = {"bands", "stretch", "page", "ask", "classes", "json"}
_FIND = {"window", "bands", "stretch", "page", "overlap", "scales", "aoi", "min_score", "limit", "json"}
_ALWAYS = {"server", "timeout", "debug", "help"}
_TOGETHER = 4  # images asked about at the same time
IMPROBABLE = "{} objects are left out, because their score is below the model's minimum; --min-score 0 keeps them"
"""Note about objects that nobody asked to leave out."""


def add_server_option(parser: argparse.ArgumentParser) -> None:
    """Declare `--server`; `server_of` reads it."""
    group = parser.add_argument_group("server")
    group.add_argument(
        "--server",
        metavar="URL",
        help="ask the geochat serve at URL, which decides model and engine, instead of loading a model "
        "($GEOCHAT_SERVER, and its API token in $GEOCHAT_API_TOKEN; '' loads a model all the same)",
    )
    parser.set_defaults(parser=parser)


def server_of(args: argparse.Namespace) -> str | None:
    """Return the address of the server that computes; None if a model is loaded here."""
    url: str | None = os.environ.get("GEOCHAT_SERVER") if args.server is None else args.server
    return url or None


def ask(args: argparse.Namespace, url: str, images: Sequence["ImageName"], words: str, *, several: bool) -> int:
    """Run `geochat ask` on a server, as `ask_image.run`, or as `ask_batch.run` for several images.

    Raises:
        GeoChatError: An option is wrong, the server refuses, or a result cannot be written.
    """
    _require_taken(args, url, _ASK | _GENERATION)
    choices = [] if args.choices is None else list(values.class_names(args.choices))
    fields = {
        **_view(args),
        **{name: getattr(args, name) for name in _GENERATION},
        "task": args.task,
        "choices": choices,
        "raw": args.verbatim,
        "regions": [list(region) for region in args.region],
        "geojson": any((args.overlay, args.geojson, args.geopackage)),
    }
    with _client(args, url) as client:
        if several:
            from geochat.cli import ask_batch

            return ask_batch.report_answers(args, images, lambda: _answers(client, images, words, fields))
        return _ask_one(args, client, images[0], words, fields)


def describe(args: argparse.Namespace, url: str, scene: str) -> int:
    """Run `geochat describe` without `--grid` on a server.

    Raises:
        GeoChatError: An option is wrong, or the server refuses.
    """
    _require_taken(args, url, _DESCRIBE)
    view = _view(args)
    with _client(args, url) as client:
        classes = client.server()["scene_classes"] if args.classes is None else values.class_names(args.classes)
        caption = client.describe(scene, **view)
        answers: dict[str, Any] = {"caption": caption.plain_text or None}
        if classes:
            answers |= _classified(client.classify(scene, classes, **view))
        for words in args.ask:
            from geochat.find.survey import column_name  # slow to import

            answers[column_name(words)] = client.ask(scene, words, **view).plain_text or None
    if args.json:
        output.print_json({"window": caption.values["image"]["window"], **answers}, indent=None)
    else:
        print("\n".join(f"{name}: {value}" for name, value in answers.items() if isinstance(value, str)))
    return 0


def find(args: argparse.Namespace, url: str, scene: str, phrases: Sequence[str]) -> int:
    """Run `geochat find` on a server; exit status 1 if windows failed.

    Raises:
        GeoChatError: An option is wrong, the server refuses, or a result cannot be written.
    """
    from geochat.cli import scenes

    _require_taken(args, url, _FIND | {"output", "format", "phrase", "words"})
    if args.window is not None and not isinstance(args.window, int):
        raise SettingsError(f"--window {args.window} has two sides, which a server does not take; give one")
    if args.output:
        scenes.check_outputs(args)
    scales, whole = args.scales
    fields = {**_view(args), "overlap": args.overlap, "scales": list(scales), "whole": whole}
    fields |= {"min_score": args.min_score, "limit": args.limit, "area": _area(args)}
    bar = scenes.ProgressBar()
    with _client(args, url) as client:
        search = client.find(scene, phrases, on_progress=bar.show, **fields)
        try:
            search.wait()
        except KeyboardInterrupt:
            search.cancel()
            raise
        finally:
            bar.close()
        objects = search.objects()
        if args.json:
            for found in objects:
                output.print_json(found, indent=None)
        else:
            counts = Counter(found["phrase"] for found in objects)
            print("\n".join(f"{phrase}: {counts[phrase]}" for phrase in dict.fromkeys(phrases)))
        if args.min_score is None and search.left_out:
            output.note(IMPROBABLE.format(search.left_out))
        for path in args.output:
            output.note(f"wrote {search.save(path, args.format)}")
        failed = search.progress.failed
        if failed:
            output.note(f"{failed} window{'s' if failed > 1 else ''} could not be looked at")
        search.delete()
    return 1 if failed else 0


def _ask_one(args: argparse.Namespace, client: "Client", image: "ImageName", words: str, fields: dict[str, Any]) -> int:
    writes_files = any((args.overlay, args.geojson, args.geopackage, args.table))
    if writes_files:
        from geochat.cli import results  # slow to import

        results.check_targets(args)
    stream = client.stream(image, words, **fields)
    if args.json:
        output.print_json(stream.wait().to_dict())
    else:

        def whole() -> dict[str, Any]:
            return stream.answer.to_dict()

        text.print_words(stream, stream.notices, whole)
    if writes_files:
        results.write_files(stream.answer, args, image)
    return 0


def _answers(
    client: "Client", images: Sequence["ImageName"], words: str, fields: dict[str, Any]
) -> "Iterator[Answered]":
    """Ask about several images, a few at a time."""
    with ThreadPoolExecutor(_TOGETHER) as pool:
        try:
            asked = {pool.submit(client.ask, image, words, **fields): place for place, image in enumerate(images)}
            for done in as_completed(asked):
                error = done.exception()
                if error is not None and not isinstance(error, GeoChatError):
                    raise error
                yield asked[done], done.result() if error is None else error
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _classified(answer: "RemoteAnswer") -> dict[str, Any]:
    chosen = (choice["probability"] for choice in answer.values["choices"] if choice["text"] == answer.choice)
    probability = next(chosen, None)
    rounded = None if probability is None else round(probability, 6)
    return {"scene": answer.plain_text or None, "scene_probability": rounded}


def _client(args: argparse.Namespace, url: str) -> "Client":
    from geochat.client import Client

    return Client(url) if args.timeout is None else Client(url, timeout=args.timeout)


def _view(args: argparse.Namespace) -> dict[str, Any]:
    """Return the given options of a view."""
    given = {"window": args.window, "bands": args.bands, "page": args.page, "stretch": args.stretch or None}
    return {name: value for name, value in given.items() if value is not None}


def _area(args: argparse.Namespace) -> dict[str, Any] | None:
    """Return the GeoJSON of `--aoi`.

    Raises:
        RegionError: The file is another one, or cannot be read.
    """
    if args.aoi is None:
        return None
    try:
        area = json.loads(args.aoi.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise RegionError(f"{args.aoi} is no GeoJSON, which alone a server takes ({error}); convert it") from error
    if not isinstance(area, dict):
        raise RegionError(f"{args.aoi} is no GeoJSON object; give a geometry, a feature or a collection")
    return area


def _require_taken(args: argparse.Namespace, url: str, taken: set[str]) -> None:
    """Check that a server supports every given option.

    Raises:
        SettingsError: One is not.
    """
    for action in args.parser._actions:  # argparse names its actions nowhere else
        name = action.dest
        if action.option_strings and name not in taken | _ALWAYS and getattr(args, name) != action.default:
            raise SettingsError(
                f"{action.option_strings[-1]} is not an option of a question to a server, which {url} is asked as; "
                "leave it out, or load a model here with --server ''"
            )
