"""The world's networks: shapes, what the judge saves, and latents of unit scale after the autoencoder's training."""

import json

import pytest
import torch

from spf_bench.world import distributions, networks
from spf_bench.world.assets import WEIGHTS
from spf_bench.world.build import _unplaced
from spf_bench.world.fit import Fit, Schedule
from spf_bench.world.judge import Judge
from spf_bench.world.pool import FIELDS, Pool
from spf_bench.world.portrait import ATTRIBUTES, PARTS
from spf_bench.world.train_generator import to_tensor, train_vae, where_it_shows
from spf_bench.world.train_judges import COUNTS, UNSTATED, Captions, PreferencePairs, companion, read_loss, spoil


@pytest.fixture(scope="module")
def pool():
    return Pool.draw(distributions.judge(12, 0), parts=True)


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    captions = (sample.caption for sample in distributions.judge(500, 0))
    return networks.make_tokenizer(captions, tmp_path_factory.mktemp("tokenizer"))


def test_the_tokenizer_is_clip_s_and_knows_every_word(tokenizer):
    ids = tokenizer("a man with tan skin, wearing sunglasses").input_ids
    assert (ids[0], ids[-1]) == (tokenizer.bos_token_id, tokenizer.eos_token_id)
    assert tokenizer.convert_ids_to_tokens(ids)[1:-1] == [
        f"{word}</w>" for word in ("a", "man", "with", "tan", "skin", ",", "wearing", "sunglasses")
    ]
    assert max(len(tokenizer(s.caption).input_ids) for s in distributions.judge(2000, 5)) <= networks.CONTEXT


def test_the_judge_sees_what_its_output_promises(pool, tmp_path):
    judge = Judge().eval()
    x = to_tensor(pool.images, torch.device("cpu"))
    out = judge(x)
    assert {name: logits.shape for name, logits in out.attributes.items()} == {
        name: (12, len(values)) for name, values in ATTRIBUTES.items()
    }
    assert torch.allclose(out.identity.norm(dim=1), torch.ones(12), atol=1e-5)
    assert out.parts.shape == (12, len(PARTS), 64, 64)
    assert [stage.shape[-1] for stage in out.stages] == [32, 16, 8, 4]
    judge.save_pretrained(tmp_path)
    again = Judge.from_pretrained(tmp_path)
    assert torch.equal(again(x).parts, out.parts)
    with pytest.raises(ValueError, match="64, 64"):
        judge(x[..., :32])


def test_a_judge_of_other_attributes_is_refused(tmp_path):
    Judge().save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    config["attributes"]["skin"] = ["green"]
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match="spf-bench world build"):
        Judge.from_pretrained(tmp_path)


def test_whitening_gives_unit_latents_and_the_same_pictures(pool, tmp_path):
    torch.manual_seed(0)
    vae = networks.make_vae()
    fit = Fit(tmp_path, torch.device("cpu"), 0, lambda *_: None)
    train_vae(vae, pool, fit, Schedule(steps=2, batch=4, lr=1e-3, warmup=1))
    x = to_tensor(pool.images, torch.device("cpu"))
    with torch.no_grad():
        latents = vae.encode(x).latent_dist.mean
    assert torch.allclose(latents.mean(dim=(0, 2, 3)), torch.zeros(4), atol=1e-3)
    assert torch.allclose(latents.std(dim=(0, 2, 3)), torch.ones(4), atol=1e-3)

    plain = networks.make_vae()
    plain.load_state_dict(torch.load(tmp_path / "vae.state.pt", weights_only=True)["model"])
    with torch.no_grad():
        assert torch.allclose(plain(x).sample, vae(x).sample, atol=1e-4)


def test_a_pool_is_read_back_from_its_cache_and_made_anew_for_other_samples(tmp_path):
    cache = tmp_path / "pool.npz"
    first = Pool.draw(distributions.judge(3, 0), cache)
    drawn = []
    again = Pool.draw(distributions.judge(3, 0), cache, lambda *progress: drawn.append(progress))
    assert (first.images == again.images).all()
    assert not drawn
    assert (Pool.draw(distributions.judge(3, 1), cache).images != first.images).any()


def test_companions_keep_the_person_and_change_the_rest():
    a, b = distributions.judge(2, 6)
    both = companion(a, b).portrait
    assert both.skin == a.portrait.skin
    assert both.hair_style == a.portrait.hair_style
    assert both.background == b.portrait.background


def test_worse_pictures_differ_from_better_ones(pool, tokenizer, tmp_path):
    pairs = PreferencePairs(pool, tokenizer, Fit(tmp_path, torch.device("cpu"), 0, lambda *_: None), 12)
    better, worse, ids, _ = pairs.draw(0, torch.Generator().manual_seed(0))
    assert better.shape == worse.shape
    assert len(ids) == 12
    assert ((better - worse).abs().amax(dim=(1, 2, 3)) > 0.01).all()


def test_each_phrase_is_read_at_its_own_last_token(pool, tokenizer):
    captions = Captions(pool, tokenizer)
    drawn = captions.draw(list(range(len(pool))), torch.Generator().manual_seed(3))
    assert len(drawn.places) > len(pool)
    for (row, place), values in zip(drawn.places.tolist(), drawn.words, strict=True):
        before = tokenizer.decode(drawn.ids[row, 1 : place + 1]).replace(" ", "")
        phrase = next(p for p, _ in captions.told[row] if before.endswith(p.replace(" ", "")))
        stated = dict(captions.told[row])[phrase]
        assert stated == {
            name: ATTRIBUTES[name][value]
            for name, value in zip(FIELDS, values.tolist(), strict=True)
            if value != UNSTATED
        }
        following = tokenizer.convert_ids_to_tokens(drawn.ids[row, place + 1].item())
        assert following in (",</w>", tokenizer.eos_token)


def test_what_is_not_stated_costs_nothing():
    values = torch.full((2, len(FIELDS)), UNSTATED)
    logits = torch.randn(2, sum(COUNTS), requires_grad=True)
    assert read_loss(logits, values).item() == 0
    values[0, 0] = 1
    expected = torch.nn.functional.cross_entropy(logits[:1, : COUNTS[0]], torch.tensor([1]))
    assert torch.allclose(read_loss(logits, values), expected)


def test_a_mouth_weighs_more_than_its_area():
    for framing in ATTRIBUTES["framing"]:
        weights = where_it_shows(framing, 16)
        assert weights.shape == (16, 16)
        assert weights.mean().item() == pytest.approx(1)
        assert weights.min() >= 0.5
    assert where_it_shows("medium", 16)[9, 7] > 3 * where_it_shows("medium", 16)[9, 0]


def test_every_damage_changes_a_picture(pool):
    import random

    picture = to_tensor(pool.images, torch.device("cpu"))[0]
    for seed in range(30):
        assert not torch.equal(spoil(picture, random.Random(seed)), picture)


def test_labels_follow_the_records(pool):
    column = FIELDS.index("background")
    names = [ATTRIBUTES["background"][i] for i in pool.labels[:, column]]
    assert names == [sample.portrait.background for sample in pool.samples]


def test_configs_lose_the_folders_they_were_built_in():
    config = {"_name_or_path": "somewhere", "clip": {"_name_or_path": "else", "width": 3}, "blocks": [1, 2]}
    assert _unplaced(config) == {"clip": {"width": 3}, "blocks": [1, 2]}
    assert not any("_name_or_path" in file.read_text() for file in WEIGHTS.rglob("config.json"))
