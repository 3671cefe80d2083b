"""What a run asks and how, and the part of it that decides about answers."""

from dataclasses import dataclass
from typing import Any

from geochat.errors import SettingsError
from geochat_eval import identity
from geochat_eval.benchmarks import Sources, benchmark
from geochat_eval.hashing import file_hash


@dataclass(frozen=True)
class RunSettings:
    """What is asked and how.

    Attributes:
        benchmark: A name of `BENCHMARKS`.
        sources: Its files, and the dialect it is asked in.
        limit: Ask so many questions only, drawn evenly over their classes; it may be raised later.
        max_new_tokens: The answer budget, None for the benchmark's.
        blind: Whether images are withheld, which tells what can be guessed without looking.
        strict: Whether the first thing that fails ends the run.
        retry: Whether questions that failed before are asked again.
        seed: Of what `limit` draws.
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
        benchmark(self.benchmark)
        for name in ("limit", "max_new_tokens"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise SettingsError(f"{name}={value} is impossible; give 1 or more")
        if self.seed < 0:
            raise SettingsError(f"seed={self.seed} is negative; give 0 or more")

    @property
    def makes_images(self) -> bool:
        """Whether the images asked about are made and lie in the run's folder."""
        return benchmark(self.benchmark).makes_images(self.sources)

    @property
    def budget(self) -> int:
        """Most tokens of an answer."""
        return self.max_new_tokens or benchmark(self.benchmark).max_new_tokens

    def about(self) -> dict[str, Any]:
        """The settings that decide about answers, JSON-ready; `limit` decides how many there are.

        Raises:
            DataError: A file of the benchmark cannot be read.
        """
        sources = self.sources
        drawn = {"scenes": sources.scenes} if self.makes_images and sources.images is sources.questions is None else {}
        own = {"reader": sources.reader, "exhaustive": sources.exhaustive, "column": sources.column}
        return {
            "benchmark": self.benchmark,
            "images": None if sources.images is None else str(sources.images.resolve()),
            "root": None if self.makes_images else str(sources.root.resolve()),
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
            "dialect": identity.to_json(sources.dialect),
        }
