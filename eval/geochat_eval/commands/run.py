"""`geochat eval run`: a benchmark's questions to a model, or to a file of answers."""

import argparse
import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from geochat.cli.options import stated_dialect
from geochat.cli.output import note
from geochat_eval.commands.run_options import Job, add_arguments, classifier, jobs

if TYPE_CHECKING:
    from geochat.dialects import Dialect
    from geochat_eval.runs import ChatPredictor, Predictor, Run, RunProgress
    from geochat_eval.runs.on_ray import RayPredictor

__all__ = ["add_arguments", "run"]


def run(args: argparse.Namespace) -> int:
    """Prepare, answer, merge and report each run."""
    _check(args)
    if args.ray is None:
        return _run(args)
    from geochat.archive.cluster import connected
    from geochat.cli.archives import cluster

    with connected(cluster(args)):
        return _run(args)


def _run(args: argparse.Namespace) -> int:
    wanted = jobs(args)
    fetched, dialect = None, _dialect(args)
    if dialect is None:
        fetched = _chat(args)
        dialect = fetched.dialect
    planned = _prepare_runs(args, wanted, dialect)
    predictor = fetched or _predictor(args, dialect, planned)
    return max([_finish(args, work, predictor) for work in planned])


def _check(args: argparse.Namespace) -> None:
    """Refuse options that contradict each other.

    Raises:
        SettingsError: They do.
    """
    from geochat.errors import SettingsError

    other = args.answers or args.majority_caption or args.classifier
    if args.blind and other:
        raise SettingsError(
            "--blind withholds images from a generative model, and none is asked; drop one of the two options"
        )
    if args.choices and other:
        raise SettingsError(
            "--choices offers answers to a generative model, and none is asked; drop one of the two options"
        )
    if args.ray is not None and other:
        raise SettingsError("--ray spreads the questions to a generative model, and none is asked; drop one of the two")
    if args.for_model and not args.answers:
        raise SettingsError("--for says whose answers --answers holds; a model that is asked brings its own settings")
    if args.restart and _processes()[1] > 1:
        raise SettingsError("--restart would be done by every process; run it with one, or remove the folder first")


def _prepare_runs(args: argparse.Namespace, wanted: list[Job], dialect: "Dialect") -> "list[Run]":
    """Prepare the runs; kinds of question that the labels do not support are reported and skipped."""
    from geochat_eval.benchmarks import Sources
    from geochat_eval.runs import NoQuestionsError, Run, RunSettings

    planned, missing = [], []
    for job in wanted:
        sources = Sources(
            args.images,
            truth=args.truth,
            split=args.split,
            wording=args.wording.replace("-", " "),
            scene_count=args.scenes,
            rendered=job.out / "images",
            dialect=dialect,
            **job.files,
        )
        settings = RunSettings(
            job.benchmark,
            sources,
            args.limit,
            args.max_new_tokens,
            args.blind,
            args.strict,
            args.retry,
            args.seed,
            args.choices,
        )
        try:
            planned.append(Run(job.out, settings, restart=args.restart, notify=note))
        except NoQuestionsError as error:
            missing.append(error)
            if len(wanted) > 1:
                shutil.rmtree(job.out)  # nothing is in it
    for unasked in missing:
        if not planned:
            raise unasked
        note(str(unasked))
    return planned


def _finish(args: argparse.Namespace, work: "Run", predictor: "Predictor") -> int:
    """Answer, merge and report one run."""
    _show_progress(work.answer(predictor, *_processes()))
    if not work.complete:
        return 0
    print(f"wrote {work.folder.answers}")
    for reason, count in work.folder.failures_by_reason().items():
        note(f"{count} questions got no answer: {reason}; {work.folder.failures} names them")
    if not work.folder.answers.stat().st_size:
        return 1
    if not args.no_report:
        _report(work.folder.path)
    return 0


def _processes() -> tuple[int, int]:
    """Return the number of this process and the number of processes, as set by launchers."""
    return int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))


def _report(folder: Path) -> None:
    """Write the reports and print the headline."""
    from geochat.errors import DataError
    from geochat_eval.reports import report, write_report
    from geochat_eval.reports.writing import headline_lines

    try:
        result = report(folder)
    except DataError as error:  # such as a benchmark that comes without its answers
        note(f"no report: {error}")
        return
    print("\n".join(headline_lines(result.headline)))
    print(f"wrote {write_report(result)[-1]}, and the same as .md and .json")


def _dialect(args: argparse.Namespace) -> "Dialect | None":
    """Return the dialect of the predictor, found without loading a model; None if the model may have to be fetched."""
    from geochat.dialects import GEOCHAT
    from geochat.models import bundled_path, find_bundled
    from geochat.models.reading import read_dialect

    if args.answers or args.classifier or args.majority_caption:
        return stated_dialect(args) or GEOCHAT
    stated = args.dialect or args.settings or "://" in args.engine
    bundled = args.model is None and args.engine == "local"
    if not stated and (bundled or (args.model and (Path(args.model).is_dir() or find_bundled(args.model)))):
        return read_dialect(args.model or bundled_path(), base=args.base)
    return None


def _predictor(args: argparse.Namespace, dialect: "Dialect", planned: "list[Run]") -> "Predictor":
    from geochat_eval.benchmarks.labelled_images import training_images
    from geochat_eval.runs import FilePredictor, MajorityCaptionPredictor

    if args.answers:
        return FilePredictor(args.answers, args.format, dialect=dialect)
    if args.classifier:
        return classifier(args)
    if args.majority_caption:
        return MajorityCaptionPredictor(args.majority_caption, training_images(planned[0].settings.sources))
    return _chat(args)


def _chat(args: argparse.Namespace) -> "ChatPredictor | RayPredictor":
    from geochat.cli.engines import open_chat, opener
    from geochat_eval.runs import ChatPredictor

    if args.ray is not None:
        from geochat.cli.archives import cluster
        from geochat_eval.runs.on_ray import RayPredictor

        return RayPredictor(cluster(args), opener(args, together=args.batch_rows))

    local = args.engine == "local"
    device = args.device or (_own_device() if local else None)
    return ChatPredictor(open_chat(args, device=device, together=args.batch_rows).engine)


def _own_device() -> str | None:
    """Assign one GPU to each process of this machine, if there are several processes and GPUs."""
    import torch

    local = os.environ.get("LOCAL_RANK")
    return f"cuda:{int(local) % torch.cuda.device_count()}" if local and torch.cuda.is_available() else None


def _show_progress(progress: "Iterable[RunProgress]") -> None:
    """Show the questions done, their rate and the remaining time on standard error."""
    from geochat.progress import progress_bar

    steps = iter(progress)
    first = next(steps)
    with progress_bar("questions", first.total, done=first.done) as bar:
        for step in steps:
            bar.update(step.done - bar.n)
            if step.failed:
                bar.set_postfix_str(f"{step.failed} failed", refresh=False)
