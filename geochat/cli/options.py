"""Options shared by several commands, and the objects built from them. Imports nothing heavy.

Each `add_..._options` declares a group; the function it names reads the group from the parsed arguments.
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from geochat.cli import engines, values
from geochat.errors import CheckpointError

if TYPE_CHECKING:
    from geochat.chat import GeoChat
    from geochat.cli.images import ImageName
    from geochat.clip import DualEncoder
    from geochat.dialects import Dialect
    from geochat.engines import GenerationSettings
    from geochat.imagery import GeoImage

TASKS = ("auto", "describe", "chat", "scene", "vqa", "caption", "identify", "refer", "grounding")
"""The names in `geochat.prompts.TASK_NAMES`, which is not imported for help; "auto" goes by the question."""

MODEL_HELP = "checkpoint directory, hub id or a name of `geochat info --bundled` (default: the first of these)"

_ENCODER = "CLIP or SigLIP directory or hub id, or a weights file in open_clip's format"


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """Declare the model and how it is loaded; `load_model` reads them."""
    group = parser.add_argument_group("model")
    group.add_argument("--model", metavar="MODEL", help=MODEL_HELP)
    group.add_argument("--base", metavar="MODEL", help="base of MODEL, where MODEL is an adapter")
    group.add_argument("--device", metavar="NAME", help="such as cpu or cuda:1 (default: the best available)")
    group.add_argument("--dtype", metavar="NAME", help="float32, bfloat16 or float16 (default: by device)")
    group.add_argument("--quantization", choices=("4bit", "8bit"), help="load the language model in fewer bits")
    add_download_option(group)
    engines.add_engine_options(parser)


def add_download_option(parser: "argparse._ActionsContainer") -> None:
    """Declare `--allow-download`: fetch what a local folder names from the hub."""
    parser.add_argument(
        "--allow-download",
        action="store_true",
        help="fetch from the hub the base or vision tower that a local folder names",
    )


def load_model(args: argparse.Namespace) -> "GeoChat":
    """Open the engine of `add_model_options` with its model.

    Raises:
        GeoChatError: It cannot be loaded; errors in its names and small files come before torch is imported.
    """
    return engines.open_chat(args)


def add_encoder_options(parser: argparse.ArgumentParser, *, required: bool = False) -> None:
    """Declare a dual encoder and how it is loaded; `load_encoder` reads them. A `required` one is positional."""
    group = parser.add_argument_group("model")
    if required:
        parser.add_argument("model", metavar="MODEL", help=_ENCODER)
    else:
        group.add_argument("--model", metavar="MODEL", help=f"{_ENCODER} (default: the bundled one)")
    group.add_argument(
        "--activation",
        choices=("gelu", "quick_gelu"),
        help="activation of an open_clip file, which does not record it: gelu for RemoteCLIP, quick_gelu for OpenAI's "
        "and GeoRSCLIP",
    )
    group.add_argument("--tokenizer", metavar="PATH", help="directory, hub id or list of merges, if MODEL has none")
    group.add_argument("--device", metavar="NAME", help="such as cpu or cuda:1 (default: the best available)")
    group.add_argument("--dtype", metavar="NAME", help="float32, bfloat16 or float16 (default: float32)")
    group.add_argument(
        "--allow-download",
        action="store_true",
        help="fetch CLIP's tokenizer from the hub for a weights file without one",
    )


def check_encoder(model: str | None) -> None:
    """Check the name of a dual encoder before torch is imported.

    Raises:
        CheckpointError: There is no such file or directory, or the directory has no config.
    """
    from geochat.models.finding import find_local

    if model is None or Path(model).is_file():
        return
    folder = find_local(model)
    if folder is not None and not (folder / "config.json").is_file():
        raise CheckpointError(f"{folder} holds no config.json; it is not a checkpoint")


def load_encoder(args: argparse.Namespace) -> "DualEncoder":
    """Load the dual encoder of `add_encoder_options`."""
    from geochat.clip import DualEncoder

    return DualEncoder.from_pretrained(
        args.model,
        device=args.device,
        dtype=args.dtype,
        tokenizer=args.tokenizer,
        activation=args.activation,
        allow_download=args.allow_download,
    )


def add_view_options(parser: argparse.ArgumentParser) -> "argparse._ArgumentGroup":
    """Declare the part of an image that is read and its rendering; `open_view` reads them."""
    group = parser.add_argument_group("view of the image")
    group.add_argument("--window", metavar="col,row,width,height", type=values.window, help="read this part only")
    add_source_options(group)
    add_colour_options(
        group, "band values to brightness: auto, none, percentile, percentile:1,99, or the values low,high"
    )
    return group


def add_colour_options(group: "argparse._ArgumentGroup", stretch: str) -> None:
    """Declare the bands and their stretch, whose help is `stretch`."""
    group.add_argument(
        "--bands",
        metavar="r,g,b",
        type=values.bands,
        default="auto",
        help="band numbers from 1, or rgb, nir, swir, or as landsat8:nir",
    )
    group.add_argument("--stretch", metavar="HOW", type=values.stretch, default={}, help=stretch)


def add_source_options(group: "argparse._ArgumentGroup") -> None:
    """Declare the selection among several images of a file or a STAC item."""
    group.add_argument("--page", metavar="N", type=int, default=1, help="page of a multi-page TIFF (default: 1)")
    group.add_argument("--asset", metavar="NAME", help='asset of a STAC item (default: its only image, or "visual")')


def open_view(args: argparse.Namespace, image: "ImageName") -> "GeoImage":
    """Open an image with the options of `add_view_options`.

    Raises:
        ImageError: The image cannot be read, or has no such page, window or bands.
        SettingsError: The stretch is impossible.
    """
    from geochat.imagery import Stretch, open_image

    return open_image(
        image,
        bands=args.bands,
        window=args.window,
        stretch=Stretch(**args.stretch),
        page=args.page,
        asset=args.asset,
    )


def add_generation_options(parser: argparse.ArgumentParser) -> None:
    """Declare the decoding of answers; `generation` reads it."""
    group = parser.add_argument_group("generation")
    group.add_argument("--max-new-tokens", metavar="N", type=int, default=512, help="token budget (default: 512)")
    group.add_argument(
        "--temperature", metavar="T", type=float, default=0.0, help="sampling temperature; 0 is greedy (default: 0)"
    )
    group.add_argument(
        "--top-p",
        metavar="P",
        type=float,
        default=1.0,
        help="nucleus sampling: tokens of total probability P (default: 1)",
    )
    group.add_argument("--seed", metavar="N", type=int, help="make sampling repeatable")
    group.add_argument(
        "--stop", metavar="TEXT", action="append", default=[], help="end the answer before TEXT; may be repeated"
    )


def generation(args: argparse.Namespace) -> "GenerationSettings":
    """Return the settings of `add_generation_options`.

    Raises:
        SettingsError: A value is impossible.
    """
    from geochat.engines import GenerationSettings

    return GenerationSettings(
        args.max_new_tokens, args.temperature, top_p=args.top_p, seed=args.seed, stop=tuple(args.stop)
    )


def add_dialect_option(
    group: "argparse._ActionsContainer",
    what: str,
    default: str = "the published GeoChat",
    option: str = "--for",
    *,
    named: bool = True,
) -> None:
    """Declare `--for MODEL` and `--dialect NAME`, for commands without a model.

    `stated_dialect` and `dialect_of` read them.

    Args:
        group: A parser or a group of options.
        what: The model in words, in the help: "the model FILE was built for".
        default: The model whose dialect is taken without the option.
        option: Another name, where a command has two.
        named: False where the command has `--dialect` among its model's options.
    """
    group.add_argument(
        option,
        metavar="MODEL",
        dest=_attribute(option),
        help=f"{what}, a checkpoint folder or geochat-mini: boxes have its angles and its frame (default: {default})",
    )
    if named:
        name = option.replace("--for", "--dialect")
        group.add_argument(name, metavar="NAME", help="the same by the name of its dialect, such as qwen2.5-vl")


def stated_dialect(args: argparse.Namespace, option: str = "--for") -> "Dialect | None":
    """Return the dialect of `--dialect` or `--for`; None without both.

    Raises:
        CheckpointError: There is no such checkpoint, or its settings are damaged.
        SettingsError: There is no such dialect, or both are given.
    """
    from geochat.dialects import find_dialect
    from geochat.errors import SettingsError
    from geochat.models.reading import read_dialect

    named = option.replace("--for", "--dialect")
    model, name = getattr(args, _attribute(option)), getattr(args, named.strip("-").replace("-", "_"))
    if model is not None and name is not None:
        raise SettingsError(f"{option} {model} and {named} {name} both say how boxes are written; leave one out")
    if name is not None:
        return find_dialect(name)
    return None if model is None else read_dialect(model)


def dialect_of(args: argparse.Namespace) -> "Dialect":
    """Return the dialect of `--dialect` or `--for`; the published GeoChat's without both.

    Raises:
        CheckpointError: There is no such checkpoint, or its settings are damaged.
        SettingsError: There is no such dialect, or both are given.
    """
    from geochat.dialects import GEOCHAT

    return stated_dialect(args) or GEOCHAT


def _attribute(option: str) -> str:
    return f"{option.strip('-').replace('-', '_')}_model"  # `for` alone is a word of Python
