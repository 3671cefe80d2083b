"""A closed set of answers is scored as a plain forward pass over the whole conversation scores it."""

import math

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from geochat.checkpoints import Checkpoint, load
from geochat.engines import EngineLimits, LocalEngine
from geochat.errors import CheckpointError, ContextLengthError, PromptError
from geochat.prompts import Message
from geochat_data.encoding import IGNORED, encode, image_token_count

CLASSES = ["harbor", "two small vehicles", "A large airplane", "airplane", "A large", "Straße 東京 🛰️", "a", "polite"]
LIKE_THE_PROMPT = "A large airplane and two small vehicles near the harbor."


def plain(checkpoint: Checkpoint, request) -> list[tuple[float, int]]:
    """Mean log-probability of what training labels, and how much that is: a pass of the model for each choice."""
    processor, found = checkpoint.processor, []
    options = {"image_tokens": image_token_count(processor) * len(request.images), "max_length": 4096}
    pixels = processor.image_processor(request.images[0], return_tensors="pt") if request.images else {}
    for choice in request.choices:
        example = encode((*request.messages, Message("assistant", choice)), processor, **options)
        ids, labels = torch.tensor([example.input_ids]), torch.tensor(example.labels)[1:]
        with torch.inference_mode():
            logits = checkpoint.model(input_ids=ids, **pixels).logits[0, :-1]
        turn = int((labels == IGNORED).nonzero()[-1]) + 1  # the last one
        logprobs = torch.log_softmax(logits, -1).gather(-1, ids[0, 1:, None])[turn:, 0]
        found.append((logprobs.mean().item(), len(logprobs)))
    return found


def check(checkpoint, request, completion):
    expected = plain(checkpoint, request)
    means = [mean for mean, _ in expected]
    assert [score.text for score in completion.choices] == list(request.choices)
    assert [score.logprob for score in completion.choices] == pytest.approx(means, abs=1e-4)
    shares = np.exp(means) / np.exp(means).sum()
    assert [score.probability for score in completion.choices] == pytest.approx(shares, abs=1e-4)
    best = max(completion.choices, key=lambda score: score.logprob)
    length = expected[request.choices.index(best.text)][1]
    assert (completion.text, completion.finish) == (best.text, "stop")
    assert completion.usage.completion_tokens == len(completion.tokens) == length
    assert math.fsum(token.logprob for token in completion.tokens) / length == pytest.approx(best.logprob)
    assert [token.start for token in completion.tokens] == [0, *(token.end for token in completion.tokens[:-1])]
    assert completion.tokens[-1].end == len(completion.text)


@pytest.mark.parametrize("shown", [True, False])
@pytest.mark.parametrize("kept", [0, 1 << 30])
def test_a_plain_forward_pass_gives_the_same(checkpoint, ask, picture, shown, kept):
    engine = LocalEngine(checkpoint, EngineLimits(prefix_bytes=kept))
    for _ in range(2):  # the second time with what has been read
        request = ask(choices=CLASSES, image=picture() if shown else None)
        check(checkpoint, request, engine.generate(request))


def test_a_later_turn_too(engine, checkpoint, ask, picture):
    request = ask("near", "the harbor", "is it polite?", image=picture(), choices=CLASSES)
    check(checkpoint, request, engine.generate(request))


def test_a_tokenizer_may_join_a_choice_with_the_prompt(engine, checkpoint, ask, picture):
    """This one has seen the question and the answer so often that they share a token."""
    request = ask(image=picture(), choices=[LIKE_THE_PROMPT, "harbor"])
    assert engine._encoder.encode(request).turns[1].start > 0
    check(checkpoint, request, engine.generate(request))


@given(
    st.lists(
        st.text(st.characters(codec="utf-8", exclude_characters="<"), min_size=1, max_size=12),
        min_size=1,
        max_size=5,
        unique=True,
    )
)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_may_be_a_choice(engine, checkpoint, ask, choices):
    choices = list(dict.fromkeys(f"{choice}." for choice in choices))
    request = ask("near", choices=choices)
    completion = engine.generate(request)
    assert completion.text in choices
    assert [score.logprob for score in completion.choices] == pytest.approx(
        [mean for mean, _ in plain(checkpoint, request)], abs=1e-4
    )
    assert all(0 <= token.start <= token.end <= len(completion.text) for token in completion.tokens)


def test_one_choice_is_certain(engine, checkpoint, ask):
    request = ask(choices=["harbor"])
    (score,) = engine.generate(request).choices
    assert (score.text, score.probability) == ("harbor", 1.0)


