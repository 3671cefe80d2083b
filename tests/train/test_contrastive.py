"""The contrastive loss: its value, its gradients over processes, its temperature."""

import json
import math

import numpy as np
import pytest
import torch
from PIL import Image
from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers
from torch import nn
from torch.nn import functional
from transformers import CLIPConfig, CLIPModel, PreTrainedTokenizerFast
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from geochat.clip import Classifier, DualEncoder
from geochat.errors import DataError, SettingsError
from geochat_train.contrastive import MAX_SCALE, clamp_scale, contrastive_loss
from geochat_train.contrastive.pairs import read_pairs
from geochat_train.contrastive.run import ContrastiveTrainer, contrast
from geochat_train.recipe_files import load_recipe

ENCODERS = """
    import json, os, sys, torch
    from torch import nn
    from geochat_train.contrastive import contrastive_loss

    class Encoders(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.image, self.text = nn.Linear(6, 4), nn.Linear(5, 4)
            self.log_scale = nn.Parameter(torch.tensor(2.0))

        def forward(self, images, texts):
            return contrastive_loss(self.image(images), self.text(texts), self.log_scale)

    torch.manual_seed(1)
    images, texts = torch.randn(8, 6), torch.randn(8, 5)
"""
ALONE = (
    ENCODERS
    + """
    model = Encoders()
    loss = model(images, texts)
    loss.backward()
    print(json.dumps([loss.item(), *(p.grad.flatten().tolist() for p in model.parameters())]))
"""
)
TOGETHER = (
    ENCODERS
    + """
    import torch.distributed as dist
    from torch.nn.parallel import DistributedDataParallel
    dist.init_process_group("gloo")
    model, rank = DistributedDataParallel(Encoders()), dist.get_rank()
    mine = slice(rank * 4, rank * 4 + 4)
    loss = model(images[mine], texts[mine])
    loss.backward()
    total = loss.detach().clone()
    dist.all_reduce(total)
    print(json.dumps([total.item() / 2, *(p.grad.flatten().tolist() for p in model.module.parameters())]))
    dist.barrier()  # neither leaves while the other still speaks to it
    dist.destroy_process_group()
    sys.stdout.flush()
    os._exit(0)  # gloo's threads sometimes end the interpreter's own farewell with an abort; the figures are out
"""
)


def test_it_is_the_loss_of_clip():
    torch.manual_seed(0)
    small = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    model = CLIPModel(
        CLIPConfig(
            text_config={**small, "vocab_size": 20, "eos_token_id": 19},
            vision_config={**small, "image_size": 8, "patch_size": 4},
            projection_dim=8,
        )
    ).eval()
    out = model(torch.randint(1, 19, (4, 5)), torch.randn(4, 3, 8, 8), return_loss=True)
    ours = contrastive_loss(3 * out.image_embeds, out.text_embeds, model.logit_scale)  # lengths do not matter
    assert ours.item() == pytest.approx(out.loss.item(), abs=1e-6)


@pytest.mark.slow
def test_two_processes_have_the_gradients_of_one(processes):
    (alone,) = processes(ALONE, 1)
    first, second = processes(TOGETHER, 2)
    assert first == second
    for one, two in zip(json.loads(alone), json.loads(first), strict=True):
        assert two == pytest.approx(one, abs=1e-6)


def test_the_scale_is_at_most_100():
    images, texts = torch.randn(4, 3), torch.randn(4, 3)
    at_most = contrastive_loss(images, texts, torch.tensor(math.log(MAX_SCALE)))
    assert contrastive_loss(images, texts, torch.tensor(9.0)) == at_most
    log_scale = nn.Parameter(torch.tensor(9.0))
    clamp_scale(log_scale)
    assert log_scale.exp().item() == pytest.approx(100)
    contrastive_loss(images, texts, log_scale).backward()
    assert log_scale.grad != 0  # so that training can lower it again


