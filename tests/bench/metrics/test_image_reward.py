"""ImageReward rebuilt: names, size and arithmetic of the released network, and what it reads of a text."""

import numpy as np
import pytest
import torch
from torch import nn

from spf_bench.errors import UserError
from spf_bench.metrics.clip_encoder import Preprocess
from spf_bench.metrics.image_reward import ImageReward, ImageRewardEncoder
from spf_bench.metrics.image_reward_model import Head, ImageRewardModel, Sizes, needed
from tests.bench.metrics.stand_ins import batch, noise_pictures

MARKS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
WORDS = [*MARKS, "a", "man", "woman", "smiling", "with", "beard", ",", "hat", "red", "##s"]
TINY = Sizes(image=32, patch=16, dim=32, depth=2, heads=2, text_dim=24, text_depth=2, text_heads=2, vocabulary=200)
SMALL = Preprocess(32, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


@pytest.fixture(scope="module")
def vocabulary(tmp_path_factory):
    path = tmp_path_factory.mktemp("bert") / "vocab.txt"
    path.write_text("\n".join(WORDS) + "\n")
    return path


@pytest.fixture(scope="module")
def encoder(vocabulary):
    torch.manual_seed(0)
    model = ImageRewardModel(TINY)
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.2)  # so that texts and images make a visible difference
    return ImageRewardEncoder(model, vocabulary, SMALL)


def published_names() -> set[str]:
    """The released file's names for what scoring needs, written out from the authors' architecture."""
    kinds = ("weight", "bias")
    names = {f"blip.visual_encoder.{n}" for n in ("cls_token", "pos_embed")}
    names |= {f"blip.visual_encoder.{part}.{k}" for part in ("patch_embed.proj", "norm") for k in kinds}
    block = ("norm1", "attn.qkv", "attn.proj", "norm2", "mlp.fc1", "mlp.fc2")
    names |= {f"blip.visual_encoder.blocks.{i}.{part}.{k}" for i in range(24) for part in block for k in kinds}
    text = "blip.text_encoder"
    names |= {f"{text}.embeddings.{part}.weight" for part in ("word_embeddings", "position_embeddings")}
    names |= {f"{text}.embeddings.LayerNorm.{k}" for k in kinds}
    attention = [f"self.{part}" for part in ("query", "key", "value")] + ["output.dense", "output.LayerNorm"]
    layer = [f"{kind}.{part}" for kind in ("attention", "crossattention") for part in attention]
    layer += ["intermediate.dense", "output.dense", "output.LayerNorm"]
    names |= {f"{text}.encoder.layer.{i}.{part}.{k}" for i in range(12) for part in layer for k in kinds}
    return names | {f"mlp.layers.{i}.{k}" for i in (0, 2, 4, 6, 7) for k in kinds}


def test_full_size_has_the_published_names_and_parameters():
    with torch.device("meta"):
        model = ImageRewardModel()
    assert set(model.state_dict()) == published_names()
    assert sum(parameter.numel() for parameter in model.parameters()) == 446_206_689
    assert model.blip["text_encoder"].embeddings.word_embeddings.weight.shape == (30524, 768)
    assert model.blip["text_encoder"].encoder.layer[0].crossattention.self.key.weight.shape == (768, 1024)


def test_a_published_file_loads_whatever_else_it_holds(tmp_path, encoder):
    state = encoder.model.state_dict()
    extra = {
        "blip.vision_proj.weight": torch.zeros(2),
        "blip.text_proj.bias": torch.zeros(2),
        "blip.visual_encoder_m.cls_token": torch.zeros(2),
        "blip.text_encoder.embeddings.position_ids": torch.arange(3),
    }
    torch.save(state | extra, tmp_path / "ImageReward.pt")
    again = ImageRewardModel.from_weights(tmp_path / "ImageReward.pt", TINY)
    assert all(torch.equal(value, state[name]) for name, value in again.state_dict().items())
    torch.save({name: value for name, value in state.items() if "layer.1." not in name}, tmp_path / "half.pt")
    with pytest.raises(UserError, match="another network"):
        ImageRewardModel.from_weights(tmp_path / "half.pt", TINY)


def test_needed_keeps_names_apart():
    assert list(needed({"mlp.layers.0.bias": torch.ones(1), "blip.visual_encoder_m.x": torch.ones(1)})) == [
        "mlp.layers.0.bias"
    ]


