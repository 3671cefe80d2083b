"""`geochat clip classify`: scenes by class names or learned prompts, as a table, CSV or JSON lines."""

import argparse
import csv
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geochat.cli import archives, options, values
from geochat.cli.images import ImageName, open_errors
from geochat.cli.output import note, print_json
from geochat.errors import CheckpointError, ImageError, SettingsError
from geochat.files import is_folder

if TYPE_CHECKING:
    from geochat.clip import Classification, Classifier

_ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".jp2")
_WIDEST = 48  # characters of an image's name in a table

Printer = Callable[["Classification"], None]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.description = (
        "Classify images among named classes, or with prompts learned by `geochat train coop` or `cocoop`. Images that "
        "cannot be read are reported on standard error and left out."
    )
    parser.add_argument("images", metavar="IMAGE", nargs="+", help="image, or folder of images")
    parser.add_argument("--classes", metavar="A,B,C", help="class names, or a .txt file with one name per line")
    parser.add_argument(
        "--templates",
        metavar="TEXT",
        nargs="+",
        default=["remote-sensing"],
        help="sentences with {} for the class, a file with one per line, or remote-sensing, satellite, photo "
        "(default: the ensemble remote-sensing)",
    )
    parser.add_argument("--prompts", metavar="FILE", type=Path, help="learned prompts, instead of templates")
    output = parser.add_argument_group("output")
    kinds = output.add_mutually_exclusive_group()
    kinds.add_argument("--json", action="store_const", const="json", dest="kind", help="one JSON object per image")
    kinds.add_argument("--csv", action="store_const", const="csv", dest="kind", help="a column for each class")
    output.add_argument(
        "--score", action="store_true", help="print accuracy on standard error; folders are named after their class"
    )
    options.add_encoder_options(parser)
    options.add_view_options(parser)
    speed = parser.add_argument_group("speed")
    speed.add_argument("--batch-size", metavar="N", type=int, default=32, help="images at once (default: 32)")
    speed.add_argument("--no-cache", action="store_true", help="neither store features of images nor read stored ones")
    archives.add_ray_options(parser)
    parser.set_defaults(kind="table")


def run(args: argparse.Namespace) -> int:
    """Classify and print; exit status 1 if no image could be read.

    Raises:
        GeoChatError: An argument is impossible, or names a missing file.
    """
    from geochat.imagery import Stretch, open_image

    files = _image_files(args.images)
    opener = partial(
        open_image,
        bands=args.bands,
        window=args.window,
        stretch=Stretch(**args.stretch),
        page=args.page,
        asset=args.asset,
    )
    if not _check(args, files):
        return 1
    failed: list[Any] = []

    def on_error(image: Any, error: Exception) -> None:  # noqa: ANN401 - any kind of image
        failed.append(image)
        note(f"left out: {error}")

    if args.ray is not None:
        from geochat.cli.clip_ray import classified

        classes, results = classified(args, files, partial(_classifier, args), opener, on_error)
    else:
        from geochat.clip import FeatureCache

        classifier = _classifier(args)
        cache = None if args.no_cache else FeatureCache(classifier.encoder)
        classes = classifier.classes
        results = classifier.classify_many(
            files, batch_size=args.batch_size, opener=opener, cache=cache, on_error=on_error
        )
    show, score = _PRINTERS[args.kind](classes, files), _FolderScore(classes)
    for found in results:
        show(found)
        score.add(found)
    if args.score:
        note(str(score))
    if failed:
        note(f"{len(failed)} of {len(files)} images left out")
    return 1 if len(failed) == len(files) else 0


def _image_files(words: list[str]) -> list[ImageName]:
    """List the files, and the images in the folders and their sub-folders, in order of name.

    Raises:
        ImageError: A folder holds no image.
    """
    files: list[ImageName] = []
    for word in words:
        path = Path(word)
        if not is_folder(path):
            files.append(word)
            continue
        found = sorted(file for file in path.rglob("*") if file.suffix.lower() in _ENDINGS and file.is_file())
        if not found:
            raise ImageError(f"the folder {path} holds no image ({', '.join(_ENDINGS)}); name another")
        files += found
    return files


