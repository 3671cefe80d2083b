"""Actions that make data: `geochat data build` and `geochat data render`."""

import argparse
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from geochat.cli import output
from geochat.cli.options import add_dialect_option, dialect_of
from geochat_data.commands import options
from geochat_data.commands.convert import add_form
from geochat_data.registry import READERS

if TYPE_CHECKING:
    from geochat_data.readers import Report
    from geochat_data.records import LabelledImage
    from geochat_data.samples import Sample


class Build:
    """`geochat data build`: labelled imagery to a training file."""

    @staticmethod
    def add_arguments(parser: argparse.ArgumentParser) -> None:
        """Declare the arguments."""
        parser.description = (
            "Build grounded conversations from labelled imagery. Skipped images and labels are reported on standard "
            "error."
        )
        parser.add_argument("format", metavar="FORMAT", choices=READERS, help="one of %(choices)s")
        parser.add_argument("source", metavar="PATH", type=Path, help="label file or folder of the data set")
        parser.add_argument(
            "--out", metavar="FILE", type=Path, required=True, help=".json as GeoChat_Instruct, or .jsonl"
        )
        parser.add_argument("--images", metavar="PATH", type=Path, help="folder of images; for geo the raster")
        parser.add_argument(
            "--image-root",
            metavar="DIR",
            type=Path,
            help="folder that the file's image paths are relative to (default: the data set's; FILE_images where "
            "images are written, for geo, --tile, --around and --views)",
        )
        add_dialect_option(parser, "the model to be trained on FILE")
        add_form(parser)
        _add_label_options(parser.add_argument_group("labels"))
        _add_question_options(parser.add_argument_group("questions"))

    @staticmethod
    def run(args: argparse.Namespace) -> int:
        """Read the labels, build the questions and write the file, which is locked in the meantime."""
        from geochat.errors import SettingsError
        from geochat.files import locked
        from geochat_data.readers import Report
        from geochat_data.samples import check_ending

        check_ending(args.out)
        if args.report and not args.report.parent.is_dir():
            folder = args.report.parent
            raise SettingsError(f"{args.report} cannot be written: there is no folder {folder}; create it first")
        report = Report(strict=args.strict)
        try:
            with locked(args.out, what="geochat data build"):
                written = _build(args, report)
        finally:
            if args.report:
                _write_report(args.report, report)
        root = _image_root(args)
        output.note(f"{report}; {written} samples written to {args.out}, image paths relative to {root}")
        return 0


class Render:
    """`geochat data render`: synthetic aerial scenes with exact labels."""

    @staticmethod
    def add_arguments(parser: argparse.ArgumentParser) -> None:
        """Declare the arguments."""
        parser.description = (
            "Draw aerial scenes with exact oriented boxes, as PNG files beside a boxes.jsonl that "
            "`geochat data build boxes` reads. The same numbers give the same scenes."
        )
        parser.add_argument("out", metavar="DIR", type=Path, help="folder to write to, created if missing")
        parser.add_argument(
            "--count", metavar="N", type=options.positive, default=100, help="number of scenes (default: 100)"
        )
        parser.add_argument(
            "--size", metavar="N", type=options.positive, default=288, help="side in pixels (default: 288)"
        )
        parser.add_argument(
            "--seed", metavar="N", type=options.number, default=0, help="number of the first scene (default: 0)"
        )
        parser.add_argument("--kind", metavar="NAME", help="airport, junction, solar farm, ... (default: all)")

    @staticmethod
    def run(args: argparse.Namespace) -> int:
        """Draw and write the scenes."""
        from geochat.files import locked
        from geochat.progress import counted
        from geochat_data.readers.boxes import write_boxes
        from geochat_data.synthetic import render_scene

        seeds = range(args.seed, args.seed + args.count)
        scenes = (render_scene(seed, args.size, args.kind) for seed in seeds)
        if not args.out.parent.is_dir():
            args.out.parent.mkdir(parents=True)
        with locked(args.out, what="geochat data render"):
            count = write_boxes(args.out, counted(scenes, "scenes", args.count))
        print(f"wrote {args.out / 'boxes.jsonl'}: {count} scenes")
        return 0


def _add_label_options(group: "argparse._ArgumentGroup") -> None:
    group.add_argument("--split", metavar="NAME", help="split to read if the data set has several (default: train)")
    group.add_argument("--strict", action="store_true", help="stop at the first thing that cannot be used")
    group.add_argument("--report", metavar="FILE", type=Path, help="write what was left out, and where, as JSON")
    group.add_argument(
        "--incomplete", action="store_true", help="not every object is labelled: do not ask for counts or absence"
    )
    group.add_argument(
        "--window", metavar="N", type=options.positive, default=512, help="side of geo's windows (default: 512)"
    )
    group.add_argument(
        "--tile", metavar="N", type=options.positive, help="cut images with longer sides into windows of about N pixels"
    )
    group.add_argument(
        "--around",
        metavar="N",
        type=options.positive,
        help="cut a window of N pixels around each object, or each of --holding's categories, instead of the image",
    )
    group.add_argument(
        "--holding", metavar="A,B,C", type=options.names, help="only images, or windows, with one of these categories"
    )
    group.add_argument(
        "--views",
        metavar="N",
        type=options.positive,
        help="add N views of each image: rotated by 90 degrees, mirrored, cropped, recoloured",
    )
    group.add_argument("--column", metavar="NAME", help="geo's attribute with the category")
    group.add_argument(
        "--names",
        metavar="N=NAME,...",
        help="names of categories that are numbers, such as 3=ship,5=car, or a file: data.yaml, classes.txt, JSON",
    )


