"""Options of commands for whole scenes, and their progress."""

import argparse
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geochat.cli import options, values
from geochat.cli.output import note

_REASONS = 10  # that are told

if TYPE_CHECKING:
    from geochat.client import SearchProgress
    from geochat.find import Finding, Progress, Proposals, Survey
    from geochat.imagery import Scene

    Work = Finding | Survey | Proposals


def add_window_options(parser: argparse.ArgumentParser, overlap: str) -> None:
    """Declare the windows and colours of a scene; `scene_of` and `look_options` read them.

    Args:
        parser: The command's.
        overlap: The default of `--overlap`, as it is typed.
    """
    group = parser.add_argument_group("windows")
    group.add_argument(
        "--window",
        metavar="N|W,H",
        type=_side,
        help="side of a window in pixels of the scene (default: by the ground resolutions of scene and model)",
    )
    group.add_argument(
        "--overlap",
        metavar="N|N%",
        type=_overlap,
        default=_overlap(overlap),
        help=f"overlap of neighbouring windows, in pixels or percent of a side (default: {overlap.replace('%', '%%')})",
    )
    group.add_argument(
        "--scales",
        metavar="1,2,whole",
        type=_scales,
        default=_scales("1"),
        help="window sizes as factors of --window, and the whole image as one window (default: 1)",
    )
    group.add_argument("--aoi", metavar="FILE", type=Path, help="search only inside these polygons")
    options.add_source_options(group)
    options.add_colour_options(
        group,
        "band values to brightness, one for all windows: auto, none, percentile, percentile:1,99, or low,high",
    )


def add_job_options(parser: argparse.ArgumentParser) -> None:
    """Declare the job folder and the part of the job to run; `job_options` reads them."""
    group = parser.add_argument_group("job")
    group.add_argument(
        "--job",
        metavar="DIR",
        type=Path,
        help="folder that records each window: a killed command resumes when it is run again, and several processes "
        "can share it (default: the name of the first -o FILE and .job)",
    )
    group.add_argument("--restart", action="store_true", help="delete the job and start again")
    group.add_argument("--retry", action="store_true", help="try failed windows again")
    group.add_argument(
        "--split", metavar="i/n", type=_share, default=(0, 1), help="do the i-th of n parts, for job arrays"
    )


def add_output_options(parser: argparse.ArgumentParser, what: str) -> None:
    """Declare the output files; `check_outputs` reads them.

    Args:
        parser: The command's.
        what: Plural noun for the layer's rows.
    """
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        type=Path,
        action="append",
        default=[],
        help=f"write the {what} in the format of FILE's ending (.gpkg, .geojson, .fgb, .parquet, ...); may be repeated",
    )
    parser.add_argument(
        "--format",
        metavar="NAME",
        choices=values.RegistryNames("geochat.exports:EXPORTERS"),
        help="format of the files, overriding their suffixes: %(choices)s",
    )


def check_outputs(args: argparse.Namespace) -> None:
    """Check that every file can be written, before the model is loaded.

    Raises:
        ExportError: One cannot.
    """
    from geochat.exports import exporter_for

    for path in args.output:
        exporter_for(path, args.format)


def scene_of(args: argparse.Namespace) -> "Scene":
    """Open the scene of a command.

    Raises:
        ImageError: It cannot be read, has no such page or asset, or cannot be placed on the map that is to be written.
    """
    from geochat.imagery import Scene

    scene = Scene.open(args.scene, page=args.page, asset=args.asset)
    if args.output:
        scene.require_map()
    return scene


def look_options(args: argparse.Namespace) -> dict[str, Any]:
    """Return the options of `add_window_options`, as `geochat.find.LookOptions`."""
    from geochat.imagery import Stretch

    scales, whole = args.scales
    return {
        "window": args.window,
        "overlap": args.overlap,
        "scales": scales,
        "whole": whole,
        "area": args.aoi,
        "bands": args.bands,
        "stretch": Stretch(**args.stretch),
    }


def job_options(args: argparse.Namespace) -> dict[str, Any]:
    """Return the options of `add_job_options`, as `geochat.find.JobOptions`."""
    folder = args.job
    if folder is None and args.output:
        folder = args.output[0].with_name(f"{args.output[0].name}.job")
    return {"job": folder, "restart": args.restart, "retry": args.retry, "share": args.split}


