"""Training data of geochat-small: images and files for `geochat train`.

`python -m geochat_small.conversations --imagery DIR --out DIR` draws views of the photographs, composites, mosaics and
rendered scenes of `geochat_mini`, under the same terms and from the same train parts. `align.jsonl` has a caption for
each view. `instruct.jsonl` has 8 to 12 questions for each: half of the views have them in one conversation, the others
in several shorter ones, which `--share-images` puts into one row. Existing files are kept, so an interrupted run
resumes.
"""

import argparse
import logging
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from geochat.files import atomic_draft
from geochat.prompts import Message, Task
from geochat.prompts.phrases import with_article
from geochat_data.questions import QAPair
from geochat_data.questions.builders import caption
from geochat_data.questions.subject import Subject
from geochat_data.records import LabelledImage
from geochat_data.samples import Sample, read_samples, write_samples
from geochat_mini import shape
from geochat_mini.classes import present
from geochat_mini.material import Material, gather
from geochat_mini.number_tokens import MINI
from geochat_mini.paraphrases import paraphrases
from geochat_mini.questions import a_scene, draw_pairs, renamed
from geochat_mini.recipe import instruction_pools
from geochat_mini.views import Views
from geochat_small.follow_ups import follow_ups
from geochat_small.spoken import topics

_LOG = logging.getLogger(__name__)
_FEWEST, _MOST = 8, 12  # questions a view
_LEAST = 5  # questions of a view whose labels know no more; it is left out below
_WHOLE = 0.5  # share of the views whose questions are one conversation
_TOGETHER = 4  # most turns of a shorter conversation
_FOLLOWED = 0.5  # share of the questions that are followed up, where the labels know the answer
_SPOKEN = 0.12  # share of the turns that no label answers: refusals, greetings, thanks
_QUALITY = 95  # of JPEG
_HINT = "Answer the question using"  # closes the wordings that ask for one word


def dialogue(
    view: LabelledImage, rng: random.Random, known: frozenset[str] = frozenset()
) -> list[list[tuple[str, str]]] | None:
    """Build the conversations about a view: turns of a question and an answer; None if its labels offer too little.

    Args:
        view: The view of the question.
        rng: Random generator.
        known: Objects that are known to be there though no box says where.
    """
    view = renamed(view, rng)
    subject = Subject(view, rng, MINI)
    groups: list[list[tuple[str, str]]] = []
    for pair in draw_pairs(view, rng, known):
        more = follow_ups(subject, pair) if rng.random() < _FOLLOWED else []
        groups.append([(pair.question, spoken_answer(pair)), *more])
    wanted = rng.randint(_FEWEST, _MOST)
    while groups and sum(map(len, groups)) > wanted:
        groups.pop()
    if sum(map(len, groups)) < _LEAST:
        return None
    for _ in range(sum(rng.random() < _SPOKEN for group in groups for _ in group)):
        groups.insert(rng.randint(0, len(groups)), [rng.choice(topics("image")).draw(rng)])
    if rng.random() < _WHOLE:
        return [[turn for group in groups for turn in group]]
    return list(_joined(groups, rng))


def _joined(groups: Sequence[list[tuple[str, str]]], rng: random.Random) -> Iterator[list[tuple[str, str]]]:
    """Join conversations of a few turns, keeping follow-ups with their question."""
    talk: list[tuple[str, str]] = []
    for group in groups:
        if talk and len(talk) + len(group) > rng.randint(1, _TOGETHER):
            yield talk
            talk = []
        talk = [*talk, *group]
    yield talk


def spoken_answer(pair: QAPair) -> str:
    """Return the answer as a sentence if the question is paraphrased and does not ask for a single word."""
    if pair.task is Task.SCENE and not pair.kind:
        return f"This is {a_scene(pair.answer)}."
    if pair.task is not Task.VQA or _HINT in pair.question or not pair.about:
        return pair.answer
    if pair.kind == "presence":
        there = with_article(pair.about) if pair.answer == "yes" else f"no {pair.about}"
        return f"{pair.answer.capitalize()}, there is {there}."
    if pair.kind == "count":
        return "There are none." if pair.answer == "0" else f"There {_is(pair.answer)} {pair.answer}."
    return pair.answer


def _is(count: str) -> str:
    return "is" if count == "1" else "are"


def described(view: LabelledImage, rng: random.Random) -> list[list[tuple[str, str]]] | None:
    """Build a request for a caption; None if neither captions nor labels describe the view."""
    pair = caption(Subject(view, rng, MINI, wording="varied"))
    if pair is None:
        return None
    asked = rng.choice(paraphrases()["caption"].trained) if rng.random() < 0.5 else pair.question
    return [[(asked, pair.answer)]]


