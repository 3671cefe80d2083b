"""Conversations: true answers, balanced answers, held-out wordings, dialogues."""

import random
import re
from collections import Counter
from dataclasses import replace

import pytest

from geochat.dialects import GEOCHAT
from geochat.prompts import Task
from geochat_data.questions import (
    FULL_SHARES,
    AnswerBalance,
    build_conversation,
    build_dialogue,
    wordings,
)
from geochat_data.readers import DataSource, read, read_ucm

TRAFFIC = (
    ("car", "white", 20, 20, 60, 30),
    ("car", "red", 240, 250, 30, 16),
    ("ship", "black", 140, 140, 30, 20),
)


def turns_of(image, shares, count=60, **options):
    conversations = (
        build_conversation(image, random.Random(s), dialect=GEOCHAT, turns=1, shares=shares, **options)
        for s in range(count)
    )
    return [turn for conversation in conversations for turn in conversation]


def test_positions_and_colours_are_those_of_the_object(painted):
    image = painted(*TRAFFIC)
    places = {(t.question.split("\n")[0], t.answer) for t in turns_of(image, {"position": 1})}
    assert ("Where is the largest car in the image?", "top left") in places
    assert ("Where is the ship in the image?", "center") in places
    assert not any("leftmost" in question or " at the " in question for question, _ in places)
    colours = {(t.question.split("\n")[0], t.answer) for t in turns_of(image, {"colour": 1})}
    assert ("What is the color of the largest car?", "white") in colours
    assert ("What is the color of the car at the bottom right?", "red") in colours


def test_grounded_descriptions_may_tell_colour_and_place(painted):
    image = painted(*TRAFFIC, ("airplane", "white", 20, 200, 30, 20), ("airplane", "white", 80, 200, 30, 20))
    plain, rich = (turns_of(image, {"grounding": 1}, 1, rich=rich)[0].answer for rich in (False, True))
    assert re.sub(r" ?(\{.+?\})(<delim>)?", "", plain) == (
        "The image shows <p>2 airplanes</p>, <p>2 cars</p> and <p>a ship</p>."
    )
    assert re.sub(r" ?(\{.+?\})(<delim>)?", "", rich) == (
        "The image shows <p>2 white airplanes</p>, <p>2 cars</p> and <p>a black ship</p> in the center."
    )


def test_what_is_not_there_is_said_not_to_be_there(painted):
    image = painted(("car", "white", 20, 20, 60, 30))
    for turn in turns_of(image, {"negative": 1}, wording="varied"):
        named = re.fullmatch(r"There is no (.+) in the image\.", turn.answer)[1]
        assert named != "car"
        assert named in turn.question


@pytest.mark.parametrize("kind", FULL_SHARES)
def test_held_out_wordings_are_never_trained_on(kind, painted):
    image = painted(*TRAFFIC)

    def skeletons(wording):
        found = turns_of(image, {kind: 1}, 40, wording=wording, rich=True, scenes=("airplane", "river"))
        return {skeleton(turn.question, kind) for turn in found}

    trained, measured = skeletons("varied"), skeletons("held out")
    assert trained
    assert measured
    assert not trained & measured


def skeleton(question, kind):
    """The wording of a question, found among those of its kind."""
    pools, question = getattr(wordings, kind.upper()), question.replace("Where are <p>", "Where is <p>")
    found = {
        pattern
        for pattern in (*pools.published, *pools.varied, *pools.held_out)
        if re.search(re.sub(r"\\\{\w+\\\}", "(.+)", re.escape(pattern)), question, re.IGNORECASE)
    }
    return max(found, key=len)


def test_all_wordings_are_different():
    kinds = [pools for pools in vars(wordings).values() if isinstance(pools, wordings.Wordings)]
    assert len(kinds) == len(FULL_SHARES)
    for pools in kinds:
        every = (*pools.published, *pools.varied, *pools.held_out)
        assert len(set(every)) == len(every)
        assert len(pools.held_out) > 1


def test_answers_over_a_data_set_are_balanced(painted):
    rng, balance, answers = random.Random(0), AnswerBalance(), {"presence": Counter(), "count": Counter()}
    for _ in range(400):
        number = min(6, 1 + int(rng.expovariate(1)))
        image = painted(*(("car", "white", 20 + 40 * k, 20, 30, 16) for k in range(number)))
        image = replace(image, labelled=frozenset({"car", *rng.sample(["ship", "airplane"], rng.choice((0, 0, 1)))}))
        for turn in build_conversation(
            image, rng, dialect=GEOCHAT, shares={"presence": 1, "count": 1}, balance=balance
        ):
            answers[turn.kind][turn.answer] += 1
    assert 0.8 < answers["presence"]["yes"] / answers["presence"]["no"] < 1.25
    counts = answers["count"]
    assert counts["1"] < 2 * counts.total() / len(counts) + 10


def test_dialogues_build_on_what_was_said(painted):
    image = painted(("car", "white", 20, 20, 60, 30), ("car", "red", 240, 250, 30, 16))
    dialogue = build_dialogue(image, random.Random(0), dialect=GEOCHAT)
    questions, answers = zip(*((turn.question, turn.answer) for turn in dialogue), strict=True)
    assert answers[0] == "There are two cars in the image."
    assert questions[1].startswith("[refer]")
    assert "cars" not in questions[1]
    assert len(GEOCHAT.parse(answers[1]).regions) == 2
    assert ("In which part of the image is the largest one?", "It is at the top left of the image.") in zip(
        questions, answers, strict=True
    )
    assert re.fullmatch(r"No, there is no .+ in the image\.", answers[-1])
    assert build_dialogue(painted(), random.Random(0), dialect=GEOCHAT) == ()


def test_six_to_ten_questions_of_real_photographs(shared):
    asked, tasks = Counter(), Counter()
    photographs = [i for i in read_ucm(shared / "imagery" / "ucm", "train") if i.objects][:30]
    vehicles = list(read("boxes", DataSource(shared / "imagery" / "hit-uav", split="val")))[:10]
    for index, image in enumerate([*photographs, *vehicles]):
        conversation = build_conversation(
            image,
            random.Random(index),
            dialect=GEOCHAT,
            turns=8,
            shares=FULL_SHARES,
            wording="varied",
            rich=True,
            balance=AnswerBalance(),
        )
        asked[len(conversation)] += 1
        for turn in conversation:
            tasks[turn.kind] += 1
            assert not GEOCHAT.parse(turn.question + turn.answer).problems
            assert (turn.task is Task.REFER) == turn.question.startswith("[refer]")
    assert sum(count for turns, count in asked.items() if turns >= 6) > 30
    assert set(tasks) == set(FULL_SHARES)
