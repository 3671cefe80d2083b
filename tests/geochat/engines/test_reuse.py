import copy
import threading
from collections import Counter

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from peft import LoraConfig, inject_adapter_in_model
from peft.tuners.tuners_utils import BaseTunerLayer
from PIL import Image

from geochat.engines import EngineLimits, LocalEngine

WORDS = ["near", "USER", "What is in the image?", "A large airplane and two small vehicles near the harbor."]


@pytest.fixture
def fresh(checkpoint):
    return LocalEngine(checkpoint)


@pytest.fixture(scope="module")
def answers(checkpoint):
    """What each request is answered without anything kept."""
    engine, known = LocalEngine(checkpoint, EngineLimits(prefix_bytes=0)), {}

    def answer(request):
        key = (request.messages, tuple(image.tobytes() for image in request.images), request.generation)
        if key not in known:
            known[key] = engine.generate(request)
        return known[key]

    return answer


def test_the_second_question_about_an_image_pays_only_for_itself(fresh, answers, ask, picture, passes, images_read):
    first = fresh.generate(ask("near", image=picture(), max_new_tokens=1))
    second = ask("What is in the image?", image=picture(), max_new_tokens=1)
    completion = fresh.generate(second)
    assert completion == answers(second)
    image_end = first.usage.prompt_tokens - passes[0][1]
    assert passes[1] == (1, completion.usage.prompt_tokens - image_end)
    assert images_read[0] == 1
    stats = fresh.prefix_stats
    assert (stats.hits, stats.misses, stats.reused_tokens) == (1, 1, image_end)


def test_a_later_turn_pays_only_for_what_is_new(fresh, answers, ask, picture, passes):
    question = "A large airplane and two small vehicles near the harbor, " * 3
    first = fresh.generate(ask(question, image=picture()))
    passes.clear()
    later = ask(question, first.text, "near", image=picture())
    completion = fresh.generate(later)
    assert completion.text == answers(later).text
    assert passes[0][1] <= completion.usage.prompt_tokens - first.usage.prompt_tokens + 1


def test_equal_pixels_are_one_image_and_unequal_ones_are_not(fresh, ask, picture, images_read):
    for image in (picture(1), picture(1).copy(), picture(2), picture(1).convert("RGBA")):
        fresh.generate(ask(image=image, max_new_tokens=1))
    assert len(images_read) == 2


def test_equal_bytes_in_another_shape_are_another_image(fresh, ask, images_read):
    for size in ((60, 40), (40, 60)):
        fresh.generate(ask(image=Image.new("RGB", size), max_new_tokens=1))
    assert len(images_read) == 2


conversations = st.tuples(
    st.integers(0, 2),  # which image, 0 for none
    st.lists(st.sampled_from(WORDS), min_size=1, max_size=4),  # the turns, in turn the user's and the assistant's
    st.integers(1, 6),  # budget
).map(lambda drawn: (drawn[0], drawn[1][: (len(drawn[1]) - 1) // 2 * 2 + 1], drawn[2]))


@given(
    schedule=st.lists(st.lists(conversations, min_size=1, max_size=4), min_size=1, max_size=6),
    room=st.sampled_from([0, 10_000, 60_000, 1 << 30]),
    rows=st.sampled_from([1, 3, 32]),
)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_schedule_of_requests_is_answered_as_if_nothing_were_kept(
    checkpoint, answers, ask, picture, finished, schedule, room, rows
):
    """Several turns, branches of one conversation, several images, alone and in batches, with much and little room."""
    engine = LocalEngine(checkpoint, EngineLimits(prefix_bytes=room, batch_rows=rows))
    for conversations in schedule:
        requests = [
            ask(*turns, image=picture(image) if image else None, max_new_tokens=budget)
            for image, turns, budget in conversations
        ]
        results = [engine.generate(requests[0])] if len(requests) == 1 else finished(engine, requests)
        for request, result in zip(requests, results, strict=True):
            expected = answers(request)
            assert (result.text, result.finish, result.usage) == (expected.text, expected.finish, expected.usage)
        assert engine.prefix_stats.bytes <= room


def test_threads_get_their_own_answers(checkpoint, answers, ask, picture, finished):
    engine = LocalEngine(checkpoint, EngineLimits(prefix_bytes=60_000))
    requests = [ask(text, image=picture(i % 3), max_new_tokens=6) for i, text in enumerate(WORDS * 3)]
    expected = Counter(answers(request).text for request in requests)
    found = []

    def work(offset):
        mine = requests[offset:] + requests[:offset]
        texts = [engine.generate(request).text for request in mine[:6]]
        texts += [result.text for result in finished(engine, mine[6:])]
        found.append(Counter(texts))

    threads = [threading.Thread(target=work, args=(offset,)) for offset in (0, 3, 7)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [expected] * 3


def test_the_bounds_are_kept_and_seen(checkpoint, ask, picture):
    engine = LocalEngine(checkpoint, EngineLimits(prefix_bytes=60_000))
    for number in range(12):
        engine.generate(ask(image=picture(number), max_new_tokens=2))
    stats = engine.prefix_stats
    assert 0 < stats.bytes <= stats.max_bytes == 60_000
    assert stats.evictions > 0
    engine.forget_prefixes()
    assert engine.prefix_stats.bytes == 0


def test_off_keeps_nothing(checkpoint, ask, picture, images_read):
    engine = LocalEngine(checkpoint, EngineLimits(prefix_bytes=0))
    for _ in range(2):
        engine.generate(ask(image=picture(), max_new_tokens=1))
    assert len(images_read) == 2
    assert engine.prefix_stats.bytes == 0


def test_what_one_adapter_read_is_not_used_with_another(checkpoint, ask, picture):
    """The language model is adapted after its first question, and the adapter switched off after its second."""
    model = copy.deepcopy(checkpoint.model)
    engine = LocalEngine(type(checkpoint)(model, checkpoint.processor, checkpoint.settings, checkpoint.path))
    question = ask(image=picture())
    plain = engine.generate(question).text
    config = LoraConfig(r=4, target_modules=["q_proj", "v_proj"], init_lora_weights=False)
    torch.manual_seed(0)
    inject_adapter_in_model(config, model.model.language_model)
    adapted = engine.generate(question).text
    assert adapted != plain
    assert engine.prefix_stats.hits == 0
    for module in model.modules():
        if isinstance(module, BaseTunerLayer):
            module.enable_adapters(False)
    assert engine.generate(question).text == plain
    assert engine.prefix_stats.hits == 0