def test_a_silent_head_gives_the_published_offset(encoder):
    model = ImageRewardModel(TINY).eval()
    for parameter in model.mlp.parameters():
        nn.init.zeros_(parameter)
    with torch.no_grad():
        reward = model.match(model.encode_image(torch.zeros(1, 3, 32, 32)), torch.ones(1, 4).long(), torch.ones(1, 4))
    assert reward.item() == pytest.approx(-0.16177996568, abs=2e-8)


def test_the_head_has_no_activation():
    torch.manual_seed(0)
    head, (a, b) = Head(768).double(), torch.randn(2, 1, 768).double()
    with torch.no_grad():
        torch.testing.assert_close(head(a) + head(b) - head(torch.zeros_like(a)), head(a + b))


def test_the_image_tower_is_timms():
    timm = pytest.importorskip("timm", reason="the paper extra is not installed", exc_type=Exception)
    theirs = timm.models.vision_transformer.VisionTransformer(
        img_size=32, patch_size=16, embed_dim=32, depth=2, num_heads=2, num_classes=0, global_pool=""
    ).eval()
    ours = ImageRewardModel(TINY).eval().blip["visual_encoder"]
    ours.load_state_dict(theirs.state_dict())
    pixels = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(ours(pixels), theirs.forward_features(pixels), atol=1e-5, rtol=0)


def test_tokens_are_transformers_bert_tokens(encoder, vocabulary):
    from transformers import BertTokenizer

    try:
        theirs = BertTokenizer(vocab=str(vocabulary))
    except TypeError:  # transformers 4 calls it otherwise
        theirs = BertTokenizer(vocab_file=str(vocabulary))
    texts = ["A man, smiling; with RED hats!", "woman " * 50]
    expected = theirs(texts, padding="max_length", truncation=True, max_length=35)
    read = encoder._tokenizer.encode_batch(texts)
    assert [one.ids for one in read] == expected["input_ids"]
    assert [one.attention_mask for one in read] == expected["attention_mask"]


def test_a_cut_loses_base_text_and_is_reported(encoder):
    images = noise_pictures(2)
    current = batch(images, images, ["with a red hat", "woman " * 40])
    found = ImageReward(encoder).score(current)
    assert found["image_reward_cut"].tolist() == [0.0, 1.0]
    texts = ["with a red hat, a man, smiling", "woman " * 40]
    tokens = encoder.encode(np.stack(images))["tokens"]
    torch.testing.assert_close(found["image_reward"], encoder.match(tokens, texts)[0], atol=1e-5, rtol=0)


def test_the_reward_depends_on_image_and_text_and_on_no_batch_mate(encoder):
    images, texts = np.stack(noise_pictures(3)), ["a man", "a woman, smiling", "a red hat"]
    tokens = encoder.encode(images)["tokens"]
    together = encoder.match(tokens, texts)[0]
    alone = [encoder.match(encoder.encode(images[i : i + 1])["tokens"], [texts[i]])[0] for i in range(3)]
    torch.testing.assert_close(together, torch.cat(alone), atol=1e-4, rtol=0)
    assert together.std() > 1e-3
    assert (together - encoder.match(tokens, texts[::-1])[0]).abs().max() > 1e-4
    assert (together - encoder.match(tokens.flip(0), texts)[0]).abs().max() > 1e-4


def test_padding_is_not_read(encoder):
    tokens = encoder.encode(np.stack(noise_pictures(1)))["tokens"]
    ids = torch.tensor([[2, 5, 6, 3]])
    padded = torch.cat([ids, torch.zeros(1, 5).long()], dim=1)
    with torch.no_grad():
        short = encoder.model.match(tokens, ids, torch.ones(1, 4).long())
        long = encoder.model.match(tokens, padded, (padded > 0).long())
    torch.testing.assert_close(short, long, atol=1e-5, rtol=0)


def test_fewer_digits_of_the_network_round_no_reward(encoder, vocabulary, tmp_path):
    torch.save(encoder.model.state_dict(), tmp_path / "ImageReward.pt")
    model = ImageRewardModel.from_weights(tmp_path / "ImageReward.pt", TINY).computing_in("cpu", torch.bfloat16)
    rough = ImageRewardEncoder(model, vocabulary, SMALL)
    assert rough.dtype == torch.bfloat16
    assert torch.equal(model.mlp.layers[0].weight, encoder.model.mlp.layers[0].weight)
    raw = []
    hook = model.mlp.register_forward_hook(lambda module, given, result: raw.append(result))
    rough.match(rough.encode(np.stack(noise_pictures(3)))["tokens"], ["a man", "a woman", "a red hat"])
    hook.remove()
    assert raw[0].dtype == torch.float32 and not torch.equal(raw[0], raw[0].bfloat16().float())