def _check(args: argparse.Namespace, files: list[ImageName]) -> bool:
    """Check the arguments before torch is imported; return whether any image can be opened, and report the others.

    Raises:
        GeoChatError: An argument is impossible, or names a missing file.
    """
    if args.batch_size < 1:
        raise SettingsError(f"--batch-size {args.batch_size} leaves no image; give at least 1")
    if args.prompts is None and args.classes is None:
        raise SettingsError("the classes are not named; give --classes a,b,c or --prompts FILE")
    if args.classes is not None:
        values.class_names(args.classes)
    if args.prompts is not None and not args.prompts.is_file():
        raise CheckpointError(f"there is no file {args.prompts}; name the .safetensors file of `geochat train`")
    options.check_encoder(args.model)
    errors = open_errors(files)
    for error in errors:
        note(f"left out: {error}")
    if errors:
        note(f"{len(files)} of {len(files)} images left out")
    return not errors


def _classifier(args: argparse.Namespace) -> "Classifier":
    from geochat.clip import Classifier, read_prompts, read_templates

    classes = values.class_names(args.classes) if args.classes is not None else None
    if args.prompts is not None:
        prompts = read_prompts(args.prompts)
        return Classifier.learned(options.load_encoder(args), prompts, classes)
    templates = read_templates(args.templates)
    return Classifier.zero_shot(options.load_encoder(args), classes or (), templates)


def _table(classes: Sequence[str], files: Sequence[ImageName]) -> Printer:
    """Return a printer of one line per image: name, label, probability, and the second most probable class."""
    name_width = min(max((len(str(file)) for file in files), default=0), _WIDEST)
    label_width = max(map(len, classes))

    def show(found: "Classification") -> None:
        name = found.image if len(found.image) <= _WIDEST else f"...{found.image[3 - _WIDEST :]}"
        runner_up = "".join(f"   {label} {share:.1%}" for label, share in found.ranked()[1:2])
        print(f"{name:<{name_width}}  {found.label:<{label_width}}  {found.probability:6.1%}{runner_up}", flush=True)

    return show


def _csv(classes: Sequence[str], _files: Sequence[ImageName]) -> Printer:
    """Print a header; return a printer of one row per image: name, label and a probability for each class."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(["image", "label", *classes])

    def show(found: "Classification") -> None:
        writer.writerow([found.image, found.label, *(f"{share:.6g}" for share in found.probabilities.values())])
        sys.stdout.flush()

    return show


def _json_lines(_classes: Sequence[str], _files: Sequence[ImageName]) -> Printer:
    """Return a printer of one object per image: name, label and probabilities by class."""

    def show(found: "Classification") -> None:
        print_json({"image": found.image, "label": found.label, "probabilities": found.probabilities}, indent=None)
        sys.stdout.flush()

    return show


_PRINTERS = {"table": _table, "csv": _csv, "json": _json_lines}


class _FolderScore:
    """Accuracy on images in folders named after their class; only letters count: `golfcourse` is "golf course"."""

    def __init__(self, classes: Sequence[str]) -> None:
        from geochat.clip.templates import letters

        self._letters = letters
        self._classes = {letters(name): name for name in classes}
        self._seen: Counter[str] = Counter()
        self._right: Counter[str] = Counter()
        self._unknown = 0

    def add(self, found: "Classification") -> None:
        """Compare the label of an image with its folder."""
        truth = self._classes.get(self._letters(Path(found.image).parent.name))
        if truth is None:
            self._unknown += 1
        else:
            self._seen[truth] += 1
            self._right[truth] += found.label == truth

    def __str__(self) -> str:
        """Accuracy over all images and by class."""
        total = self._seen.total()
        if not total:
            return "no image lies in a folder named after a class, so there is no accuracy"
        by_class = ", ".join(f"{name} {self._right[name] / count:.1%}" for name, count in sorted(self._seen.items()))
        outside = f"; {self._unknown} images lie in folders of other names" if self._unknown else ""
        return f"accuracy {self._right.total() / total:.1%} of {total} images ({by_class}){outside}"
