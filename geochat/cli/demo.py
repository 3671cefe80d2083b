"""`geochat demo`: ask about the bundled scenes."""

import argparse
import json
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

from geochat.cli import options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.description = (
        "Ask the model several questions about sample scenes, print the answers, and write an overlay and a GeoJSON "
        "file for each answer with regions."
    )
    parser.add_argument(
        "--out",
        metavar="DIR",
        type=Path,
        default=Path("geochat-demo"),
        help="output folder, created if missing (default: geochat-demo)",
    )
    options.add_model_options(parser)


def run(args: argparse.Namespace) -> int:
    """Ask every question about every sample."""
    from geochat.cli.text import print_stream
    from geochat.imagery import open_image

    samples = _samples()
    folder = _folder(args.out)
    chat = options.load_model(args)
    for sample in samples:
        with as_file(files("geochat") / "samples" / sample["file"]) as path:
            image = open_image(path)
            print(f"{sample['title']} ({path})")
            for number, entry in enumerate(sample["questions"], 1):
                regions = [entry["region"]] if "region" in entry else []
                # Each question stands alone, as the tasks do in training.
                stream = chat.stream(image, entry["question"], regions=regions, task=entry.get("task"))
                print("\n> " + stream.prompt.replace("\n", "\n> "))
                answer = print_stream(stream)
                if answer.regions:
                    stem = folder / f"{path.stem}-{number}"
                    print(f"wrote {answer.save_overlay(stem.with_suffix('.png'))}")
                    print(f"wrote {answer.save_geojson(stem.with_suffix('.geojson'))}")
    return 0


def _samples() -> list[dict[str, Any]]:
    from geochat.errors import DataError

    manifest = files("geochat") / "samples" / "samples.json"
    if not manifest.is_file():
        raise DataError("this installation has no sample scenes (geochat/samples/samples.json); reinstall geochat")
    samples = json.loads(manifest.read_text(encoding="utf-8"))
    return samples if isinstance(samples, list) else [samples]


def _folder(path: Path) -> Path:
    from geochat.errors import ExportError

    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ExportError(f"the folder {path} cannot be created: {error.strerror}; choose another --out") from error
    return path
