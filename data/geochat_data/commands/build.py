"""`geochat data build`: labelled imagery to a training file."""

import argparse
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from geochat.cli.options import add_dialect_option, dialect_of
from geochat_data.commands import options

if TYPE_CHECKING:
    from geochat_data.readers import Report
    from geochat_data.records import LabelledImage
    from geochat_data.samples import Sample

FORMATS = ("boxes", "coco", "dior", "dota", "fair1m", "folders", "geo", "hrsc", "ucm", "voc", "yolo")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.description = (
        "Make grounded conversations from labelled imagery. What the reader had to leave out is told on standard error."
    )
    parser.add_argument("format", metavar="FORMAT", choices=FORMATS, help=f"one of {', '.join(FORMATS)}")
    parser.add_argument("source", metavar="PATH", type=Path, help="label file or folder of the data set")
    parser.add_argument("--out", metavar="FILE", type=Path, required=True, help=".json as GeoChat_Instruct, or .jsonl")
    parser.add_argument("--images", metavar="PATH", type=Path, help="folder of images; for geo the raster")
    parser.add_argument(
        "--image-root",
        metavar="DIR",
        type=Path,
        help="folder the file's image paths are relative to (default: the data set's; FILE_images where images are "
        "written, for geo, --tile, --around and --views)",
    )
    add_dialect_option(parser, "the model that is to learn from FILE")
    labels = parser.add_argument_group("labels")
    labels.add_argument("--split", metavar="NAME", help="split to read where the data set has several (default: train)")
    labels.add_argument("--strict", action="store_true", help="stop at the first thing that cannot be used")
    labels.add_argument("--report", metavar="FILE", type=Path, help="write what was left out, and where, as JSON")
    labels.add_argument(
        "--incomplete", action="store_true", help="not every object is labelled: do not ask for counts or absence"
    )
    labels.add_argument(
        "--window", metavar="N", type=options.positive, default=512, help="side of geo's windows (default: 512)"
    )
    labels.add_argument(
        "--tile", metavar="N", type=options.positive, help="cut images with longer sides into windows of about N"
    )
    labels.add_argument(
        "--around",
        metavar="N",
        type=options.positive,
        help="a window of N pixels around each object, or each of --holding's categories, in place of the image",
    )
    labels.add_argument(
        "--holding", metavar="A,B,C", type=options.names, help="only images, or windows, with one of these categories"
    )
    labels.add_argument(
        "--views",
        metavar="N",
        type=options.positive,
        help="add N views of each image: turned by quarters, mirrored, cropped, in other colours",
    )
    labels.add_argument("--column", metavar="NAME", help="geo's attribute with the category")
    labels.add_argument(
        "--names",
        metavar="N=NAME,...",
        help="names of categories that are numbers, such as 3=ship,5=car, or a file: data.yaml, classes.txt, JSON",
    )
    made = parser.add_argument_group("questions")
    made.add_argument(
        "--questions", metavar="MIN-MAX", type=options.extent, default=(6, 10), help="an image (default: 6-10)"
    )
    made.add_argument(
        "--kinds",
        metavar="KIND=SHARE,...",
        type=options.shares,
        help="only these kinds of question, such as identify=3,count=1 (default: all; see docs/data.md)",
    )
    made.add_argument("--packed", action="store_true", help="one sample an image, its questions as turns")
    made.add_argument("--dialogues", metavar="SHARE", type=float, default=0.2, help="of images (default: 0.2)")
    made.add_argument("--held-out", action="store_true", help="only wordings that training never sees")
    made.add_argument("--scenes", metavar="A,B,C", type=options.names, default=(), help="scene classes to choose from")
    made.add_argument("--seed", metavar="N", type=int, default=0)


def run(args: argparse.Namespace) -> int:
    """Read, ask and write, alone of those who write that file."""
    from geochat.files import locked
    from geochat_data.readers import Report
    from geochat_data.samples import check_ending

    check_ending(args.out)
    if args.report:
        options.require_folder(args.report)
    report = Report(strict=args.strict)
    try:
        with locked(args.out, what="geochat data build"):
            written = _build(args, report)
    finally:
        if args.report:
            _write_report(args.report, report)
    options.tell(f"{report}; {written} samples written to {args.out}, image paths relative to {_image_root(args)}")
    return 0


def _build(args: argparse.Namespace, report: "Report") -> int:
    from geochat_data.building import BuildSettings, build_samples
    from geochat_data.questions import FULL_SHARES
    from geochat_data.readers import DataSource, class_names, read
    from geochat_data.samples import write_samples
    from geochat_data.tiling import add_views, crop_around_objects, tile_images

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
    records: Iterable[LabelledImage] = options.counted(read(args.format, source), "images")
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
    return write_samples(args.out, _some(samples, args.source, report))


def _names(text: str | None) -> dict[str, str]:
    """The table of `--names`: pairs, or those of a file.

    Raises:
        DataError: The file is no table of names.
        SettingsError: There is no such file and the text is no list of pairs.
    """
    from geochat.errors import SettingsError
    from geochat_data.readers.values import category_name

    if not text:
        return {}
    if Path(text).is_file():
        return read_names(Path(text))
    pairs = [item.partition("=") for item in options.names(text)]
    if not all(key.strip() and name.strip() for key, _, name in pairs):
        raise SettingsError(f"--names {text!r} is no file and no list of names; write 3=ship,5=car")
    return {key.strip(): category_name(name) for key, _, name in pairs}


def _holding(records: "Iterable[LabelledImage]", wanted: frozenset[str], report: "Report") -> "Iterator[LabelledImage]":
    for record in records:
        if wanted & {item.category for item in record.objects}:
            yield record
        else:
            report.note("image without an object of --holding", str(record.path or record.name))


def _some(samples: "Iterable[Sample]", source: Path, report: "Report") -> "Iterator[Sample]":
    """The samples, of which there must be one for the file to be written."""
    from geochat.errors import DataError

    count = 0
    for sample in samples:
        count += 1
        yield sample
    if not count:
        raise DataError(f"no question can be asked about {source}, so nothing is written: {report}")


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
