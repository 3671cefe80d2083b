"""The contrastive loss: its value, its gradients over processes, its temperature."""

import json
import math

import pytest
import torch
from torch import nn
from torch.nn import functional
from transformers import CLIPConfig, CLIPModel

from geochat_train.contrastive import MAX_SCALE, clamp_scale, contrastive_loss

ENCODERS = """
    import json, sys, torch
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
    dist.destroy_process_group()
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
