"""The scorers of the filters: what each reads of a candidate, and all three filters in one set."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from spf_bench.metrics.clip_encoder import Preprocess
from spf_bench.metrics.image_reward import ImageRewardEncoder
from spf_bench.metrics.image_reward_model import ImageRewardModel, Sizes
from spf_bench.progress import Silent
from spf_bench.trainset import networks
from spf_bench.trainset.build import Build
from spf_bench.trainset.filters import REWARD, Rule, Rules
from spf_bench.trainset.rows import Row
from spf_bench.trainset.scores import Reward, match_scorer
from tests.bench.trainset.conftest import Specs, draw

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ",", "with", "a", "beard", "man", "dark", "skin", "red", "hair"]
TINY = Sizes(image=32, patch=16, dim=32, depth=1, heads=2, text_dim=24, text_depth=1, text_heads=2, vocabulary=200)


@pytest.fixture
def reward(tmp_path: Path) -> Reward:
    """ImageReward at a toy width with random weights."""
    torch.manual_seed(0)
    (tmp_path / "vocab.txt").write_text("\n".join(WORDS) + "\n")
    model = ImageRewardModel(TINY)
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.2)
    half = (0.5, 0.5, 0.5)
    return Reward(ImageRewardEncoder(model, tmp_path / "vocab.txt", Preprocess(32, half, half)))


def rows(n: int) -> list[Row]:
    """Candidates without images of their own."""
    return [Row(triple, Path(), "", 0) for triple in draw(0, 0)[:n]]


def pictures(n: int) -> np.ndarray:
    """Noise [n, 64, 64, 3]."""
    return np.random.default_rng(0).integers(0, 256, (n, 64, 64, 3), dtype=np.uint8)


def test_image_reward_reads_the_target_first(reward: Reward, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    match = ImageRewardEncoder.match

    def listening(self: ImageRewardEncoder, image: torch.Tensor, texts: list[str]) -> tuple[torch.Tensor, torch.Tensor]:
        read.extend(texts)
        return match(self, image, texts)

    monkeypatch.setattr(ImageRewardEncoder, "match", listening)
    scores = reward.score(pictures(2), rows(2))
    assert scores.shape == (2,) and scores.isfinite().all() and scores[0] != scores[1]
    assert read == [f"{row.triple.target}, {row.triple.base}" for row in rows(2)]


def test_a_match_is_the_cosine_of_image_and_complete_text(clip_dir: Path) -> None:
    scorer = match_scorer(clip_dir, "", "cpu", torch.float32)
    together = scorer.score(pictures(3), rows(3))
    assert together.shape == (3,) and together.abs().max() <= 1.0001
    swapped = scorer.score(pictures(3), rows(3)[::-1])
    assert torch.allclose(together[1], swapped[1], atol=1e-5) and not torch.allclose(together, swapped, atol=1e-5)


def test_three_filters_one_after_another(spec: Specs, reward: Reward, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(networks.LOADERS, REWARD, lambda *_: reward)
    for name, least in (("all", -1e6), ("none", 1e6)):
        asked = spec(name, 6, rules=Rules(Rule(0.5), Rule(floor=-1.0), Rule(floor=least)))
        figures = Build(asked).execute(Silent())
        assert figures is not None and figures.kept == (3 if name == "all" else 0)
        told = [json.loads(line) for line in (asked.to / "candidates.jsonl").read_text().splitlines()]
        matching = [row for row in told if row["outcome"] != "match"]
        assert len(matching) == 3 and {row["outcome"] for row in matching} == {"kept" if name == "all" else REWARD}
        assert all({"hps", REWARD} <= row.keys() for row in matching)
        card = (asked.to / "README.md").read_text()
        assert "### ImageReward" in card and f"| ImageReward | toy CLIP | {least:g} and above | {least:g} |" in card
