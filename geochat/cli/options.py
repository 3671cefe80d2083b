"""Arguments that several commands share, and what is made of them."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from geochat.cli import values
from geochat.errors import SettingsError

if TYPE_CHECKING:
    from geochat.engines import GenerationSettings
    from geochat.imagery import GeoImage

TASKS = ("auto", "describe", "chat", "scene", "vqa", "caption", "identify", "refer", "grounding")
"""The names in `geochat.prompts.TASK_NAMES`, which is not imported for help; "auto" goes by the question."""


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """What is loaded, and how; `geochat.cli.output.load` reads it."""
    group = parser.add_argument_group("model")
    group.add_argument("--model", metavar="MODEL", help="checkpoint directory or hub id (default: the bundled model)")
    group.add_argument("--base", metavar="MODEL", help="what MODEL adapts, where it is an adapter")
    group.add_argument("--device", metavar="NAME", help="such as cpu or cuda:1 (default: the best there is)")
    group.add_argument("--dtype", metavar="NAME", help="float32, bfloat16 or float16 (default: the device's usual one)")
    group.add_argument("--quantization", choices=("4bit", "8bit"), help="load the language model in fewer bits")
    add_download_option(group)


def add_download_option(parser: "argparse._ActionsContainer") -> None:
    """Whether the network may be asked for what a local folder names."""
    parser.add_argument(
        "--allow-download",
        action="store_true",
        help="let a local folder's base or vision tower be fetched from the hub, where the folder names one",
    )


def add_view_options(parser: argparse.ArgumentParser) -> "argparse._ArgumentGroup":
    """Which part of an image is looked at, and how its bands become a picture; `open_view` reads it."""
    group = parser.add_argument_group("what is looked at")
    group.add_argument("--window", metavar="col,row,width,height", type=values.window, help="look at this part only")
    group.add_argument("--page", metavar="N", type=int, default=1, help="of a TIFF of several images (default: 1)")
    group.add_argument(
        "--bands",
        metavar="r,g,b",
        type=values.bands,
        default="auto",
        help="band numbers from 1, or rgb, nir, swir, or as landsat8:nir",
    )
    group.add_argument(
        "--stretch",
        metavar="HOW",
        type=values.stretch,
        default={},
        help="band values to brightness: auto, none, percentile, percentile:1,99, or the values low,high",
    )
    return group


def add_generation_options(parser: argparse.ArgumentParser) -> None:
    """How answers are written; `generation` reads it."""
    group = parser.add_argument_group("how it is answered")
    group.add_argument("--max-new-tokens", metavar="N", type=int, default=512, help="answer budget (default: 512)")
    group.add_argument(
        "--temperature", metavar="T", type=float, default=0.0, help="above 0 draws words at random (default: 0)"
    )
    group.add_argument(
        "--top-p", metavar="P", type=float, default=1.0, help="draw among the likeliest words that hold P (default: 1)"
    )
    group.add_argument("--seed", metavar="N", type=int, help="make drawing repeatable")
    group.add_argument(
        "--stop", metavar="TEXT", action="append", default=[], help="end the answer before TEXT; may be repeated"
    )


def open_view(args: argparse.Namespace, image: Path) -> "GeoImage":
    """Open an image as a command's `add_view_options` say.

    Raises:
        ImageError: The image cannot be read, or has no such page, window or bands.
        SettingsError: The stretch is impossible.
    """
    from geochat.imagery import Stretch, open_image

    return open_image(image, bands=args.bands, window=args.window, stretch=Stretch(**args.stretch), page=args.page)


def generation(args: argparse.Namespace) -> "GenerationSettings":
    """The settings of a command that has `add_generation_options`.

    Raises:
        SettingsError: A value is impossible.
    """
    from geochat.engines import GenerationSettings

    return GenerationSettings(
        args.max_new_tokens, args.temperature, top_p=args.top_p, seed=args.seed, stop=tuple(args.stop)
    )


def class_names(text: str) -> tuple[str, ...]:
    """Names separated by commas, or those of a .txt file, one a line.

    Raises:
        SettingsError: The file cannot be read.
    """
    if not text.endswith(".txt"):
        return tuple(name.strip() for name in text.split(",") if name.strip())
    try:
        lines = Path(text).read_text(encoding="utf-8-sig").splitlines()
    except (OSError, ValueError) as error:
        raise SettingsError(f"the file of classes {text} cannot be read ({error}); write a name a line") from error
    return tuple(line.strip() for line in lines if line.strip())
