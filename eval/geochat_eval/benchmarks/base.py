"""Definition of a benchmark: a reader of its files, the wording of its prompts, and the scorer of its answers."""

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
from geochat_eval.json_objects import JsonObject, read_objects

_CLASSES = re.compile(r".*\bclasses:\s*([^.\n]+)", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Sources:
    """Files of a benchmark, and the part of them to use.

    Attributes:
        images: Folder of images, or of labelled imagery.
        questions: The file of questions, or of labels.
        truth: A file with the answers, where the questions come without.
        split: Part of the files, where they hold several: "test", "val" or "train", or a name of the user's data.
        wording: Pool of wordings of generated questions.
        scene_count: Number of synthetic scenes, where the benchmark asks about these.
        rendered: Folder that generated images are written into.
        reader: Reader of `geochat data build` for `questions`, the user's labels; None for the benchmark's own files.
        exhaustive: True if the user's labels name every object, so that counts and absence may be asked about.
        column: Attribute with the category in the user's GeoJSON or GeoPackage.
        dialect: Dialect of the model that answers. Truths do not depend on it.
    """

    images: Path | None = None
    questions: Path | None = None
    truth: Path | None = None
    split: str = "test"
    wording: WordingPool = "published"
    scene_count: int = 500
    rendered: Path = Path("images")
    reader: str | None = None
    exhaustive: bool = True
    column: str | None = None
    dialect: Dialect = field(kw_only=True)

    @property
    def root(self) -> Path:
        """The folder that names of existing images are relative to: that of the images, or of the labels."""
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
        question: Question of the file: words, a phrase, the classes, or a whole prompt.
        truth: The true answer, None where the files hold none.
        fields: Further fields: its type, the size of its objects.
    """

    id: str | int
    image: str
    question: str
    truth: Any = None
    fields: Mapping[str, Any] = field(default_factory=dict)

    def to_row(self, prompt: str, choices: tuple[str, ...] = ()) -> dict[str, Any]:
        """Convert to one JSON object with the names of GeoChat's answer files, and the choices offered."""
        row = {"question_id": self.id, "image_id": self.image, "image": self.image, "question": self.question}
        truth = {} if self.truth is None else {"ground_truth": self.truth}
        offered = {"choices": list(choices)} if choices else {}
        return {**row, **self.fields, **truth, "prompt": prompt, **offered}


def apply_wording(words: str, task: Task, sources: Sources) -> str:
    """Put a file's words into the dialect's wording of a task; words that already have it are unchanged."""
    template, mark = sources.dialect.wordings.templates.get(task, ("{}", ""))
    return words if mark and mark in words else template.replace("{}", words)


def add_task_token(words: str, task: Task, sources: Sources, space: str = " ") -> str:
    """Prefix words with the dialect's token of a task, if it has one."""
    token = sources.dialect.wordings.tokens.get(task)
    return f"{token}{space}{words}" if token else words


def named_classes(question: str) -> tuple[str, ...]:
    """Find the classes a question names ("... classes: a, b, c. Answer ..."), each once, in order."""
    found = _CLASSES.match(question)
    return tuple(dict.fromkeys(name.strip() for name in found[1].split(",") if name.strip())) if found else ()


def as_written(item: Item, _sources: Sources) -> str:
    """Return the question as the prompt, for files that hold whole prompts."""
    return item.question


@dataclass(frozen=True)
class Benchmark:
    """One benchmark.

    Attributes:
        name: Name on the command line.
        summary: Subject of the measurement, in a few words.
        files: The files that `--images` and `--questions` must name.
        read: Reads its files; what cannot be used is counted in the report and left out.
        prompt: Prompt of an item, with task token and regions, in the dialect of the sources.
        scorer: A name of `SCORERS`.
        max_new_tokens: Maximum number of tokens of the answer.
        headline: Rules that summaries show.
        published: Figures of other systems, in percent, by rule and system.
        choices: Closed set of answers to a question, which `--choices` offers; empty for a free answer.
        generates_images: Whether its images are generated into `Sources.rendered`, not found in `Sources.images`.
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
    generates_images: Callable[[Sources], bool] = lambda _sources: False


def read_items(
    path: Path, report: Report, make: Callable[[JsonObject, int], Item | None], member: str = ""
) -> Iterator[Item]:
    """Read the items of a file; rows that `make` cannot use are counted and skipped.

    Args:
        path: As of `read_objects`.
        report: Counts used and unused items.
        make: None passes over a row that is meant for another purpose. May raise KeyError for a missing field, and
            ValueError or TypeError for a malformed one.
        member: As of `read_objects`.
    """
    for number, (where, row) in enumerate(read_objects(path, report, member)):
        try:
            item = make(row, number)
        except KeyError as error:
            report.skip(f"it has no field {error}", where)
        except (TypeError, ValueError, OSError) as error:  # OSError: a name no file can have
            report.skip(f"malformed: {error}", where)
        else:
            if item is not None:
                report.used += 1
                yield item


def text(row: JsonObject, *names: str) -> str:
    """Return the first field of `names` that is present, which must hold text or a number.

    Raises:
        KeyError: There is none.
        TypeError: It holds something else.
    """
    name = next((name for name in names if row.get(name) is not None), None)
    if name is None:
        raise KeyError(" or ".join(names))
    value = row[name]
    if not isinstance(value, str | int | float) or isinstance(value, bool):
        raise TypeError(f"{name} is a {type(value).__name__}, not text")
    return str(value)


def name_of(row: JsonObject, number: int, field: str = "question_id") -> str | int:
    """Return the id of a question: the file's, or its number where the file has none."""
    name = row.get(field)
    return name if isinstance(name, str | int) and not isinstance(name, bool) else number


def image_name(row: JsonObject, *names: str) -> str:
    """Return the image's name from the first field that is present; it must not lead out of its folder.

    Raises:
        KeyError: There is none.
        ValueError: It leads elsewhere.
    """
    name = text(row, *names)
    if Path(name).is_absolute() or ".." in Path(name).parts:
        raise ValueError("its image's name leads out of the folder of images")
    return name