def _add_question_options(group: "argparse._ArgumentGroup") -> None:
    group.add_argument(
        "--questions", metavar="MIN-MAX", type=options.extent, default=(6, 10), help="an image (default: 6-10)"
    )
    group.add_argument(
        "--kinds",
        metavar="KIND=SHARE,...",
        type=options.shares,
        help="only these kinds of question, such as identify=3,count=1 (default: all; see docs/data.md)",
    )
    group.add_argument("--packed", action="store_true", help="one sample per image, its questions as turns")
    group.add_argument(
        "--dialogues", metavar="SHARE", type=float, default=0.2, help="share of images with a dialogue (default: 0.2)"
    )
    group.add_argument("--held-out", action="store_true", help="only wordings that training never uses")
    group.add_argument("--scenes", metavar="A,B,C", type=options.names, default=(), help="scene classes to choose from")
    group.add_argument("--seed", metavar="N", type=int, default=0)


def _build(args: argparse.Namespace, report: "Report") -> int:
    """Write the samples; returns their number."""
    from geochat.progress import counted
    from geochat_data.building import BuildSettings, build_samples
    from geochat_data.questions import FULL_SHARES
    from geochat_data.readers import DataSource, class_names, read
    from geochat_data.tiling import add_views, crop_around_objects, tile_images
    from geochat_data.trainer_forms import TrainerForm

    source = DataSource(
        args.source,
        args.images,
        split=args.split or "train",
        exhaustive=not args.incomplete,
        window=args.window,
        column=args.column,
        report=report,
        names=_names(args.names),
        split_asked=args.split is not None,
    )
    settings = BuildSettings(
        dialect_of(args),
        questions=args.questions,
        packed=args.packed,
        dialogues=args.dialogues,
        wording="held out" if args.held_out else "varied",
        shares=args.kinds or FULL_SHARES,
        scenes=args.scenes or (class_names(source) if args.format == "folders" else ()),
        seed=args.seed,
    )
    records: Iterable[LabelledImage] = counted(read(args.format, source), "images")
    if args.tile:
        records = tile_images(records, args.tile, report)
    wanted = frozenset(args.holding) if args.holding else None
    if args.around:
        records = crop_around_objects(records, args.around, wanted, report)
    elif wanted:
        records = _holding(records, wanted, report)
    if args.views:
        records = add_views(records, args.views, args.seed, report)
    samples = build_samples(records, _image_root(args), settings, report)
    form = TrainerForm(args.form, settings.dialect, _image_root(args))
    return form.write(args.out, _at_least_one(samples, args.source, report))


def _names(text: str | None) -> dict[str, str]:
    """The table of `--names`: pairs, or those of a file.

    Raises:
        DataError: The file is not a table of names.
        SettingsError: There is no such file and the text is not a list of pairs.
    """
    from geochat.errors import SettingsError
    from geochat_data.readers.values import category_name, read_category_names

    if not text:
        return {}
    if Path(text).is_file():
        return read_category_names(Path(text))
    pairs = [item.partition("=") for item in options.names(text)]
    if not all(key.strip() and name.strip() for key, _, name in pairs):
        raise SettingsError(f"--names {text!r} is neither a file nor a list of names; write 3=ship,5=car")
    return {key.strip(): category_name(name) for key, _, name in pairs}


def _holding(records: "Iterable[LabelledImage]", wanted: frozenset[str], report: "Report") -> "Iterator[LabelledImage]":
    for record in records:
        if wanted & {item.category for item in record.objects}:
            yield record
        else:
            report.note("image without an object of --holding", str(record.path or record.name))


def _at_least_one(samples: "Iterable[Sample]", source: Path, report: "Report") -> "Iterator[Sample]":
    """Yield the samples; raise if there are none, so that no file is written."""
    from geochat.errors import DataError

    count = 0
    for sample in samples:
        count += 1
        yield sample
    if not count:
        raise DataError(f"{source} supports no question, so nothing is written: {report}")


def _write_report(path: Path, report: "Report") -> None:
    from geochat.errors import DataError
    from geochat.files import atomic_draft

    try:
        with atomic_draft(path) as draft:
            draft.write_text(json.dumps(report.to_dict(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise DataError(f"the report {path} cannot be written: {error.strerror}; choose another place") from error


def _image_root(args: argparse.Namespace) -> Path:
    if args.image_root is not None:
        root: Path = args.image_root
    elif args.format == "geo" or args.tile or args.around or args.views:
        root = args.out.with_name(f"{args.out.stem}_images")
    else:
        beside = args.source.parent.parent if args.source.parent.name == "annotations" else args.source.parent
        root = args.images or (args.source if args.source.is_dir() else beside)
    return root
