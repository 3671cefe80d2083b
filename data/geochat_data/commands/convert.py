"""`geochat data convert`: a training file in another model's dialect."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from geochat.cli import output

if TYPE_CHECKING:
    from geochat.dialects import Dialect


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.description = (
        "Rewrite the boxes, marks and task tokens of a training file for another model; words stay as they are. What "
        "cannot be read or written is kept and reported on standard error."
    )
    parser.add_argument("file", metavar="FILE", type=Path, help="samples, .json or .jsonl")
    for option, what in (("--from", "FILE is in"), ("--to", "to write")):
        parser.add_argument(
            option,
            metavar="DIALECT",
            dest=f"{option.strip('-')}_dialect",
            required=True,
            help=f"dialect {what}: its name, such as geochat or qwen2.5-vl, or a checkpoint folder",
        )
    parser.add_argument("--out", metavar="FILE", type=Path, required=True, help="the file to write, .json or .jsonl")
    parser.add_argument(
        "--images", metavar="DIR", type=Path, help="folder the image paths are relative to, to know the images' sizes"
    )
    add_form(parser)
    parser.add_argument("--strict", action="store_true", help="stop at a sample that cannot be converted")


def add_form(parser: "argparse._ActionsContainer") -> None:
    """Declare `--form`."""
    from geochat_data.trainer_forms import FORMS

    parser.add_argument(
        "--form",
        choices=FORMS,
        default="conversations",
        help="layout of rows: GeoChat_Instruct's, or that of ms-swift (with the model's own text, or with its neutral "
        "objects), LLaMA-Factory or TRL (default: %(default)s)",
    )


def run(args: argparse.Namespace) -> int:
    """Convert the file and report."""
    from geochat.errors import SettingsError
    from geochat_data.dialect_conversion import convert_samples
    from geochat_data.readers import Report
    from geochat_data.samples import check_ending, read_samples
    from geochat_data.trainer_forms import TrainerForm

    check_ending(args.out)
    if args.out.resolve() == args.file.resolve():
        raise SettingsError(f"--out {args.out} is the file that is read; choose another name")
    source, target = _dialect(args.from_dialect), _dialect(args.to_dialect)
    report = Report(strict=args.strict)
    samples = convert_samples(read_samples(args.file, report), source, target, args.images, report)
    form = TrainerForm(args.form, target, args.images or args.file.parent)
    written = form.write(args.out, samples)
    output.note(f"{report}; {written} samples written to {args.out} in {target.name}")
    return 0


def _dialect(named: str) -> "Dialect":
    """Return the dialect of a name, or of the checkpoint in a folder.

    Raises:
        SettingsError: It is neither.
    """
    from geochat.dialects import find_dialect
    from geochat.models.reading import read_dialect

    return read_dialect(named) if Path(named).is_dir() else find_dialect(named)
