"""Which chat templates are bounded, and that nothing else is ever rendered."""

import time

import pytest

from geochat.checkpoints import load
from geochat.checkpoints.templates import LONGEST, unbounded
from geochat.errors import CheckpointError
from geochat.prompts import chat_template

MESSAGES = "messages[0]['content']"
USED = {
    "GeoChat's own": chat_template(),
    "LLaVA 1.5": (
        "{% for message in messages %}"
        "{% if message['role'] != 'system' %}{{ message['role'].upper() + ': '}}{% endif %}"
        "{% for content in message['content'] | selectattr('type', 'equalto', 'image') %}{{ '<image>\n' }}{% endfor %}"
        "{% for content in message['content'] | selectattr('type', 'equalto', 'text') %}"
        "{% generation %}{{ content['text'] + ' '}}{% endgeneration %}{% endfor %}{% endfor %}"
        "{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}"
    ),
    "ChatML": (
        "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>'}}"
        "{% endfor %}"
    ),
    "Llama 2": (
        "{% if messages[0]['role'] == 'system' %}"
        "{% set turns = messages[1:] %}{% set system = messages[0]['content'] %}"
        "{% else %}{% set turns = messages %}{% set system = false %}{% endif %}{% for message in turns %}"
        "{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('alternate') }}{% endif %}"
        "{% if loop.index0 == 0 and system != false %}"
        "{% set content = '<<SYS>>\n' + system + '\n<</SYS>>\n\n' + message['content'] %}"
        "{% else %}{% set content = message['content'] %}{% endif %}"
        "{% if message['role'] == 'user' %}{{ bos_token + '[INST] ' + content.strip() + ' [/INST]' }}"
        "{% elif message['role'] == 'assistant' %}{{ ' '  + content.strip() + ' ' + eos_token }}{% endif %}{% endfor %}"
    ),
    "Llama 3": (
        "{% for message in messages %}{% set content = '<|start|>' + message['role'] + message['content'] | trim %}"
        "{% if loop.index0 == 0 %}{% set content = bos_token + content %}{% endif %}{{ content }}{% endfor %}"
    ),
    "a counter": (
        "{% set seen = namespace(images=0) %}{% for message in messages %}{% for part in message['content'] %}"
        "{% if part['type'] == 'image' %}{% set seen.images = seen.images + 1 %}Picture {{ seen.images }}{% endif %}"
        "{% endfor %}{% endfor %}"
    ),
    "a found system prompt": (
        "{% set ns = namespace(text='') %}{% for m in messages %}{% if m.role == 'system' %}"
        "{% set ns.text = m.content %}{% endif %}{% endfor %}{{ ns.text }}"
    ),
}
HOSTILE = {
    "nested ranges": ("{% for a in range(99999) %}{% for b in range(99999) %}x{% endfor %}{% endfor %}", "'range'"),
    "a huge string": ("{{ 'a' * 10**10 }}", "Mul"),
    "a power": ("{{ 9**9**9 }}", "Pow"),
    "a width": ("{{ '%999999999d' % 1 }}", "%"),
    "a format": ("{{ '{:999999999}'.format(1) }}", "'format'"),
    "a method that pads": ("{{ 'a'.ljust(999999999) }}", "'ljust'"),
    "a filter that pads": ("{{ 'a'|center(999999999) }}", "'center'"),
    "an indent": ("{{ messages|tojson(indent=999999999) }}", "tojson"),
    "a date of any width": ("{{ strftime_now('%9999999999Y') }}", "'strftime_now'"),
    "a class": ("{{ ''.__class__.__mro__ }}", "private attribute"),
    "a class as an item": ("{{ ''['__class__'] }}", "private attribute '__class__'"),
    "a class by a filter": ("{{ ''|attr('__class__') }}", "'attr'"),
    "a class by map": ("{{ messages|map(attribute='__class__')|list }}", "'__class__'"),
    "globals": ("{{ cycler.__init__.__globals__ }}", "private attribute"),
    "lorem ipsum": ("{{ lipsum(n=100000) }}", "'lipsum'"),
    "recursion": ("{% macro a() %}{{ a() }}{% endmacro %}{{ a() }}", "Macro"),
    "a recursive loop": ("{% for m in messages recursive %}{{ loop(m) }}{% endfor %}", "recursive"),
    "a file": ("{% include '/etc/passwd' %}", "Include"),
    "doubling": ("{% set a = 'aaaaaaaaaa' %}" + "{% set a = a + a %}" * 40, "grow"),
    "doubling by a branch": (
        "{% if no %}{% set messages = '' %}{% endif %}" + "{% set messages = [messages, messages] %}" * 40, "grow"
    ),
    "doubling in a loop": (
        "{% set n = namespace(x='a') %}{% for m in messages %}{% set n.x = n.x + n.x %}{% endfor %}",
        "from round to round",
    ),
    "doubling in a loop by a variable": (
        "{% set n = namespace(x='a') %}{% for m in messages %}{% set y = n.x + n.x %}{% set n.x = y %}{% endfor %}",
        "from round to round",
    ),
    "doubling in a loop by two": (
        "{% set n = namespace(x='a') %}{% set m = namespace(x='a') %}{% for c in messages %}"
        "{% set n.x = m.x + n.x %}{% set m.x = n.x + m.x %}{% endfor %}",
        "from round to round",
    ),
    "doubling by another name": (
        "{% set n = namespace(x='aaaaaaaaaa') %}{% set m = n %}" + "{% set m.x = n.x + n.x %}" * 40, "grow"
    ),
    "escapes of escapes": (f"{{% set a = {MESSAGES} %}}" + "{% set a = [a]|string %}" * 9, "grow"),
    "replacing nothing": (f"{{% set a = {MESSAGES} %}}" + "{% set a = a.replace('', 'aaaaaaaaa') %}" * 9, "grow"),
    "replacing by the question": (f"{{{{ {MESSAGES}.replace('', {MESSAGES}) }}}}", "replace"),
    "joining by the question": (f"{{{{ messages|join({MESSAGES}) }}}}", "join"),
    "a cube of the question": (
        "".join(f"{{% for {name} in {MESSAGES} %}}" for name in "abc") + "x" + "{% endfor %}" * 3,
        "loop within a loop",
    ),
    "a square by another name": (
        f"{{% set t = {MESSAGES} %}}{{% for a in t %}}{{% set u = t %}}{{% for b in u %}}x{{% endfor %}}{{% endfor %}}",
        "loop within a loop",
    ),
    "much text in a loop": (f"{{% for c in {MESSAGES} %}}{'a' * 60000}{{% endfor %}}", "computes too much"),
    "many loops": (
        f"{{% for c in {MESSAGES} %}}{{% if 'z' in {MESSAGES} + 'x' %}}{{% endif %}}{{% endfor %}}" * 600,
        "computes too much",
    ),
    "a long template": ("a" * (LONGEST + 1), "characters"),
    "a long number": ("{{ " + "9" * 5000 + " }}", "4300 digits"),
    "deep brackets": ("{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}", "too deeply"),
    "an argument of a test": ("{{ 1 is eq(y=range(9999999)) }}", "test 'eq'"),
    "no template": ("{% for", "end of template"),
}  # fmt: skip


