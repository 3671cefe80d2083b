"""Contents of a report: a run's settings, its figures, and figures for comparison."""

import math
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from geochat.dialects import GEOCHAT
from geochat.errors import DataError
from geochat_eval.benchmarks import BENCHMARKS, Benchmark
from geochat_eval.bootstrap import Figure
from geochat_eval.reports.comparison import Comparison, compare
from geochat_eval.reports.examples import Example, ExampleSelector
from geochat_eval.runs.folder import EvaluationFolder
from geochat_eval.runs.run import seconds_of
from geochat_eval.score import ScoredFile, score_file
from geochat_eval.scorers import ScorerSettings

_PACKAGES = ("geochat", "torch", "transformers", "numpy", "shapely", "rouge-score", "nltk", "pycocoevalcap")
_BINS = 10


@dataclass(frozen=True)
class RunReport:
    """Contents of a report.

    Attributes:
        folder: The run.
        benchmark: The benchmark of the questions.
        settings: The contents of `run.json`.
        scored: The figures, and the lines they are made of.
        failed: Questions without an answer, by reason.
        seconds: Time of answering, summed over all processes.
        processes: Number of processes.
        software: Versions of Python and packages.
        quality_counts: Histogram of the quality of the answers, in ten bins from 0 to 1.
        beside: Comparisons with other runs of the same questions, by name.
        examples: Answers to show, by kind.
    """

    folder: EvaluationFolder
    benchmark: Benchmark
    settings: Mapping[str, Any]
    scored: ScoredFile
    failed: Mapping[str, int]
    seconds: float
    processes: int
    software: Mapping[str, str]
    quality_counts: list[int]
    beside: Mapping[str, Comparison] = field(default_factory=dict)
    examples: Mapping[str, list[Example]] = field(default_factory=dict)

    @property
    def answered(self) -> int:
        """Number of answers scored."""
        return self.scored.report.used

    @property
    def figures(self) -> dict[str, Figure]:
        """Every figure by rule, those of format validity last."""
        return {**self.scored.scored.figures, **self.scored.format_validity.figures}

    @property
    def headline(self) -> dict[str, Figure]:
        """The few main figures of the benchmark, as far as they could be computed."""
        figures = self.figures
        return {rule: figures[rule] for rule in self.benchmark.headline if rule in figures}

    def reference_figures(self, rule: str) -> dict[str, str]:
        """Figures for comparison by a rule: baselines without a model, related runs, published figures."""
        baselines = self.scored.scored.baselines.items()
        beside = {name.split("/", 1)[0].replace("_", " "): f"{p:.2f}" for name, p in baselines if _of(name) == rule}
        for name, comparison in self.beside.items():
            difference = comparison.differences.get(rule)
            if difference is not None and math.isfinite(difference.percent):
                other = comparison.second.figures[rule].percent
                gain = f"{difference.percent:+.2f}" + _interval(difference)
                beside[name] = f"{other:.2f} (this one {gain})"
        return beside | {name: f"{p:.2f}" for name, p in self.benchmark.published.get(rule, {}).items()}

    @property
    def command(self) -> str:
        """The command that makes such a run; folders are given by their last names only."""
        settings, parts = self.settings, [f"geochat eval run {self.benchmark.name}"]
        named = ["images", "questions"]
        if settings.get("reader"):
            source = Path(settings["questions"]).name
            parts = [f"geochat eval run own:{settings['reader']} {source} --questions {self.benchmark.name}"]
            named = ["images"]
        parts += [f"--{name} {Path(settings[name]).name}" for name in named if settings.get(name)]
        parts += [f"--split {settings['split']}"] if settings.get("images") or settings.get("questions") else []
        parts += [f"--wording {settings['wording'].replace(' ', '-')}"] if settings["wording"] != "published" else []
        for name in ("scenes", "limit"):
            parts += [f"--{name} {settings[name]}"] if settings.get(name) else []
        parts += [f"--seed {settings['seed']}"] if settings.get("seed") else []
        return " ".join([*parts, *(f"--{name}" for name in ("blind", "choices") if settings.get(name))])

    def to_dict(self) -> dict[str, Any]:
        """One JSON object."""
        return {
            "benchmark": self.benchmark.name,
            "model": self.settings.get("model"),
            "model_sha256": self.settings.get("model_sha256"),
            "command": self.command,
            "headline": {rule: figure.rounded for rule, figure in self.headline.items()},
            "scores": self.scored.to_dict(),
            "published": {rule: dict(figures) for rule, figures in self.benchmark.published.items()},
            "beside": {name: comparison.to_dict() for name, comparison in self.beside.items()},
            "failed": dict(self.failed),
            "settings": dict(self.settings),
            "software": dict(self.software),
            "seconds": round(self.seconds, 2),
            "processes": self.processes,
            "questions_per_second": round(self.answered / self.seconds, 3) if self.seconds else None,
        }


def report(
    path: Path,
    settings: ScorerSettings | None = None,
    *,
    beside: Mapping[str, Path] | None = None,
    examples: int = 8,
) -> RunReport:
    """Score a finished run and collect the contents of its report.

    Args:
        path: The run's folder.
        settings: Settings of the scorer; the folder of images is the run's.
        beside: Other runs of the same questions, such as a blind one, by name.
        examples: Number of answers shown of each kind.

    Raises:
        DataError: The folder holds no finished run, or no answer that can be scored.
    """
    folder = EvaluationFolder(path)
    about = folder.read_settings()
    folder.check_results()
    others = {name: EvaluationFolder(other) for name, other in (beside or {}).items()}
    for other in others.values():
        other.check_results()
    if str(about.get("benchmark")) not in BENCHMARKS:
        raise DataError(f"{path} is a run of {about.get('benchmark')!r}, which is no benchmark here; check run.json")
    benchmark = BENCHMARKS[str(about["benchmark"])]
    images, dialect = folder.image_root(about), folder.dialect
    settings = settings or ScorerSettings()
    settings = ScorerSettings(settings.replicates, settings.seed, images, settings.meteor)
    selector, quality_counts = ExampleSelector(examples, images, settings.seed), [0] * _BINS

    def count_quality(_answer: object, quality: float) -> None:
        quality_counts[min(_BINS - 1, int(quality * _BINS))] += 1

    scored = score_file(
        folder.answers,
        benchmark.scorer,
        settings=settings,
        dialect=dialect,
        truth_dialect=GEOCHAT,
        observers=(selector.add, count_quality),
    )
    comparisons = {
        name: compare(
            folder.answers,
            other.answers,
            benchmark.scorer,
            settings,
            dialects=(dialect, other.dialect),
            truth_dialects=(GEOCHAT, GEOCHAT),
        )
        for name, other in others.items()
    }
    seconds, processes = seconds_of(folder)
    return RunReport(
        folder=folder,
        benchmark=benchmark,
        settings=about,
        scored=scored,
        failed=folder.failures_by_reason(),
        seconds=seconds,
        processes=processes,
        software=_software(),
        quality_counts=quality_counts,
        beside=comparisons,
        examples=selector.examples() if examples else {},
    )


def _software() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _of(baseline: str) -> str:
    """Return the rule of a baseline's figure: "constant_box/predicted_hit@0.5" is one of `predicted_hit@0.5`."""
    return baseline.split("/", 1)[1]


def _interval(figure: Figure) -> str:
    return f", {figure.low:+.2f} to {figure.high:+.2f}" if math.isfinite(figure.low) else ""
