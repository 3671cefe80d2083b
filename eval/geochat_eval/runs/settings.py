"""Settings of a run, and what `run.json` records of them: hashes of the files, and the dialect.

Answers may be read years later, when the model is gone, so the dialect needed to read them is stored with them. Runs
without this record are in the published dialect.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from geochat.dialects import GEOCHAT, Dialect, find_dialect
from geochat.errors import DataError, SettingsError
from geochat.files import sha256_of
from geochat.geometry import AngleConvention
from geochat_eval.benchmarks import BENCHMARKS, Sources
from geochat_eval.registry import SCORERS

_LABELS = (".csv", ".geojson", ".json", ".jsonl", ".names", ".txt", ".xml", ".yaml", ".yml")


def file_hash(path: Path | None) -> str | None:
    """Return the SHA-256 of a file, or of the label files in a folder and their names; None for no path.

    Raises:
        DataError: It cannot be read.
    """
    if path is None:
        return None
    digest = hashlib.sha256()
    try:
        if not path.is_dir():
            return sha256_of(path)
        for file in sorted(path.rglob("*")):
            if file.suffix.lower() in _LABELS and file.is_file():
                digest.update(file.relative_to(path).as_posix().encode("utf-8", "surrogateescape"))
                digest.update(bytes.fromhex(sha256_of(file)))
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}; check the path") from error
    return digest.hexdigest()


def dialect_to_json(dialect: Dialect) -> dict[str, Any]:
    """Convert the fields that distinguish a checkpoint's dialect from others of its name."""
    return {
        "name": dialect.name,
        "direction": dialect.angles.direction,
        "angle_range": dialect.angles.angle_range,
        "fit": dialect.model_frame.fit,
        "image_size": dialect.model_frame.size,
    }


def dialect_from_json(value: Mapping[str, Any] | None) -> Dialect:
    """Return the dialect that `dialect_to_json` described; the published one for None.

    Raises:
        DataError: It is no such description, or of a dialect that is not known here.
    """
    if value is None:
        return GEOCHAT
    try:
        angles = AngleConvention(value["direction"], value["angle_range"])
        return find_dialect(value["name"]).fitted(fit=value["fit"], size=value["image_size"], angles=angles)
    except (KeyError, TypeError, SettingsError) as error:
        raise DataError(f"run.json describes no dialect in {value!r} ({error}); check it") from error


def same_dialect(value: Mapping[str, Any] | None, dialect: Dialect) -> bool:
    """Return whether a description is of this dialect; the size of a square that pads images is ignored."""
    described, own = dialect_to_json(dialect_from_json(value)), dialect_to_json(dialect)
    if own["fit"] == described["fit"] == "pad":
        own["image_size"] = described["image_size"] = None
    return described == own


@dataclass(frozen=True)
class RunSettings:
    """Settings of a run: the questions, and the way they are asked.

    Attributes:
        benchmark: A name of `BENCHMARKS`.
        sources: Its files, and the dialect it is asked in.
        limit: Number of questions, sampled evenly over their classes; it may be raised later.
        max_new_tokens: Maximum number of tokens of an answer, None for the benchmark's.
        blind: Whether images are withheld, to measure what can be guessed from the questions.
        strict: Whether the first failure ends the run.
        retry: Whether failed questions are asked again.
        seed: Seed of the sample that `limit` takes.
        choices: Whether questions with a closed set of answers offer it (`Request.choices`).

    Raises:
        SettingsError: There is no such benchmark, or a number is impossible.
    """

    benchmark: str
    sources: Sources
    limit: int | None = None
    max_new_tokens: int | None = None
    blind: bool = False
    strict: bool = False
    retry: bool = False
    seed: int = 0
    choices: bool = False

    def __post_init__(self) -> None:
        scorer = BENCHMARKS[self.benchmark].scorer
        if scorer not in SCORERS:
            raise SettingsError(
                f"the benchmark {self.benchmark!r} is scored by {scorer!r}, which is none of {', '.join(SCORERS)}"
            )
        for name in ("limit", "max_new_tokens"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise SettingsError(f"{name}={value} is impossible; give 1 or more")
        if self.seed < 0:
            raise SettingsError(f"seed={self.seed} is negative; give 0 or more")

    @property
    def generates_images(self) -> bool:
        """True if the images are generated and stored in the run's folder."""
        return BENCHMARKS[self.benchmark].generates_images(self.sources)

    @property
    def budget(self) -> int:
        """Maximum number of tokens of an answer."""
        return self.max_new_tokens or BENCHMARKS[self.benchmark].max_new_tokens

    def about(self) -> dict[str, Any]:
        """The settings that determine the answers, JSON-ready; `limit` determines their number.

        Raises:
            DataError: A file of the benchmark cannot be read.
        """
        sources = self.sources
        drawn = (
            {"scenes": sources.scene_count}
            if self.generates_images and sources.images is sources.questions is None
            else {}
        )
        own = {"reader": sources.reader, "exhaustive": sources.exhaustive, "column": sources.column}
        return {
            "benchmark": self.benchmark,
            "images": None if sources.images is None else str(sources.images.resolve()),
            "root": None if self.generates_images else str(sources.root.resolve()),
            "questions": None if sources.questions is None else str(sources.questions),
            "questions_sha256": file_hash(sources.questions),
            "truth_sha256": file_hash(sources.truth),
            "split": sources.split,
            "wording": sources.wording,
            **drawn,
            **(own if sources.reader else {}),
            "limit": self.limit,
            **({} if self.limit is None else {"seed": self.seed}),
            "blind": self.blind,
            "choices": self.choices,
            "max_new_tokens": self.budget,
            "dialect": dialect_to_json(sources.dialect),
        }
