"""Options of commands for many scenes, and running an archive."""

import argparse
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geochat.cli import engines, options, output
from geochat.errors import SettingsError

if TYPE_CHECKING:
    from geochat.archive import Archive, Manifest, SceneWork, SceneWriter, Status
    from geochat.archive.cluster import Cluster
    from geochat.engines import Engine
    from geochat.models import ModelInfo

_LOCAL, _SERVED = 16, 64  # windows that a worker takes at once
_TOLD = 10  # scenes that failed, or are duplicates, that are named


def add_archive_options(parser: argparse.ArgumentParser) -> None:
    """Declare lists of scenes; `is_archive` and `run` read them together with those of `add_ray_options`."""
    group = parser.add_argument_group("many scenes")
    group.add_argument(
        "--scenes",
        metavar="LIST",
        action="append",
        default=[],
        help="scenes of a text file (.txt), a folder, a quoted glob, or a STAC item collection, catalogue or "
        "collection; may be repeated. With more than one scene, --job DIR holds all results",
    )
    group.add_argument(
        "--within",
        metavar="FILE",
        type=Path,
        help="use only STAC items that intersect the areas of this GeoJSON, within their dates",
    )
    group.add_argument(
        "--dry-run", action="store_true", help="process up to 6 scenes, print an estimate for all of them, and exit"
    )
    add_ray_options(parser)


def add_ray_options(parser: argparse.ArgumentParser) -> None:
    """Declare a Ray cluster; `cluster` reads it."""
    group = parser.add_argument_group("Ray")
    group.add_argument(
        "--ray",
        metavar="ADDRESS",
        help="run on a Ray cluster: HOST:PORT of its head, auto for the one of this machine, or local to start one",
    )
    group.add_argument("--workers", metavar="N", type=int, help="workers with a model each (default: as many as fit)")
    group.add_argument("--cpus-per-worker", metavar="N", type=float, default=1.0, help="CPUs of a worker (default: 1)")
    group.add_argument(
        "--gpus-per-worker", metavar="N", type=float, help="GPUs of a worker, such as 1, or 0.5 for two on one"
    )


def cluster(args: argparse.Namespace) -> "Cluster":
    """Return the cluster of `add_ray_options`.

    Raises:
        SettingsError: A number is impossible.
    """
    from geochat.archive.cluster import Cluster

    batch = _LOCAL if getattr(args, "engine", "local") == "local" else _SERVED
    return Cluster(args.ray, args.workers, args.cpus_per_worker, args.gpus_per_worker, batch)


def is_archive(args: argparse.Namespace, words: Iterable[str]) -> bool:
    """Return whether a command is for many scenes: a list, several words, or a cluster."""
    from geochat.archive.scenes import names_many

    named = list(words)
    return bool(args.scenes or args.ray or args.dry_run or len(named) > 1 or any(map(names_many, named)))


def run(args: argparse.Namespace, words: Iterable[str], work: "Callable[[ModelInfo], SceneWork]") -> int:
    """Process many scenes, print the result of each, and write the report.

    Args:
        args: With the options of `add_archive_options`, the job's and the model's.
        words: The scenes named on the command line.
        work: The work on each scene.

    Returns:
        The exit status: 1 where a scene failed.

    Raises:
        GeoChatError: An option is impossible, a list or the model cannot be read, or the folder cannot be written.
    """
    from geochat.archive import Manifest, list_scenes

    _check(args)
    listed = list_scenes([*words, *args.scenes], within=args.within, without=args.job, page=args.page, asset=args.asset)
    for again, first, same in listed.duplicates[:_TOLD]:
        output.note(f"{again} is skipped: same {same} as {first}")
    if len(listed.duplicates) > _TOLD:
        output.note(f"{len(listed.duplicates)} duplicates are skipped in all; duplicates.jsonl of the job lists them")
    manifest = Manifest(listed.scenes, listed.duplicates)
    if args.dry_run:
        return _dry_run(args, manifest, work)
    if args.ray:
        return _on_ray(args, manifest, work)
    engine = options.load_model(args).engine
    return _here(args, manifest, work, engine)


def _check(args: argparse.Namespace) -> None:
    if args.job is None and not args.dry_run:
        raise SettingsError("results of many scenes lie in one folder; name it with --job DIR")
    if args.output:
        raise SettingsError("-o is the layer of one scene; of many, --job DIR holds all, and --format adds layers")
    if args.json:
        raise SettingsError("--json is of one scene; of many, read DIR/dataset, or `geochat jobs show DIR --json`")
    if args.ray and args.split != (0, 1):
        raise SettingsError("--split shares scenes among processes without Ray; leave out one of the two")
    if args.ray and args.restart and args.retry:
        raise SettingsError("--restart throws away what --retry would go on from; drop one of the two")