@pytest.mark.parametrize("rows", [1, 7, 32])
def test_hundreds_are_read_a_few_at_a_time(checkpoint, ask, passes, rows):
    engine = LocalEngine(checkpoint, EngineLimits(batch_rows=rows))
    request = ask(choices=[f"{word} {number}" for word in ("near", "two small vehicles") for number in range(60)])
    completion = engine.generate(request)
    assert max(count for count, _ in passes) <= rows
    assert sum(count for count, _ in passes) == 121  # the prompt too
    some = [0, 7, 61, 119]
    fewer = ask(choices=[request.choices[index] for index in some])
    assert [completion.choices[index].logprob for index in some] == pytest.approx(
        [mean for mean, _ in plain(checkpoint, fewer)], abs=1e-4
    )


def test_the_prompt_is_read_once(engine, ask, picture, passes, images_read):
    prompt = engine.generate(ask(image=picture(5), max_new_tokens=1)).usage.prompt_tokens
    passes.clear()
    engine.generate(ask(image=picture(5), choices=CLASSES))
    (rows, question), (choices, length) = passes
    assert (rows, choices) == (1, len(CLASSES))
    assert question + length < prompt
    assert images_read == [1]


def test_choices_in_a_batch_are_scored_as_alone(checkpoint, ask, picture, finished):
    engine = LocalEngine(checkpoint, EngineLimits(prefix_bytes=0))
    requests = [
        ask("near", image=picture()),
        ask(image=picture(), choices=CLASSES),
        ask("near " * 300, choices=CLASSES),
        ask("USER", max_new_tokens=3),
        ask(image=picture(1), choices=CLASSES[:2]),
    ]
    results = finished(engine, requests)
    assert isinstance(results[2], ContextLengthError)
    for request, result in zip(requests, results, strict=True):
        if request is requests[2]:
            continue
        alone = engine.generate(request)
        assert (result.text, result.finish, result.usage) == (alone.text, alone.finish, alone.usage)
        assert [score.logprob for score in result.choices] == pytest.approx(
            [score.logprob for score in alone.choices], abs=1e-5
        )


def test_they_come_in_one_piece_and_leave_the_rest_of_the_settings_alone(engine, ask, picture):
    request = ask(image=picture(), choices=CLASSES, max_new_tokens=1, temperature=1.5, seed=1, stop=("a",))
    (chunk,) = engine.stream(request)
    assert chunk.text == engine.generate(ask(image=picture(), choices=CLASSES)).text
    assert chunk.finish == "stop"


def test_cancelled_between_two_passes_nothing_more_is_computed(checkpoint, ask, passes):
    engine = LocalEngine(checkpoint, EngineLimits(batch_rows=2))
    request = ask(choices=CLASSES)

    def cancel_at_second(*_):
        if len(passes) == 2:
            engine.cancel(request.id)

    hook = checkpoint.model.register_forward_pre_hook(cancel_at_second)
    try:
        (chunk,) = engine.stream(request)
    finally:
        hook.remove()
    assert (chunk.text, chunk.finish, chunk.choices, len(passes)) == ("", "cancelled", (), 2)


def test_cancelled_before_they_are_read_nothing_is_computed(engine, ask, picture, passes, images_read):
    request = ask(image=picture(9), choices=CLASSES)
    engine.cancel(request.id)
    assert engine.generate(request).finish == "cancelled"
    assert passes == images_read == []


@pytest.mark.parametrize(
    ("choices", "named"),
    [
        (["harbor", "airplane", "harbor"], "'harbor' is given twice"),
        (["harbor", " "], "choice 2 of 2 is empty"),
        (["harbor</s>"], "holds </s>"),
    ],
)
def test_what_is_no_set_of_answers_is_refused(engine, ask, choices, named):
    with pytest.raises(PromptError, match=named):
        engine.stream(ask(choices=choices))


def test_a_choice_beyond_the_context_is_refused(engine, ask):
    with pytest.raises(ContextLengthError, match=r"context of 256.*shorten the choices"):
        engine.stream(ask(choices=["harbor", "near " * 300]))


def test_nan_is_an_error_not_a_choice(engine, checkpoint, ask):
    hook = checkpoint.model.lm_head.register_forward_hook(lambda _m, _i, logits: logits * float("nan"))
    try:
        with pytest.raises(CheckpointError, match="NaN"):
            engine.generate(ask(choices=CLASSES))
    finally:
        hook.remove()


def test_the_bundled_model_chooses_as_a_plain_forward_pass_does(ask):
    checkpoint = load(device="cpu", dtype="float32")
    image = Image.effect_noise((300, 200), 60).convert("RGB")
    request = ask(
        "Classify the image.", image=image, choices=[*checkpoint.settings.scene_classes[:3], "volcano", "tennis"]
    )
    check(checkpoint, request, LocalEngine(checkpoint).generate(request))