@pytest.mark.parametrize("name", USED)
def test_templates_in_use_are_bounded(name):
    assert unbounded(USED[name]) is None


@pytest.mark.parametrize("name", HOSTILE)
def test_what_may_not_end_is_named_at_once(name):
    template, message = HOSTILE[name]
    begun = time.monotonic()
    found = unbounded(template)
    assert found is not None
    assert message in found
    assert time.monotonic() - begun < 5


@pytest.mark.parametrize("name", ["nested ranges", "a huge string", "doubling", "no template"])
def test_it_is_not_rendered_while_loading(copy, name):
    (copy / "chat_template.jinja").write_text(HOSTILE[name][0])
    with pytest.raises(CheckpointError, match=r"the chat template in .* is not used: .*chat_template\.jinja"):
        load(copy, device="cpu")


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{{ raise_exception('never') }}", "tokenizer in .* cannot be read .*never"),
        ("USER: {{ messages[0]['content'][1]['text'] }}", "writes 0 image tokens for one image"),
        ("<image><image>{{ messages[0]['content'][1]['text'] }}", "writes 2 image tokens for one image"),
        ("<image> USER: hello", "leaves the question out"),
        ("{{ 1 is odd(2, 3) }}", "cannot be read"),
    ],
)
def test_one_that_is_of_no_use_is_reported_before_the_first_question(copy, template, message):
    (copy / "chat_template.jinja").write_text(template)
    with pytest.raises(CheckpointError, match=message):
        load(copy, device="cpu")


@pytest.mark.filterwarnings("ignore:Exception ignored in:pytest.PytestUnraisableExceptionWarning")  # transformers' file
def test_the_default_of_several_is_taken(copy):
    template = (copy / "chat_template.jinja").read_text()
    (copy / "additional_chat_templates").mkdir()
    (copy / "additional_chat_templates" / "tools.jinja").write_text("{{ range(10**9) }}")
    assert load(copy, device="cpu").processor.chat_template == template


def test_a_checkpoint_without_one_says_where_to_find_one(copy):
    (copy / "chat_template.jinja").unlink()
    with pytest.raises(CheckpointError, match=r"has no chat template.*copy .*mini.chat_template\.jinja"):
        load(copy, device="cpu")
