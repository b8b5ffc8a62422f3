"""Pictures of maps: what is watched while a portrait is sampled, and how it is drawn."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from baselines.map_sheet import heat, over
from baselines.maps import mean_cosine, read_texts, watch
from baselines.show import find
from spf_bench import testset
from spf_bench.errors import UserError
from spf_bench.method import get_method
from spf_bench.models.backbone import Backbone
from spf_train.clip import FrozenClip
from spf_train.config import SPFConfig
from tests.bench.conftest import make_triples

Cli = Callable[..., object]
TRIPLE = make_triples(1)[0]


def test_what_is_watched_leaves_the_portrait_as_it_is(backbone: Backbone, clip_dir: Path, installed: object) -> None:
    clip, tokenizer = FrozenClip.from_pretrained(clip_dir), backbone.pipe.tokenizer
    texts = read_texts(TRIPLE, tokenizer, clip, 0.0)
    assert texts.phrases == ("a man with dark skin", "short red hair") and texts.gamma.shape == (1, 2)
    words = tokenizer.convert_ids_to_tokens(
        [
            i
            for i, wanted in zip(tokenizer(TRIPLE.prompt).input_ids, texts.target_positions[0, 0], strict=False)
            if wanted
        ]
    )
    assert "".join(words).replace("</w>", " ").strip() == TRIPLE.target
    assert -1 <= mean_cosine([(TRIPLE.base, TRIPLE.target)], tokenizer, clip) <= 1

    method = get_method("prompt_only")
    image, moments = watch(method, backbone, TRIPLE, texts, SPFConfig(), contrast=True)
    plain = method.sample(backbone, [TRIPLE], backbone.noise_for(TRIPLE)[None])[0]
    assert np.array_equal(image, plain.numpy())
    assert len(moments) == backbone.sampling.steps and [m.t for m in moments] == sorted(
        (m.t for m in moments), reverse=True
    )
    for moment in moments:
        assert moment.soft is not None and moment.phrases is not None and moment.released is not None
        assert moment.target.shape == moment.soft.shape == moment.released.shape == (16, 16)
        assert moment.phrases.shape == (2, 16, 16) and float(moment.released.min()) >= 0


def test_pictures_of_a_run_are_drawn(cli: Cli, tmp_path: Path) -> None:
    sizes = {}
    for what in ("sfcm", "attention"):
        to = tmp_path / f"{what}.png"
        words = ("--suite", "mini", "--device", "cpu", "--runs", tmp_path / "runs", "--steps", 2, "--to", to)
        done = cli("show", what, "--triple", "2", *words)
        assert done.exit_code == 0, done.output
        with Image.open(to) as picture:
            sizes[what] = picture.size
    assert sizes["sfcm"][1] > sizes["attention"][1] and sizes["attention"][0] > sizes["sfcm"][0]
    assert len(list((tmp_path / "runs/cache/checkpoints").iterdir())) == 2


def test_of_many_triples_the_first_and_the_last_are_named(frozen: testset.TestSet) -> None:
    many = replace(frozen, triples=tuple(make_triples(512)))
    with pytest.raises(UserError) as far:
        find(many, "9999")
    assert far.value.why == "known: mini-0000 to mini-0511"
    with pytest.raises(UserError) as near:
        find(many, "mini-05111")
    assert near.value.why == "did you mean 'mini-0511'? known: mini-0000 to mini-0511"


def test_a_triple_is_found_by_id_or_number(frozen: testset.TestSet) -> None:
    assert find(frozen, "3") == find(frozen, "mini-0002") == frozen.triples[2]
    with pytest.raises(UserError, match="mini-002"):
        find(frozen, "mini-002")


def test_heat_rises_from_dark_to_bright() -> None:
    colours = heat(torch.linspace(0, 1, 5)[None])
    assert colours.dtype == np.uint8 and (np.diff(colours[0].sum(axis=1).astype(int)) > 0).all()
    laid = over(torch.ones(2, 2), np.full((8, 8, 3), 200, np.uint8))
    assert laid.shape == (8, 8, 3)