class ProgressBar:
    """Windows, their rate, the remaining time and the number of objects on standard error, from the first window on."""

    def __init__(self) -> None:
        self._bar: Any = None

    def show(self, progress: "Progress | SearchProgress") -> None:
        """Show the progress of a job."""
        from geochat.progress import progress_bar

        if self._bar is None:
            self._bar = progress_bar("windows", progress.total, done=progress.done - 1)
        failed = f", {progress.failed} failed" if progress.failed else ""
        self._bar.set_postfix_str(f"{progress.found} found{failed}", refresh=False)
        self._bar.update(progress.done - self._bar.n)

    def close(self) -> None:
        """End the display."""
        if self._bar is not None:
            self._bar.close()


def compute(
    args: argparse.Namespace,
    work: "Work",
    bar: ProgressBar,
    show: Callable[[Any], object] = lambda _: None,
    save: Callable[[Path, str | None], Path] | None = None,
) -> bool:
    """Compute the remaining windows.

    Where the user interrupts, the files are written with what is recorded so far.

    Args:
        args: With `output`, `format` and the job's options.
        work: The work.
        bar: Shows the progress, and is closed.
        show: Called with each result.
        save: Writes one file; None has `work` do so.

    Returns:
        Whether the job is complete; where it is not, other processes do the rest, which is said.
    """
    try:
        for each in work:
            show(each)
    except KeyboardInterrupt:
        bar.close()
        folder = job_options(args)["job"]
        going_on = f"; the same command goes on from {folder}" if folder else ""
        note(f"interrupted; {work.progress.done} of {work.progress.total} windows are done{going_on}")
        write_results(args, work, save or work.save)
        raise
    bar.close()
    if not work.complete:
        left = work.progress.total - work.progress.done
        note(f"{left} windows are left to other processes; the last of them to end writes the results")
    return work.complete


def write_results(args: argparse.Namespace, work: "Work", write: Callable[[Path, str | None], Path]) -> int:
    """Write the files with the results recorded so far, and report windows with missing results.

    Args:
        args: With `output` and `format`.
        work: The work.
        write: Writes one file.

    Returns:
        The exit status: 1 where windows failed.
    """
    for path in args.output:
        note(f"wrote {write(path, args.format)}")
    reasons = Counter(str(window.properties["reason"]) for window in work.not_looked_at())
    for reason, count in reasons.most_common(_REASONS):
        note(f"{count} window{'s' if count > 1 else ''}: {reason}")
    return 1 if work.progress.failed else 0


def _side(text: str) -> int | tuple[int, int]:
    """Parse a window's side, or its width and height."""
    numbers = _whole_numbers(text)
    if len(numbers) == 1:
        return numbers[0]
    if len(numbers) == 2:
        return numbers[0], numbers[1]
    raise argparse.ArgumentTypeError(f"{text!r} has {len(numbers)} numbers; give a side, or width,height")


def _overlap(text: str) -> float:
    """Parse an overlap in pixels, or in percent of a window's side."""
    try:
        if text.endswith("%"):
            share = float(text[:-1]) / 100
            if 0 <= share < 1:
                return share
        elif int(text) >= 0:
            return int(text)
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"{text!r} is no overlap; give pixels, as 64, or a share below 100 %, as 25%")


def _scales(text: str) -> tuple[tuple[float, ...], bool]:
    """Parse factors of the window's side, and whether the whole image is one window."""
    words = text.split(",")
    try:
        return tuple(float(word) for word in words if word != "whole"), "whole" in words
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no list of factors; give such as 1,2 or 1,whole") from None


def _share(text: str) -> tuple[int, int]:
    """Parse `i/n`, counted from 1, as an index from 0 and a count."""
    part, _, parts = text.partition("/")
    if part.isdecimal() and parts.isdecimal() and 1 <= int(part) <= int(parts):
        return int(part) - 1, int(parts)
    raise argparse.ArgumentTypeError(f"{text!r} is no part of a job; give i/n, such as 2/8, with i from 1 to n")


def _whole_numbers(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not whole numbers separated by commas") from None
