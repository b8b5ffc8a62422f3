"""Prompts of any kind, from the command that samples to the text that a method sees."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from baselines.magnet.pairs import clean, pairs_of
from baselines.tokencompose.nouns import noun_positions
from spf_bench.captions.tokens import pieces
from spf_bench.metrics.clip_encoder import ClipEncoder
from spf_bench.models.backbone import Backbone
from spf_bench.run.preflight import too_long
from spf_bench.trainset.captions import base_phrases
from spf_train.base_model import load_pipeline
from spf_train.errors import ConfigError
from spf_train.prepare import prepare
from spf_train.sample import Sample
from spf_train.text import Prompts, token_places
from tests.bench.conftest import SAMPLING, make_triples
from tests.fuzz.outcome import fuzzed, outcome
from tests.fuzz.strategies import PROMPTS, plain_texts
from tests.tiny import CONTEXT, tiny_tokenizer

TOKENIZER = tiny_tokenizer()
prompts = st.one_of(plain_texts, st.lists(st.sampled_from(PROMPTS[:9]), max_size=3).map(", ".join))


@fuzzed(40)
@given(base=prompts, target=prompts)
def test_places_of_phrases(base: str, target: str) -> None:
    places = outcome(lambda: token_places(Prompts(TOKENIZER), [base], [target]))
    ends, spans = places["ends"][0], places["spans"][0]
    assert 1 <= ends[0] <= ends[1] and (spans >= 0).all() and (spans[:, 1] <= ends[0]).all()


@fuzzed(40)
@given(base=prompts, target=prompts)
def test_words_of_baselines_and_captions(base: str, target: str) -> None:
    outcome(lambda: pairs_of(base.split(", "), {"hair", "woman"}))
    outcome(lambda: noun_positions(TOKENIZER, base, target))
    assert clean(base).replace(" ", "") == base.replace(" ", "")
    outcome(lambda: pieces(base))
    phrases = base_phrases(base, target, lambda text: len(text) < 200)
    assert len(", ".join([*phrases, target])) < 200 or not phrases


@pytest.fixture(scope="module")
def backbone(pipe_dir: Path) -> Backbone:
    return Backbone.from_folder(pipe_dir, replace(SAMPLING, steps=1))


@fuzzed(10, 500)
@given(text=prompts)
@example(text="")
@example(text=",,,")
@example(text="👩‍👩‍👧‍👦 with 🕶️")
@example(text="امرأة ذات شعر أحمر")
def test_images_of_any_prompt_or_its_refusal(backbone: Backbone, pipe_dir: Path, text: str) -> None:
    images = outcome(lambda: backbone.render(backbone.encode([text]), backbone.noise_for(make_triples(1)[0])[None]))
    refused = list(too_long(pipe_dir, [text]))
    assert bool(refused) == isinstance(images, Exception)  # before anything is trained as after
    assert refused or images.shape == (1, 64, 64, 3)


@pytest.mark.filterwarnings("ignore:.*exceed the")
@fuzzed(8, 500)
@given(texts=st.lists(prompts, min_size=1, max_size=3))
def test_judges_read_any_text(clip_dir: Path, texts: list[str]) -> None:
    judge = ClipEncoder.from_pretrained("judge", clip_dir, "cpu")
    assert np.isfinite(np.asarray(outcome(lambda: judge.texts(texts)))).all()


@fuzzed(5, 300)
@given(base=prompts, target=prompts)
def test_training_prepares_any_texts(pipe_dir: Path, base: str, target: str) -> None:
    pixels = np.zeros((64, 64, 3), np.uint8)
    samples = [Sample(pixels, "a man, smiling", "with a beard"), Sample(pixels, base, target)]
    pipe = load_pipeline(pipe_dir, "cpu")
    found = outcome(lambda: prepare(samples, pipe, max_skipped=0.5))
    assert not isinstance(found, ConfigError)
    fits = len(TOKENIZER(f"{base}, {target}").input_ids) <= CONTEXT
    assert len(found) == 1 + fits
