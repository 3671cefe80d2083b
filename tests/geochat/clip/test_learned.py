"""CoOp and CoCoOp against their published formulas, stated here in float64 with matrices of the model's own weights."""

import dataclasses
import math

import pytest
import torch
from torch.nn import functional

from geochat.clip import Classifier, CoCoOp, CoOp, DualEncoder, PromptSettings, read_prompts, save_prompts
from geochat.clip.learned import first_context, resolved
from geochat.errors import CheckpointError, SettingsError

CLASSES = ["airport", "golf_course", "port", "a satellite photo"]
POSITIONS = ["end", "middle", "front"]


@pytest.fixture(scope="module")
def exact(tiny_clip):
    """The tiny CLIP in float64."""
    encoder = DualEncoder.from_pretrained(tiny_clip, device="cpu")
    encoder.model.double()
    return encoder


@pytest.fixture
def features():
    torch.manual_seed(3)
    return functional.normalize(torch.randn(6, 32, dtype=torch.float64), dim=-1)


def text_tower(encoder, embedded):
    """g of one prompt (L, W), whose last row is the end token: CLIP's text transformer written out."""
    config, state = encoder.model.config.text_config, encoder.model.state_dict()
    length, heads = len(embedded), config.num_attention_heads
    x = embedded + state["text_model.embeddings.position_embedding.weight"][:length]
    future = torch.full((length, length), -math.inf, dtype=x.dtype).triu(1)

    def part(name):
        return state[f"{name}.weight"], state.get(f"{name}.bias")

    def norm(x, name):
        return functional.layer_norm(x, x.shape[-1:], *part(name), 1e-5)

    for layer in range(config.num_hidden_layers):
        block = f"text_model.encoder.layers.{layer}."
        h = norm(x, f"{block}layer_norm1")
        q, k, v = (functional.linear(h, *part(f"{block}self_attn.{n}_proj")).view(length, heads, -1) for n in "qkv")
        scores = torch.einsum("ahd,bhd->hab", q, k) / math.sqrt(q.shape[-1]) + future
        mixed = torch.einsum("hab,bhd->ahd", scores.softmax(-1), v).reshape(length, -1)
        x = x + functional.linear(mixed, *part(f"{block}self_attn.out_proj"))
        h = functional.linear(norm(x, f"{block}layer_norm2"), *part(f"{block}mlp.fc1"))
        h = h * torch.sigmoid(1.702 * h)
        x = x + functional.linear(h, *part(f"{block}mlp.fc2"))
    end = norm(x[-1:], "text_model.final_layer_norm")
    return functional.linear(end, *part("text_projection"))[0]


def prompt(encoder, name, vectors, position):
    """t of a class: the vectors around the class's embeddings, a full stop and the end token after them."""
    table = encoder.model.state_dict()["text_model.embeddings.token_embedding.weight"]
    start, *words, stop, end = encoder.tokenizer(f"{name.replace('_', ' ')}.")["input_ids"]
    start, words, tail = table[[start]], table[words], table[[stop, end]]
    half = len(vectors) // 2
    parts = {
        "end": (vectors, words),
        "middle": (vectors[:half], words, vectors[half:]),
        "front": (words, vectors),
    }[position]
    return torch.cat([start, *parts, tail])


def direct_logits(encoder, vectors_of, features, position):
    """cos(g(t_i(x)), f) / τ for each image x and class i."""
    scale = encoder.model.state_dict()["logit_scale"].exp()
    rows = []
    for feature in features:
        texts = [
            text_tower(encoder, prompt(encoder, name, vectors_of(number, feature), position))
            for number, name in enumerate(CLASSES)
        ]
        rows.append(torch.stack([scale * (feature @ text / text.norm()) for text in texts]))
    return torch.stack(rows)