Maker = Callable[[LabelledImage, random.Random], list[list[tuple[str, str]]] | None]


def write(material: Material, out: Path, name: str, make: Maker, *, count: int, seed: int) -> None:
    """Write `count` views below `out/images` and their conversations into `out/NAME.jsonl`, unless it exists.

    Raises:
        DataError: The folder cannot be written to.
    """
    target = out / f"{name}.jsonl"
    if target.is_file():
        return
    (out / "images" / name).mkdir(parents=True, exist_ok=True)

    def item(
        view: LabelledImage, rng: random.Random, _: int | None
    ) -> tuple[LabelledImage, list[list[tuple[str, str]]]] | None:
        talks = make(view, rng)
        return (view, talks) if talks else None

    views = Views(instruction_pools(material), item, size=shape.CHAT_SIZE, length=count, seed=f"{seed}/small/{name}")

    def samples() -> Iterator[Sample]:
        for index in range(count):
            view, talks = views[index]
            image = f"{name}/{index:06d}.jpg"
            _save(out / "images" / image, view)
            for number, talk in enumerate(talks):
                yield sample(f"{name}-{index}-{number}", image, talk)
            if (index + 1) % 500 == 0:
                _LOG.info("%s: %d of %d views", name, index + 1, count)

    write_samples(target, samples())


def sample(name: str, image: str | None, talk: Sequence[tuple[str, str]]) -> Sample:
    """Convert turns to a training sample."""
    messages = [message for asked, said in talk for message in (Message("user", asked), Message("assistant", said))]
    return Sample(name, image, tuple(messages))


def _save(path: Path, view: LabelledImage) -> None:
    if not path.is_file():
        with atomic_draft(path) as part:
            Image.fromarray(np.asarray(view.pixels)).save(part, "JPEG", quality=_QUALITY)


def mixed(out: Path, text: Path, *, share: float, seed: int) -> None:
    """Write `out/train.jsonl`: conversations about images, and a share without an image, shuffled.

    Args:
        out: Folder of `instruct.jsonl`.
        text: Conversations about no image; repeated as often as needed.
        share: Share of the rows.
        seed: Seed of the order.
    """
    target = out / "train.jsonl"
    if target.is_file():
        return
    about = list(read_samples(out / "instruct.jsonl"))
    spoken = list(read_samples(text))
    rows = len({each.image for each in about})
    wanted = round(rows * share / (1 - share))
    extra = [replace(spoken[n % len(spoken)], id=f"text-{n}") for n in range(wanted)] if spoken else []
    together = [*about, *extra]
    random.Random(seed).shuffle(together)
    _LOG.info("%d conversations about %d images, %d about none", len(about), rows, len(extra))
    write_samples(target, together)


def main() -> None:
    """Parse, gather, write."""
    parser = argparse.ArgumentParser(prog="python -m geochat_small.conversations", description=__doc__)
    parser.add_argument("--imagery", type=Path, required=True, help="folder with ucm/ and more/")
    parser.add_argument("--out", type=Path, required=True, help="folder for images, caches and training files")
    parser.add_argument("--text", type=Path, help="file of `geochat_small.text_chat` (default: text.jsonl in OUT)")
    parser.add_argument("--sources", choices=("permissive", "all"), default="all", help="whose terms allow what")
    parser.add_argument("--composites", type=int, default=3000, help="composites to make")
    parser.add_argument("--mosaics", type=int, default=2000, help="mosaics to put together")
    parser.add_argument("--rendered", type=int, default=6000, help="synthetic scenes to render")
    parser.add_argument("--align", type=int, default=4000, help="views with a caption")
    parser.add_argument("--instruct", type=int, default=9000, help="views with questions")
    parser.add_argument("--share", type=float, default=0.12, help="share of rows about no image")
    parser.add_argument("--seed", type=int, default=11)
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    made = {"composites": args.composites, "mosaics": args.mosaics, "rendered": args.rendered}
    material = gather(args.imagery, args.out, terms=args.sources, seed=args.seed, **made)
    photographs = {image.name or "": image for image in material.photographs}
    known = {name: present(image.scene, image.captions) for name, image in photographs.items()}

    def asked(view: LabelledImage, rng: random.Random) -> list[list[tuple[str, str]]] | None:
        return dialogue(view, rng, known.get(view.name or "", frozenset()))

    write(material, args.out, "align", described, count=args.align, seed=args.seed)
    write(material, args.out, "instruct", asked, count=args.instruct, seed=args.seed)
    mixed(args.out, args.text or args.out / "text.jsonl", share=args.share, seed=args.seed)


if __name__ == "__main__":
    main()