def test_right_pairs_cost_least():
    features = functional.normalize(torch.randn(6, 8))
    right = contrastive_loss(features, features, torch.tensor(4.0))
    assert right < contrastive_loss(features, features.roll(1, 0), torch.tensor(4.0))


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Eight pictures of one colour each, two ways to name it, and one row of another split."""
    folder = tmp_path_factory.mktemp("pictures")
    colours = ["red", "green", "blue", "white", "black", "yellow", "gray", "orange"]
    with (folder / "captions.jsonl").open("w") as file:
        for colour in colours:
            Image.new("RGB", (24, 24), colour).save(folder / f"{colour}.png")
            row = {"image": f"{colour}.png", "captions": [f"{colour} ground", f"the ground is {colour}"]}
            file.write(json.dumps({**row, "split": "train"}) + "\n")
        file.write(json.dumps({"image": "gone.png", "captions": ["x"], "split": "test"}) + "\n")
    return folder


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    """A random dual encoder of 20,000 parameters on disk."""
    folder = tmp_path_factory.mktemp("encoder")
    words = Tokenizer(models.BPE())
    words.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    special = ["<pad>", "<unk>", "<s>", "</s>"]  # an end token of id 2 means something else to CLIPModel
    words.train_from_iterator(
        ["the ground is"], trainers.BpeTrainer(vocab_size=300, special_tokens=special, initial_alphabet=alphabet)
    )
    words.post_processor = processors.TemplateProcessing("<s> $A </s>", special_tokens=[("<s>", 2), ("</s>", 3)])
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, bos_token="<s>", eos_token="</s>", pad_token="<pad>")
    torch.manual_seed(0)
    small = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    text = {**small, "vocab_size": len(tokenizer), "max_position_embeddings": 24, "eos_token_id": 3, "bos_token_id": 2}
    vision = {**small, "image_size": 16, "patch_size": 8}
    CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=16)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    CLIPImageProcessorPil(size={"shortest_edge": 16}, crop_size=16).save_pretrained(folder)
    return folder


@pytest.fixture
def clip(pictures, encoder, tmp_path):
    def make(**given):
        common = {"model": str(encoder), "data": pictures / "captions.jsonl", "out": tmp_path / "out", "workers": 0}
        common |= {"batch_size": 8, "precision": "float32", "log_every": 1, "save_every": 4, "learning_rate": 3e-3}
        return load_recipe("clip", None, {**common, **given})

    return make


def test_it_learns_to_tell_pictures_apart_and_is_saved_as_a_clip_model(clip, pictures, losses):
    done = contrast(clip(steps=40, save_every=40))
    found = losses(done.folder)
    assert found[-1] < 0.3 * found[0]
    loaded = DualEncoder.from_pretrained(done.folder, device="cpu")
    assert loaded.model.logit_scale.exp().item() == pytest.approx(done.scale)
    classifier = Classifier.zero_shot(loaded, ["red", "green", "blue"], templates=["{} ground"])
    assert [classifier.classify(pictures / f"{name}.png").label for name in ("red", "green", "blue")] == [
        *("red", "green", "blue")
    ]


def test_a_stopped_run_goes_on_to_the_same_losses(clip, losses, tmp_path, monkeypatch):
    whole = contrast(clip(steps=10, out=tmp_path / "whole"))
    step = ContrastiveTrainer.compute_loss

    def stopped(self, *arguments, **options):
        if self.state.global_step == 6:
            raise KeyboardInterrupt
        return step(self, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(ContrastiveTrainer, "compute_loss", stopped)
        with pytest.raises(KeyboardInterrupt):
            contrast(clip(steps=10))
    resumed = contrast(clip(steps=10))
    assert losses(resumed.folder) == pytest.approx(losses(whole.folder), abs=1e-6)


def test_the_temperature_stays_in_bounds(clip, encoder, tmp_path):
    hot = CLIPModel.from_pretrained(encoder)
    hot.logit_scale.data.fill_(math.log(99.9))
    for file in encoder.iterdir():
        (tmp_path / "hot").mkdir(exist_ok=True)
        (tmp_path / "hot" / file.name).write_bytes(file.read_bytes())
    hot.save_pretrained(tmp_path / "hot")
    done = contrast(clip(steps=4, model=str(tmp_path / "hot"), learning_rate=0.2, schedule="constant"))
    assert done.scale <= 100.001


def test_accumulating_is_refused(clip):
    with pytest.raises(SettingsError, match="would take 2 batches a step, which does not widen a contrastive batch"):
        contrast(clip(steps=1, batch_size=4, effective_batch=8))


def test_other_splits_are_not_learnt_from(pictures):
    pairs = read_pairs(pictures / "captions.jsonl", pictures, "train")
    assert len(pairs) == 8
    with pytest.raises(DataError, match=r"1 of 1 images are missing, such as .*gone.png"):
        read_pairs(pictures / "captions.jsonl", pictures, "test")
    items = pairs.in_turn(np.array([3, 3, 0, 3]))
    said = [pairs[int(item)][1] for item in items]
    assert said == ["white ground", "the ground is white", "red ground", "white ground"]
