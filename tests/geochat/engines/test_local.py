import threading
from dataclasses import replace

import pytest
import torch
from PIL import Image

from geochat.checkpoints import Checkpoint
from geochat.engines import GenerationSettings, LocalEngine, Request
from geochat.engines.local import suppressed_tokens
from geochat.engines.writing import Detokenizer
from geochat.errors import CheckpointError, ContextLengthError, PromptError
from geochat.prompts import Message


@pytest.fixture(scope="module")
def engine(checkpoint):
    return LocalEngine(checkpoint)


@pytest.fixture
def image():
    return Image.linear_gradient("L").resize((60, 40)).convert("RGB")


def ask(text="What is in the image?", image=None, **generation):
    images = () if image is None else (image,)
    return Request((Message("user", text),), images, GenerationSettings(**{"max_new_tokens": 24, **generation}))


def reference(checkpoint: Checkpoint, text, image, **options):
    """What transformers' own `generate` writes, token ids without the prompt."""
    processor = checkpoint.processor
    content = [{"type": "image"}] * (image is not None) + [{"type": "text", "text": text}]
    prompt = processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
    inputs = processor(text=prompt, images=image, add_special_tokens=False, return_tensors="pt")
    tokenizer = processor.tokenizer
    padding = range(len(tokenizer), checkpoint.model.config.text_config.vocab_size)
    silent = [i for i in tokenizer.all_special_ids if i != tokenizer.eos_token_id]
    output = checkpoint.model.generate(
        **inputs,
        max_new_tokens=24,
        do_sample=False,
        suppress_tokens=[*silent, *padding],
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.eos_token_id,
        return_dict_in_generate=True,
        output_logits=True,
        **options,
    )
    return output, inputs["input_ids"].shape[1]


def streamed(tokenizer, ids):
    """A random model writes invalid bytes, for which decoding at once and by pieces differ."""
    detokenizer = Detokenizer(tokenizer)
    return ("".join(map(detokenizer.feed, ids)) + detokenizer.close()).lstrip()


@pytest.mark.parametrize("with_image", [True, False])
@pytest.mark.parametrize("text", ["What is in the image?", "near the harbor", "two small vehicles"])
def test_greedy_answers_equal_transformers(engine, checkpoint, image, text, with_image):
    shown = image if with_image else None
    output, prompt = reference(checkpoint, text, shown)
    ids = output.sequences[0, prompt:]
    completion = engine.generate(ask(text, shown))
    assert completion.text == streamed(checkpoint.processor.tokenizer, ids.tolist())
    assert completion.usage.prompt_tokens == prompt
    assert completion.usage.completion_tokens == len(ids)


def test_the_image_counts_and_matters(engine, image):
    blind, seen = engine.generate(ask()), engine.generate(ask(image=image))
    assert seen.usage.prompt_tokens >= blind.usage.prompt_tokens + 4
    inverted = image.point(lambda value: 255 - value)
    scores = [completion.tokens[0].logprob for completion in (seen, engine.generate(ask(image=inverted)))]
    assert scores[0] != scores[1]


def test_the_stream_joins_to_the_completion(engine, image):
    chunks = list(engine.stream(ask(image=image)))
    completion = engine.generate(ask(image=image))
    assert "".join(chunk.text for chunk in chunks) == completion.text
    assert [chunk.finish for chunk in chunks[:-1]] == [None] * (len(chunks) - 1)
    assert chunks[-1].finish == completion.finish
    assert len(chunks) > 3


def test_logprobs_are_those_of_a_full_forward_pass(engine, checkpoint, image):
    output, prompt = reference(checkpoint, "What is in the image?", image)
    suppressed = suppressed_tokens(checkpoint, engine._encoder.ends)
    expected = [
        torch.log_softmax(logits[0].index_fill(-1, suppressed, float("-inf")), -1)[token].item()
        for logits, token in zip(output.logits, output.sequences[0, prompt:], strict=True)
    ]
    tokens = engine.generate(ask(image=image)).tokens
    assert [token.logprob for token in tokens] == pytest.approx(expected, abs=1e-4)


def test_only_text_is_generated(checkpoint):
    """Even a model that puts all its mass on padding rows and the image token writes text."""
    engine = LocalEngine(checkpoint)
    tokenizer = checkpoint.processor.tokenizer
    silent = [*range(len(tokenizer), len(tokenizer) + 20), tokenizer.convert_tokens_to_ids("<image>")]
    head = checkpoint.model.lm_head

    def tempt(_module, _inputs, logits):
        return logits.index_fill(-1, torch.tensor(silent), 1e4)

    hook = head.register_forward_hook(tempt)
    try:
        completion = engine.generate(ask(temperature=1.0, seed=1))
    finally:
        hook.remove()
    assert completion.usage.completion_tokens > 0
    assert "<image>" not in completion.text
    assert all(token.logprob > float("-inf") for token in completion.tokens)


