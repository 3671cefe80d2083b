"""The 60 free-form questions, written before any training, with two rubrics.

`python -m geochat_small.free_questions --imagery DIR --model MODEL --out FILE` asks them in their conversations and
writes the answers as a page of Markdown, with the expected content of each and two empty columns for the judges'
scores. The questions and the rubrics are in `free_questions.json`, which no training reads.
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import groupby
from pathlib import Path
from typing import Any

from geochat import GeoChat
from geochat.engines import GenerationSettings, Request
from geochat.errors import DataError
from geochat.prompts import Message

_LONGEST = 120  # tokens of an answer


@dataclass(frozen=True)
class FreeQuestion:
    """One question of the 60.

    Attributes:
        conversation: Number of the conversation it is in.
        image: The image the conversation is about, below the imagery; None for one about no image.
        kind: "general", "image", "follow-up" or "refusal".
        question: The words.
        expected: Content of a correct answer.
    """

    conversation: int
    image: str | None
    kind: str
    question: str
    expected: str


@cache
def _read() -> dict[str, Any]:
    text = files(__package__).joinpath("free_questions.json").read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text)
    return found


def free_questions() -> list[FreeQuestion]:
    """Return all questions, conversation by conversation."""
    return [
        FreeQuestion(number, talk["image"], **turn)
        for number, talk in enumerate(_read()["conversations"])
        for turn in talk["turns"]
    ]


def rubrics() -> dict[str, str]:
    """Return the meaning of the scores 0 to 2, by rubric."""
    return dict(_read()["rubrics"])


def ask(chat: GeoChat, questions: Sequence[FreeQuestion], imagery: Path) -> Iterator[tuple[FreeQuestion, str]]:
    """Ask the questions greedily, each conversation with its earlier turns, and yield each with its answer.

    Raises:
        DataError: An image is not there.
    """
    generation = GenerationSettings(max_new_tokens=_LONGEST)
    for _, talk in groupby(questions, lambda question: question.conversation):
        turns = list(talk)
        if turns[0].image is None:
            messages: tuple[Message, ...] = ()
            for turn in turns:
                messages = (*messages, Message("user", turn.question))
                said = chat.engine.generate(Request(messages, generation=generation)).text.strip()
                messages = (*messages, Message("assistant", said or "..."))
                yield turn, said
            continue
        path = imagery / turns[0].image
        if not path.is_file():
            raise DataError(f"{path} is missing; give the folder that holds {turns[0].image} with --imagery")
        conversation = chat.start(path)
        for turn in turns:
            yield turn, conversation.ask(turn.question, generation=generation).text.strip()


def page(name: str, answers: Sequence[tuple[FreeQuestion, str]]) -> str:
    """Return the answers as Markdown: rubrics, then a table with a column for each score."""
    marks = rubrics()
    lines = [f"# {name}: {len(answers)} free questions", ""]
    lines += [f"- **{rubric}** {meaning}" for rubric, meaning in marks.items()]
    for image, talk in groupby(answers, lambda pair: (pair[0].conversation, pair[0].image)):
        lines += ["", f"**{image[1] or 'no image'}**", ""]
        lines += [f"| kind | question | answer | expected | {' | '.join(marks)} |", "|---|---|---|---|---|---|"]
        for question, said in talk:
            cells = (question.kind, question.question, said or "(empty)", question.expected, *[" "] * len(marks))
            lines.append(f"| {' | '.join(' '.join(cell.split()).replace('|', chr(92) + '|') for cell in cells)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Parse, ask, write."""
    parser = argparse.ArgumentParser(prog="python -m geochat_small.free_questions", description=__doc__)
    parser.add_argument("--imagery", type=Path, required=True, help="folder that holds ucm/")
    parser.add_argument("--model", help="checkpoint, adapter or bundled name (default: the bundled model)")
    parser.add_argument("--most", type=int, help="ask the first so many only")
    parser.add_argument("--out", type=Path, required=True, help="page to write, .md")
    args = parser.parse_args()
    chat = GeoChat.from_pretrained(args.model)
    answers = list(ask(chat, free_questions()[: args.most], args.imagery))
    args.out.write_text(page(chat.engine.info.name, answers), encoding="utf-8")


if __name__ == "__main__":
    main()
