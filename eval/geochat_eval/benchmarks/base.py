"""What a benchmark is: a reader of its files, the words it asks in, and how its answers are scored."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from geochat.dialects import Dialect
from geochat.errors import SettingsError
from geochat.prompts import Task
from geochat_data.questions import WordingPool
from geochat_data.readers import Report

_CLASSES = re.compile(r".*\bclasses:\s*([^.\n]+)", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Sources:
    """Where a benchmark's files are, and which part of them is asked.

    Attributes:
        images: The folder of images, or of labelled imagery.
        questions: The file of questions, or of labels.
        truth: A file with the answers, where the questions come without.
        split: Which part, where the files hold several: "test", "val" or "train", or as one's own data names it.
        wording: Which wordings questions are drawn from, where the benchmark makes them.
        scenes: How many synthetic scenes are drawn, where the benchmark asks about these.
        rendered: The folder that images the benchmark makes are written into.
        reader: The reader of `geochat data build` that reads `questions`, one's own labels; None for the benchmark's.
        exhaustive: Whether one's own labels name every object, so that counts and absence may be asked about.
        column: The attribute with the category in one's own GeoJSON or GeoPackage.
        dialect: How whoever answers is asked and writes regions. Truths do not depend on it.
    """

    images: Path | None = None
    questions: Path | None = None
    truth: Path | None = None
    split: str = "test"
    wording: WordingPool = "published"
    scenes: int = 500
    rendered: Path = Path("images")
    reader: str | None = None
    exhaustive: bool = True
    column: str | None = None
    dialect: Dialect = field(kw_only=True)

    @property
    def root(self) -> Path:
        """What images that are found rather than made are relative to: the folder of images, or that of the labels."""
        labels = self.questions or Path()
        if self.reader is not None and self.images is None and labels.is_dir():
            return labels
        return self.images or labels.parent

    def file(self, what: str) -> Path:
        """The file of questions.

        Raises:
            SettingsError: It was not given.
        """
        if self.questions is None:
            raise SettingsError(f"the benchmark asks from a file; name {what} with --questions")
        return self.questions

    def folder(self, what: str) -> Path:
        """The folder of images.

        Raises:
            SettingsError: It was not given, or is not a folder.
        """
        if self.images is None or not self.images.is_dir():
            raise SettingsError(f"--images is {self.images or 'missing'}; name {what} with it")
        return self.images


@dataclass(frozen=True, slots=True)
class Item:
    """One question of a benchmark, in the benchmark's own words.

    Attributes:
        id: Its `question_id`.
        image: Its image, relative to the folder of images.
        question: What the file asks: words, a phrase, the classes, or a whole prompt.
        truth: The true answer, None where the files hold none.
        fields: What else is known of it: its type, the size of its objects.
    """

    id: str | int
    image: str
    question: str
    truth: Any = None
    fields: Mapping[str, Any] = field(default_factory=dict)

    def to_row(self, prompt: str, choices: tuple[str, ...] = ()) -> dict[str, Any]:
        """The question as one JSON object, under the names of GeoChat's answer files, and the choices it offers."""
        row = {"question_id": self.id, "image_id": self.image, "image": self.image, "question": self.question}
        truth = {} if self.truth is None else {"ground_truth": self.truth}
        offered = {"choices": list(choices)} if choices else {}
        return {**row, **self.fields, **truth, "prompt": prompt, **offered}


def worded(words: str, task: Task, sources: Sources) -> str:
    """A file's words in the dialect's wording of a task, as they are where they are so worded already."""
    template, mark = sources.dialect.wordings.templates.get(task, ("{}", ""))
    return words if mark and mark in words else template.replace("{}", words)


def marked(words: str, task: Task, sources: Sources, space: str = " ") -> str:
    """Words with the dialect's token of a task before them, where it has one."""
    token = sources.dialect.wordings.tokens.get(task)
    return f"{token}{space}{words}" if token else words


def named_classes(question: str) -> tuple[str, ...]:
    """The classes a question names, as published: "... classes: a, b, c. Answer ..."; each once, in its order."""
    found = _CLASSES.match(question)
    return tuple(dict.fromkeys(name.strip() for name in found[1].split(",") if name.strip())) if found else ()


def as_written(item: Item, _sources: Sources) -> str:
    """The prompt of files that hold whole prompts."""
    return item.question


@dataclass(frozen=True)
class Benchmark:
    """One benchmark.

    Attributes:
        name: What the command line calls it.
        summary: What it measures, in a few words.
        files: What `--images` and `--questions` must name.
        read: Reads its files; what cannot be used is counted in the report and left out.
        prompt: What the model is asked, task token and regions included, in the dialect of the sources.
        scorer: A name of `SCORERS`.
        max_new_tokens: The answer budget.
        headline: The rules it is known by, which summaries show.
        published: Figures of other systems, in percent, by rule and system.
        choices: The closed set a question's answer is from, which `--choices` offers; empty for a free answer.
        makes_images: Whether its images are made, in `Sources.rendered`, rather than found in `Sources.images`.
    """

    name: str
    summary: str
    files: str
    read: Callable[[Sources, Report], Iterator[Item]]
    scorer: str
    prompt: Callable[[Item, Sources], str] = as_written
    max_new_tokens: int = 64
    headline: tuple[str, ...] = ("accuracy",)
    published: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    choices: Callable[[Item, Sources], tuple[str, ...]] = lambda _item, _sources: ()
    makes_images: Callable[[Sources], bool] = lambda _sources: False