def test_a_stop_string_ends_the_answer(engine, image):
    whole = engine.generate(ask(image=image))
    stop = whole.text[5:9]
    cut = engine.generate(ask(image=image, stop=(stop,)))
    assert cut.text == whole.text[: whole.text.index(stop)]
    assert cut.finish == "stop"
    assert cut.usage.completion_tokens < whole.usage.completion_tokens


def test_the_end_token_ends_the_answer(engine, checkpoint):
    end = checkpoint.processor.tokenizer.eos_token_id
    step = iter(range(100))

    def finish_at_third(_module, _inputs, logits):
        return logits.index_fill(-1, torch.tensor([end]), 1e4 if next(step) == 2 else -1e4)

    hook = checkpoint.model.lm_head.register_forward_hook(finish_at_third)
    try:
        completion = engine.generate(ask())
    finally:
        hook.remove()
    assert completion.finish == "stop"
    assert completion.usage.completion_tokens == 3
    assert "</s>" not in completion.text
    assert completion.tokens[-1].start == completion.tokens[-1].end


def test_the_budget_ends_the_answer(engine):
    completion = engine.generate(ask(max_new_tokens=5))
    assert completion.finish == "length"
    assert completion.usage.completion_tokens == 5


def test_sampling_repeats_with_its_seed_and_leaves_the_global_generator_alone(engine):
    state = torch.get_rng_state()
    first, again, other = (engine.generate(ask(temperature=1.5, top_p=0.95, seed=seed)).text for seed in (1, 1, 2))
    unseeded = {engine.generate(ask(temperature=1.5)).text for _ in range(3)}
    assert first == again != other
    assert len(unseeded) > 1
    assert torch.equal(torch.get_rng_state(), state)


def test_a_tiny_nucleus_or_temperature_is_greedy(engine):
    greedy = engine.generate(ask()).text
    assert engine.generate(ask(temperature=1.0, top_p=1e-6, seed=3)).text == greedy
    assert engine.generate(ask(temperature=1e-30, seed=3)).text == greedy


def test_inference_mode_does_not_leak_between_chunks(engine):
    stream = engine.stream(ask())
    next(stream)
    assert not torch.is_inference_mode_enabled()


def test_an_input_beyond_the_context_says_by_how_much(engine, image):
    prompt = engine.generate(ask(image=image, max_new_tokens=1)).usage.prompt_tokens
    engine.stream(ask(image=image, max_new_tokens=256 - prompt))
    with pytest.raises(ContextLengthError, match=rf"{prompt} tokens .* 3 more than the model's context of 256"):
        engine.stream(ask(image=image, max_new_tokens=256 - prompt + 3))


def test_an_image_needs_a_user_turn(engine, image):
    with pytest.raises(PromptError, match="no user turn"):
        engine.stream(Request((Message("system", "Be brief."),), (image,)))


def test_more_images_than_it_takes_are_refused(engine, image):
    with pytest.raises(PromptError, match="2 images are given and tiny takes 1 a question"):
        engine.stream(replace(ask(image=image), images=(image, image)))


def test_a_later_turn_keeps_the_image_in_the_first(engine, image):
    turns = (Message("user", "near"), Message("assistant", "the harbor"), Message("user", "near"))
    one = engine.generate(replace(ask(image=image), messages=turns[:1]))
    three = engine.generate(replace(ask(image=image), messages=turns))
    assert three.usage.prompt_tokens > one.usage.prompt_tokens
    assert three.text != one.text


def test_nan_is_an_error_not_an_answer(engine, checkpoint):
    hook = checkpoint.model.lm_head.register_forward_hook(lambda _m, _i, logits: logits * float("nan"))
    try:
        with pytest.raises(CheckpointError, match="NaN"):
            engine.generate(ask())
    finally:
        hook.remove()


def test_answers_do_not_mix_across_threads(engine, image):
    expected = {text: engine.generate(ask(text, image)).text for text in ("near", "two small vehicles")}
    found = {}

    def work(text):
        found[text] = engine.generate(ask(text, image)).text

    threads = [threading.Thread(target=work, args=(text,)) for text in expected]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == expected
