from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import scaled_dot_product_attention

from geochat.engines.attention import KeyValues, Span, attend


def tensors(seed, *shapes):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(*shape, generator=generator) for shape in shapes]


@given(
    seed=st.integers(0, 99),
    key_heads=st.sampled_from([1, 2]),
    queries=st.integers(1, 5),
    rows=st.integers(1, 4),
    data=st.data(),
)
@settings(deadline=None)
def test_spans_count_as_keys_before_the_rows_own(seed, key_heads, queries, rows, data):
    """Each row alone, with its spans' keys put before its own, gives the same."""
    module = SimpleNamespace(layer_idx=0, scaling=0.3, num_key_value_groups=4 // key_heads, is_causal=True)
    query, own = tensors(seed, (rows, 4, queries, 8), (2, rows, key_heads, queries, 8))
    seen = torch.ones(rows, queries, dtype=torch.bool)
    for row in range(rows):
        seen[row, : data.draw(st.integers(0, queries - 1))] = False
    steps = torch.arange(queries)
    mask = ((steps[:, None] >= steps) & seen[:, None, None, :]) | torch.eye(queries, dtype=torch.bool)
    bounds = data.draw(st.lists(st.tuples(st.integers(0, rows - 1), st.integers(1, rows)), min_size=1, max_size=3))
    spans = []
    for number, (start, stop) in enumerate(bounds):
        if start < stop:
            shared = tensors(seed + number, (2, 1, key_heads, number + 3, 8))[0]
            spans.append(Span(start, stop, KeyValues(((shared[0], shared[1]),))))
    output, _ = attend(module, query, own[0], own[1], mask, spans=spans, scaling=0.3, dropout=0.0)
    for row in range(rows):
        mine = [span.keyvalues.layers[0] for span in spans if span.start <= row < span.stop]
        keys = torch.cat([*(k[0] for k, _ in mine), own[0][row]], dim=1)[None]
        values = torch.cat([*(v[0] for _, v in mine), own[1][row]], dim=1)[None]
        before = torch.ones(queries, keys.shape[2] - queries, dtype=torch.bool)
        expected = scaled_dot_product_attention(
            query[row, None], keys, values, torch.cat([before, mask[row, 0]], dim=1), scale=0.3, enable_gqa=True
        )
        torch.testing.assert_close(output[row], expected[0].transpose(0, 1))


def test_long_questions_are_taken_in_parts(monkeypatch):
    module = SimpleNamespace(layer_idx=0, scaling=1.0)
    query, own, shared = tensors(1, (2, 2, 9, 4), (2, 2, 2, 9, 4), (2, 1, 2, 5, 4))
    mask = torch.ones(9, 9, dtype=torch.bool).tril().expand(2, 1, 9, 9)
    spans = [Span(0, 2, KeyValues(((shared[0], shared[1]),)))]
    whole, _ = attend(module, query, own[0], own[1], mask, spans=spans)
    monkeypatch.setattr("geochat.engines.attention._QUERIES", 6)
    parts, _ = attend(module, query, own[0], own[1], mask, spans=spans)
    torch.testing.assert_close(parts, whole)


def test_a_model_with_an_engine_still_generates_as_before(engine, checkpoint, tmp_path):
    """Other users of the same model are not disturbed, and nothing of it is saved."""
    model = checkpoint.model
    ids = checkpoint.processor.tokenizer(["near the harbor", "a large airplane and"], padding=True, return_tensors="pt")
    options = {"max_new_tokens": 8, "do_sample": False, "pad_token_id": 0}
    shared = model.generate(**ids, **options)
    implementation = model.config.text_config._attn_implementation
    try:
        model.set_attn_implementation({"text_config": "sdpa"})
        assert torch.equal(model.generate(**ids, **options), shared)
    finally:
        model.set_attn_implementation({"text_config": implementation})
    model.save_pretrained(tmp_path)
    assert implementation not in (tmp_path / "config.json").read_text()


def test_bfloat16_stays_bfloat16():
    module = SimpleNamespace(layer_idx=0, scaling=1.0)
    query, own, shared = (t.bfloat16() for t in tensors(1, (1, 2, 1, 4), (2, 1, 2, 3, 4), (2, 1, 2, 5, 4)))
    spans = [Span(0, 1, KeyValues(((shared[0], shared[1]),)))]
    output, _ = attend(module, query, own[0], own[1], None, spans=spans)
    expected, _ = attend(
        module,
        query.float(),
        own[0].float(),
        own[1].float(),
        None,
        spans=[Span(0, 1, KeyValues(((shared[0].float(), shared[1].float()),)))],
    )
    assert output.dtype == torch.bfloat16
    assert output.float().numpy() == pytest.approx(expected.numpy(), abs=0.05)