def assert_same(prompts, expected, parameters, labels):
    logits = prompts(prompts.inputs)
    torch.testing.assert_close(logits, expected, atol=1e-9, rtol=1e-9)
    found = torch.autograd.grad(functional.cross_entropy(logits, labels), list(prompts.parameters()))
    wanted = torch.autograd.grad(functional.cross_entropy(expected, labels), parameters)
    for one, other in zip(found, wanted, strict=True):
        assert one.abs().max() > 0
        torch.testing.assert_close(one, other, atol=1e-9, rtol=1e-8)


@pytest.mark.parametrize("position", POSITIONS)
@pytest.mark.parametrize("class_specific", [False, True], ids=["unified", "specific"])
def test_coop_is_its_formula(position, class_specific, exact, features):
    torch.manual_seed(0)
    prompts = CoOp(exact, CLASSES, PromptSettings(6, "", position, class_specific)).double()
    assert prompts.context.shape == ((4, 6, 64) if class_specific else (6, 64))
    context = prompts.context.detach().clone().requires_grad_()
    expected = direct_logits(
        exact, lambda number, _: context[number] if class_specific else context, features, position
    )
    prompts.inputs = features
    assert_same(prompts, expected, [context], torch.tensor([0, 1, 2, 3, 0, 1]))


@pytest.mark.parametrize("position", POSITIONS)
def test_cocoop_is_its_formula(position, exact, features):
    torch.manual_seed(0)
    settings = resolved(exact, PromptSettings(words="a photo of a", position=position))
    prompts = CoCoOp(exact, CLASSES, settings).double()
    context = prompts.context.detach().clone().requires_grad_()
    first, second = prompts.meta_net.linear1, prompts.meta_net.linear2
    assert first.weight.shape == (2, 32)
    assert second.weight.shape == (64, 2)
    weights = [
        tensor.detach().clone().requires_grad_() for tensor in (first.weight, first.bias, second.weight, second.bias)
    ]
    with torch.no_grad():  # so that not every unit is off for some image
        first.bias += 0.3
        weights[0 + 1] += 0.3

    def vectors_of(_, feature):
        inside = (weights[0] @ feature + weights[1]).relu()
        return context + (weights[2] @ inside + weights[3])

    expected = direct_logits(exact, vectors_of, features, position)
    prompts.inputs = features
    assert_same(prompts, expected, [context, *weights], torch.tensor([0, 1, 2, 3, 0, 1]))


def test_words_begin_as_the_prompt_they_are(encoder):
    settings = resolved(encoder, PromptSettings(words="a satellite photo of"))
    prompts = CoOp(encoder, ["airport", "port"], settings)
    assert settings.vectors == 4 == prompts.context.shape[0]
    expected = encoder.encode_texts(["a satellite photo of airport.", "a satellite photo of port."])
    torch.testing.assert_close(prompts.text_features().detach(), expected, atol=1e-5, rtol=0)


def test_many_classes_are_encoded_as_alone(encoder):
    classes = [f"class {number}" for number in range(150)]
    prompts = CoOp(encoder, classes, PromptSettings(5))
    assert prompts.layout.index.shape[0] == 3
    some = CoOp(encoder, classes[70:73], PromptSettings(5), prompts.context.detach())
    torch.testing.assert_close(prompts.text_features()[70:73], some.text_features(), atol=1e-5, rtol=0)


def test_siglip_learns_prompts_too(siglip):
    prompts = CoOp(siglip, ["airport", "harbor"], resolved(siglip, PromptSettings(words="a photo of")))
    expected = siglip.encode_texts(["a photo of airport .", "a photo of harbor ."])
    torch.testing.assert_close(prompts.text_features().detach(), expected, atol=1e-5, rtol=0)
    features = functional.normalize(torch.randn(2, 64), dim=-1)
    functional.cross_entropy(prompts(features), torch.tensor([0, 1])).backward()
    assert prompts.context.grad.abs().max() > 0
    conditional = CoCoOp(siglip, ["airport", "harbor"], PromptSettings(2))
    assert conditional(features).shape == (2, 2)


