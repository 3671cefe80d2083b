import json
import re

import pytest
from transformers.utils.chat_template_utils import render_jinja_template

from geochat.errors import PromptError
from geochat.prompts import Message, chat_messages, chat_template


def render(messages, *, with_image=True, **options):
    texts, spans = render_jinja_template(
        [chat_messages(messages, with_image=with_image)],
        chat_template=chat_template(),
        bos_token="",
        eos_token="</s>",
        **options,
    )
    return texts[0], spans[0] if spans else []


def turns_of(prompt: str) -> list[Message]:
    """The messages of a prompt recorded from the original."""
    dialogue = prompt.split("questions. ", 1)[1].removesuffix(" ASSISTANT:")
    messages = []
    for exchange in dialogue.split("</s>"):
        question, *answer = exchange.removeprefix("USER: ").removeprefix("<image>\n").split(" ASSISTANT: ")
        messages += [Message("user", question), *(Message("assistant", a) for a in answer)]
    return messages


ORDINARY = ["vqa_single", "scene", "multi_turn", "identify", "identify_demo_example", "refer", "grounding",
            "grounding_multi_turn", "text_only", "unicode"]  # fmt: skip


@pytest.mark.parametrize("name", ORDINARY)
def test_renders_the_prompts_of_the_original(fixtures, name):
    prompt = json.loads((fixtures / "original.json").read_text(encoding="utf-8"))["prompts"][name]
    ours, _ = render(turns_of(prompt), with_image="<image>" in prompt, add_generation_prompt=True)
    assert ours == prompt


def test_the_training_prompt_of_the_original_is_one_system_message_away(fixtures):
    prompt = json.loads((fixtures / "original.json").read_text(encoding="utf-8"))["prompts"]["vicuna_v1_template"]
    system = Message("system", re.split(" USER: ", prompt)[0])
    ours, _ = render([system, Message("user", "How many buildings are flooded?")], add_generation_prompt=True)
    assert ours == prompt


def test_marks_what_the_assistant_says_and_its_end_token():
    messages = [Message("user", "a?"), Message("assistant", "one"), Message("user", "b?"), Message("assistant", "two")]
    text, spans = render(messages, return_assistant_tokens_mask=True)
    assert [text[start:end] for start, end in spans] == [" one</s>", " two</s>"]


@pytest.mark.parametrize("token", ["<image>", "</s>", "<s>"])
def test_reserved_tokens_cannot_be_smuggled_in(token):
    with pytest.raises(PromptError, match=re.escape(token)):
        Message("user", f"look {token} here")


def test_text_that_is_not_unicode_is_named():
    with pytest.raises(PromptError, match="udce9"):
        Message("user", "What is this caf\udce9?")


def test_an_image_needs_a_question():
    with pytest.raises(PromptError, match="no user turn"):
        chat_messages([Message("system", "hello")], with_image=True)
