"""Actions on a training file: `geochat data check`, `show`, `stats` and `index`."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from geochat.cli import output
from geochat.cli.options import add_dialect_option, dialect_of
from geochat_data.commands import options

if TYPE_CHECKING:
    from collections.abc import Callable

    from PIL import Image

    from geochat_data.samples import Sample

_SHOWN = 5  # places of each finding
_FOR = "the model FILE was built for"


class Check:
    """`geochat data check`: find errors in a training file."""

    @staticmethod
    def add_arguments(parser: argparse.ArgumentParser) -> None:
        """Declare the arguments."""
        parser.description = (
            "Check every sample: its form, its image, its regions, duplicates and, with --against, whether its image "
            "is also in another split. Exit status 1 if something is found."
        )
        _add_file(parser)
        _add_images(parser)
        add_dialect_option(parser, _FOR)
        parser.add_argument(
            "--against", metavar="PATH", type=Path, help="another split: its folder of images or its file of samples"
        )
        parser.add_argument(
            "--against-images", metavar="DIR", type=Path, help="folder of images of --against, if that is a file"
        )
        parser.add_argument("--json", action="store_true", help="print one JSON object instead of text")

    @staticmethod
    def run(args: argparse.Namespace) -> int:
        """Check and print the findings."""
        from geochat.errors import SettingsError
        from geochat_data.checking import check_leakage, check_samples, image_paths

        if args.against and not args.images:
            raise SettingsError("--against compares images; name the folder of this file's images with --images")
        report, files = check_samples(args.file, args.images, dialect_of(args))
        if args.against:
            check_leakage(files.values(), image_paths(args.against, args.against_images), report)
        if args.json:
            output.print_json(report.to_dict())
            return 1 if report.skipped else 0
        print(f"{report.used} samples read, {len(files)} images opened, {report.skipped} findings")
        for reason, count in report.reasons.most_common():
            print(f"\n{count} x {reason}")
            for place in report.places[reason][:_SHOWN]:
                print(f"  {place}")
        return 1 if report.skipped else 0


class Show:
    """`geochat data show`: draw samples with their boxes."""

    @staticmethod
    def add_arguments(parser: argparse.ArgumentParser) -> None:
        """Declare the arguments."""
        parser.description = (
            "Draw a contact sheet: boxes of answers green, of questions yellow, the turns below each image."
        )
        _add_file(parser)
        _add_images(parser)
        add_dialect_option(parser, _FOR)
        parser.add_argument(
            "--out", metavar="FILE", type=Path, default=Path("samples.png"), help="(default: samples.png)"
        )
        parser.add_argument(
            "--count", metavar="N", type=options.positive, default=25, help="number of samples (default: 25)"
        )
        parser.add_argument("--seed", metavar="N", type=int, help="draw samples at random (default: the first ones)")

    @staticmethod
    def run(args: argparse.Namespace) -> int:
        """Choose, draw and write."""
        import random
        from itertools import islice

        from geochat_data.inspection import contact_sheet
        from geochat_data.samples import read_samples

        dialect = dialect_of(args)
        samples = list(islice(read_samples(args.file), args.count if args.seed is None else None))
        if args.seed is not None:
            samples = random.Random(args.seed).sample(samples, min(args.count, len(samples)))
        _save(contact_sheet(samples, args.images or args.file.parent, dialect), args.out, "choose another --out")
        print(f"wrote {args.out}")
        return 0


class Stats:
    """`geochat data stats`: count the contents of a training file."""

    @staticmethod
    def add_arguments(parser: argparse.ArgumentParser) -> None:
        """Declare the arguments."""
        parser.description = "Count kinds of questions, turns, answers, boxes, angles and sizes."
        _add_file(parser)
        add_dialect_option(parser, _FOR)
        parser.add_argument("--plots", metavar="FILE", type=Path, help="draw the counts as bar charts (.png)")
        parser.add_argument("--json", action="store_true", help="print one JSON object instead of text")

    @staticmethod
    def run(args: argparse.Namespace) -> int:
        """Count, print and draw."""
        from geochat.progress import counted
        from geochat_data.inspection import bar_charts, statistics
        from geochat_data.samples import read_samples

        charts = statistics(counted(read_samples(args.file), "samples"), dialect_of(args))
        if args.json:
            output.print_json(charts)
        else:
            for title, bars in charts.items():
                print(f"{title}: {', '.join(f'{name} {count:,}' for name, count in bars.items()) or 'none'}")
        if args.plots:
            _save(bar_charts(charts), args.plots, "choose another name")
        return 0


class Index:
    """`geochat data index`: index a training file for random access."""

    @staticmethod
    def add_arguments(parser: argparse.ArgumentParser) -> None:
        """Declare the arguments."""
        parser.description = (
            "Index samples to an Arrow file: random access from disk, and lengths to group by. With --model, lengths "
            "are counted in its tokens, and samples too long for it are left out and reported; without, estimated."
        )
        _add_file(parser)
        parser.add_argument("--out", metavar="FILE", type=Path, help="(default: FILE with the ending .arrow)")
        parser.add_argument("--strict", action="store_true", help="stop at the first sample that cannot be used")
        parser.add_argument("--model", metavar="MODEL", help="checkpoint whose tokens are counted")
        parser.add_argument(
            "--max-length", metavar="N", type=options.positive, help="longest sample (default: the model's context)"
        )

    @staticmethod
    def run(args: argparse.Namespace) -> int:
        """Index the file, and report skipped samples."""
        from geochat.progress import counted
        from geochat_data.index import estimated_length, write_index
        from geochat_data.readers import Report
        from geochat_data.samples import read_samples

        report, target = Report(strict=args.strict), args.out or args.file.with_suffix(".arrow")
        length = _token_length(args) if args.model else estimated_length
        count = write_index(target, counted(read_samples(args.file, report), "samples"), length, report)
        output.note(str(report))
        print(f"wrote {target}: {count} samples")
        return 0


def _add_file(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", type=Path, help="samples, .json or .jsonl")


def _add_images(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--images", metavar="DIR", type=Path, help="folder that the file's image paths are relative to")


def _token_length(args: argparse.Namespace) -> "Callable[[Sample], int]":
    from geochat.checkpoints import load
    from geochat_data.encoding import encode_sample

    checkpoint = load(args.model, device="cpu")
    limit = args.max_length or checkpoint.model.config.get_text_config().max_position_embeddings
    return lambda sample: len(encode_sample(sample, checkpoint.processor, limit).input_ids)


def _save(picture: "Image.Image", path: Path, remedy: str) -> None:
    from geochat.errors import ExportError

    try:
        picture.save(path)
    except (OSError, ValueError) as error:
        raise ExportError(f"{path} cannot be written: {error}; {remedy}, .png or .jpg") from error