def test_random_vectors_are_as_published(encoder):
    torch.manual_seed(0)
    context = first_context(encoder, PromptSettings(60, class_specific=True), 40)
    assert context.std().item() == pytest.approx(0.02, rel=0.02)
    assert context.mean().item() == pytest.approx(0, abs=2e-4)


@pytest.mark.parametrize("kind", [CoOp, CoCoOp])
def test_only_the_vectors_are_saved_and_they_come_back(kind, encoder, pictures, tmp_path):
    torch.manual_seed(1)
    prompts = kind(encoder, CLASSES, PromptSettings(4, position="middle"))
    file = tmp_path / "learned.safetensors"
    save_prompts(prompts, file, {"shots": 16})
    assert file.stat().st_size < 10_000
    assert [path.name for path in tmp_path.iterdir()] == ["learned.safetensors"]
    learned = read_prompts(file)
    assert (learned.method, learned.classes, learned.training) == (kind.method, tuple(CLASSES), {"shots": 16})
    assert learned.settings == prompts.settings
    classifier = Classifier.learned(encoder, learned)
    with torch.no_grad():
        expected = prompts(encoder.encode_images(pictures)).softmax(-1)
    found = torch.tensor([list(each.probabilities.values()) for each in classifier.classify_many(pictures)])
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
    others = Classifier.learned(encoder, learned, ["harbor", "port"]).classify(pictures[0])
    assert list(others.probabilities) == ["harbor", "port"]


def test_prompts_belong_to_their_encoder(encoder, siglip, tmp_path):
    file = tmp_path / "learned.safetensors"
    save_prompts(CoOp(encoder, CLASSES, PromptSettings(4, class_specific=True)), file, {})
    learned = read_prompts(file)
    with pytest.raises(CheckpointError, match=r"was learned for clip.* not for siglip"):
        Classifier.learned(siglip, learned)
    with pytest.raises(SettingsError, match="no other classes can be told apart"):
        Classifier.learned(encoder, learned, ["harbor"])
    with pytest.raises(CheckpointError, match="holds no context vectors"):
        dataclasses.replace(learned, tensors={}).attach(encoder)
    context = {"context": learned.tensors["context"][0]}
    half = dataclasses.replace(learned, method="cocoop", settings=PromptSettings(4), tensors=context)
    with pytest.raises(CheckpointError, match="does not hold what cocoop learns"):
        half.attach(encoder)


@pytest.mark.parametrize("content", [b"", b"no safetensors", None])
def test_files_without_prompts(content, tmp_path, tiny_clip):
    file = tmp_path / "broken.safetensors"
    file.write_bytes((tiny_clip / "model.safetensors").read_bytes() if content is None else content)
    with pytest.raises(CheckpointError, match="does not hold learned prompts"):
        read_prompts(file)
    with pytest.raises(CheckpointError, match="no file"):
        read_prompts(tmp_path / "gone.safetensors")


def test_a_target_that_cannot_be_written(encoder, tmp_path):
    prompts = CoOp(encoder, CLASSES, PromptSettings(2))
    with pytest.raises(SettingsError, match="safetensors files"):
        save_prompts(prompts, tmp_path / "learned.pt", {})
    with pytest.raises(SettingsError, match="no folder"):
        save_prompts(prompts, tmp_path / "gone" / "learned.safetensors", {})


@pytest.mark.parametrize(
    ("settings", "classes", "message"),
    [
        ({"vectors": 0}, CLASSES, "nothing to learn"),
        ({"position": "left"}, CLASSES, "position 'left' is unknown"),
        ({"vectors": 70}, CLASSES, "take fewer vectors"),
        ({"vectors": 3, "words": "a photo of a"}, CLASSES, "makes .* vectors and 3 were asked for"),
        ({}, [], "no classes"),
    ],
)
def test_impossible_prompts(settings, classes, message, encoder):
    with pytest.raises(SettingsError, match=message):
        CoOp(encoder, classes, PromptSettings(**settings))
    with pytest.raises(SettingsError, match="one set of vectors"):
        CoCoOp(encoder, CLASSES, PromptSettings(class_specific=True))
