import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from geochat_data.encoding import IGNORED, Example
from geochat_train.tuning.packing import pack, pad

IMAGE = 3
BEGINNING = [1, 9, IMAGE, IMAGE, IMAGE]


def example(question: list[int], answer: list[int]) -> Example:
    return Example([*BEGINNING, *question, *answer], [IGNORED] * (len(BEGINNING) + len(question)) + answer)


QUESTIONS = [example([10, 11], [12, 2]), example([13], [14, 15, 16, 2]), example([17, 18, 19], [2])]


@pytest.fixture(scope="module")
def model() -> LlamaForCausalLM:
    torch.manual_seed(0)
    config = LlamaConfig(
        hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2, vocab_size=32
    )
    return LlamaForCausalLM(config).eval()


@torch.no_grad()
def test_a_packed_question_reads_as_if_asked_alone(model):
    row = pack(QUESTIONS, IMAGE)
    batch = pad([row, pack(QUESTIONS[:1], IMAGE)], pad_token=0)
    batch.pop("labels")
    packed = model(**batch).logits[0]
    for number, question in enumerate(QUESTIONS, start=1):
        alone = model(input_ids=torch.tensor([question.input_ids])).logits[0, len(BEGINNING) :]
        together = packed[: len(row.segments)][row.segments == number]
        assert torch.allclose(together, alone, atol=1e-5)


@torch.no_grad()
def test_the_loss_is_the_mean_over_all_answer_tokens(model):
    batch = pad([pack(QUESTIONS, IMAGE)], pad_token=0)
    total, count = 0.0, 0
    for question in QUESTIONS:
        n = sum(label != IGNORED for label in question.labels)
        alone = model(input_ids=torch.tensor([question.input_ids]), labels=torch.tensor([question.labels])).loss
        total, count = total + float(alone) * n, count + n
    assert float(model(**batch).loss) == pytest.approx(total / count, abs=1e-5)


def test_one_conversation_is_left_as_it_is():
    row = pack(QUESTIONS[:1], IMAGE)
    assert row.input_ids.tolist() == QUESTIONS[0].input_ids
    assert row.labels.tolist() == QUESTIONS[0].labels
    assert row.position_ids.tolist() == list(range(len(QUESTIONS[0].input_ids)))
