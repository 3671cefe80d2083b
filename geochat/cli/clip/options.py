"""Arguments that the actions, and the training of prompts, share."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from geochat.errors import CheckpointError, ImageError
from geochat.files import is_folder

if TYPE_CHECKING:
    from geochat.clip import DualEncoder

_ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".jp2")


_MODEL = "CLIP or SigLIP directory or hub id, or a weights file in open_clip's format"


def add_encoder_options(parser: argparse.ArgumentParser, *, required: bool = False) -> None:
    """Which dual encoder is loaded, and how; `load_encoder` reads it. A `required` one is an argument by place."""
    group = parser.add_argument_group("model")
    if required:
        parser.add_argument("model", metavar="MODEL", help=_MODEL)
    else:
        group.add_argument("--model", metavar="MODEL", help=f"{_MODEL} (default: the bundled one)")
    group.add_argument(
        "--activation",
        choices=("gelu", "quick_gelu"),
        help="of an open_clip file, which does not say it: gelu for RemoteCLIP, quick_gelu for OpenAI's and GeoRSCLIP",
    )
    group.add_argument("--tokenizer", metavar="PATH", help="directory, hub id or list of merges, where MODEL has none")
    group.add_argument("--device", metavar="NAME", help="such as cpu or cuda:1 (default: the best there is)")
    group.add_argument("--dtype", metavar="NAME", help="float32, bfloat16 or float16 (default: float32)")
    group.add_argument(
        "--allow-download",
        action="store_true",
        help="let CLIP's tokenizer be fetched from the hub, where a weights file comes without",
    )


def load_encoder(args: argparse.Namespace) -> "DualEncoder":
    """The encoder that `add_encoder_options` lets name."""
    from geochat.clip import DualEncoder

    return DualEncoder.from_pretrained(
        args.model,
        device=args.device,
        dtype=args.dtype,
        tokenizer=args.tokenizer,
        activation=args.activation,
        allow_download=args.allow_download,
    )


def check_encoder(model: str | None) -> None:
    """Check what can be known of a dual encoder from its name, before torch is imported.

    Raises:
        CheckpointError: There is no such file or directory, or the directory has no config.
    """
    from geochat.models.finding import find_local

    if model is None or Path(model).is_file():
        return
    folder = find_local(model)
    if folder is not None and not (folder / "config.json").is_file():
        raise CheckpointError(f"{folder} holds no config.json; it is not a checkpoint")


def check_prompts(file: Path | None) -> None:
    """Check that learned prompts are there, before torch is imported.

    Raises:
        CheckpointError: There is no such file.
    """
    if file is not None and not file.is_file():
        raise CheckpointError(f"there is no file {file}; name the .safetensors file that `geochat train` wrote")


def image_files(paths: list[Path]) -> list[Path]:
    """The files, and the images below the folders, by name.

    Raises:
        ImageError: A folder holds no image.
    """
    files: list[Path] = []
    for path in paths:
        if not is_folder(path):
            files.append(path)
            continue
        found = sorted(file for file in path.rglob("*") if file.suffix.lower() in _ENDINGS and file.is_file())
        if not found:
            raise ImageError(f"the folder {path} holds no image ({', '.join(_ENDINGS)}); name another")
        files += found
    return files