def _here(
    args: argparse.Namespace, manifest: "Manifest", work: "Callable[[ModelInfo], SceneWork]", engine: "Engine"
) -> int:
    from geochat.archive import run_here

    archive, writer = _archive(args, manifest, work, engine.info)
    bar = _Bar()
    steps = run_here(archive, engine, writer, share=args.split, tell=bar.show)
    return _finish(archive, bar, steps)


def _on_ray(args: argparse.Namespace, manifest: "Manifest", work: "Callable[[ModelInfo], SceneWork]") -> int:
    from geochat.archive.cluster import connected
    from geochat.archive.on_ray import model_there, run_on_ray

    where, opener = cluster(args), engines.opener(args)
    with connected(where):
        info = model_there(where, opener)
        archive, writer = _archive(args, manifest, work, info)
        bar = _Bar()
        return _finish(archive, bar, run_on_ray(archive, opener, writer, where, tell=bar.show))


def _archive(
    args: argparse.Namespace, manifest: "Manifest", work: "Callable[[ModelInfo], SceneWork]", info: "ModelInfo"
) -> "tuple[Archive, SceneWriter]":
    from geochat.archive import Archive, SceneWriter

    archive = Archive(args.job, manifest, work(info), info, restart=args.restart, retry=args.retry)
    done = len(manifest) - sum(number not in archive.job for number in manifest.numbers())
    output.note(f"{len(manifest)} scenes{f', {done} of them done' if done else ''}; results are in {args.job}")
    return archive, SceneWriter(archive, args.format)


def _finish(archive: "Archive", bar: "_Bar", steps: Iterable[tuple[int, dict[str, Any]]]) -> int:
    """Run, then write and print the final results."""
    from geochat.archive import finish, job_status

    told = 0
    try:
        for number, entry in steps:
            if "error" in entry and (told := told + 1) <= _TOLD:
                output.note(f"{archive.manifest.scenes[number].source}: {entry['error']}")
    except KeyboardInterrupt:
        output.note(f"interrupted; the same command goes on from {archive.folder.path}")
        raise
    finally:
        bar.close()
        finish(archive)
    status = job_status(archive.folder)
    print_status(status)
    if status["left"]:
        output.note(f"{status['left']} scenes are left to other processes")
    print(f"wrote {archive.folder.report}, {archive.folder.dataset} and {archive.folder.stac}")
    return 1 if status["failed"] else 0


def print_status(status: dict[str, Any]) -> None:
    """Print the scenes of a job."""
    skipped = f", {status['skipped']} skipped" if status["skipped"] else ""
    print(f"scenes: {status['done']} of {status['scenes']} done, {status['failed']} failed{skipped}")
    print(f"windows: {status['windows']}, {status['windows_failed']} failed")
    print(f"rows: {status['rows']}")


def duration(seconds: float) -> str:
    """Format a duration in words."""
    for unit, length in (("days", 86_400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.0f} seconds"


class _Bar:
    """Scenes done by this process, with windows per second."""

    def __init__(self) -> None:
        self._bar: Any = None

    def show(self, status: "Status") -> None:
        from geochat.progress import progress_bar

        if self._bar is None:
            self._bar = progress_bar("scenes", status.total)
        self._bar.set_postfix_str(f"{status.windows} windows, {status.failed} failed", refresh=False)
        self._bar.update(status.scenes - self._bar.n)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()


def _dry_run(args: argparse.Namespace, manifest: "Manifest", work: "Callable[[ModelInfo], SceneWork]") -> int:
    """Print an estimate of the job's cost."""
    from geochat.archive.running import estimate

    engine = options.load_model(args).engine
    cost = estimate(manifest, work(engine.info), engine)
    print(f"{cost.scenes:,} scenes x {cost.windows:.4g} windows x {cost.seconds:.3g} s per window on this machine")
    print(f"by one worker: {duration(cost.total)}")
    if (workers := args.workers or args.split[1]) > 1:
        print(f"by {workers} workers like it: {duration(cost.total / workers)}")
    if cost.unread:
        output.note(f"{cost.unread} of the {cost.sampled} scenes opened for this cannot be read")
    return 0
