"""Settings of training and of methods: YAML files, ``name=value`` words, and budgets."""

import json
from pathlib import Path
from typing import Any

import yaml
from hypothesis import given
from hypothesis import strategies as st

from baselines.adalora.method import AdaLoRA
from baselines.lora.method import LoRA
from baselines.magnet.method import Magnet
from baselines.naive import Naive
from baselines.oft import OFT
from baselines.spf import SPF
from baselines.svdiff.method import SVDiff
from baselines.tokencompose.method import TokenCompose
from spf_bench.errors import UserError
from spf_bench.method import Method
from spf_bench.suite import get_suite
from spf_train.config import TrainConfig
from spf_train.errors import ConfigError
from spf_train.overrides import resolve
from spf_train.settings import leaves, to_dict
from tests.fuzz.outcome import fuzzed, outcome
from tests.fuzz.strategies import damaged, mutated, plain_texts, values

VALID: dict[str, Any] = to_dict(TrainConfig.preset("world"))
NAMES = tuple(name for name, _ in leaves(TrainConfig))
METHODS: tuple[type[Method], ...] = (AdaLoRA, LoRA, Magnet, Naive, OFT, SPF, SVDiff, TokenCompose)
LAUGHS = "a: &a [x, x]\n" + "".join(
    f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)
TRICKS = (
    "!!python/object/apply:os.system [touch x]", "a: !!python/name:os.system", LAUGHS, "&a [*a]", "a: &a {b: *a}",
    "[" * 1_500, "{a: " * 800, "? [a]\n: b", "a: !!int x", "a: 2001-99-99", "a: !!float x", "a: " + "9" * 5_000,
    "%YAML 9.9\n---\na: 1", "--- 1\n--- 2", "\t", "a: *b", "<<: 3", "stage1:", "stage1: [1]", "spf.norm.x.y: 1",
    "stage1: {lr: 1" + "0" * 400 + "}", "preset: [1]", "preset: nope", "a: !!binary x", "a: !!timestamp x", "- 1",
)  # fmt: skip
words = st.one_of(
    st.builds("{}={}".format, st.sampled_from(NAMES), values.map(str)),
    st.builds("{}={}".format, st.sampled_from(NAMES), st.sampled_from(TRICKS)),
    plain_texts,
)
files = st.one_of(
    st.sampled_from(TRICKS).map(str.encode),
    mutated(VALID).map(lambda data: yaml.dump(data, allow_unicode=False).encode()),
    damaged(yaml.safe_dump(VALID).encode()),
    plain_texts.map(str.encode),
)


@fuzzed(30)
@given(raw=files)
def test_yaml_files(tmp_path: Path, raw: bytes) -> None:
    (tmp_path / "a.yaml").write_bytes(raw)
    outcome(lambda: resolve("world", tmp_path / "a.yaml"))
    assert [path.name for path in tmp_path.iterdir()] == ["a.yaml"]


@fuzzed(60)
@given(given_words=st.lists(words, max_size=3))
def test_words_of_the_trainer(given_words: list[str]) -> None:
    found = outcome(lambda: resolve("world", None, given_words))
    assert isinstance(found, ConfigError) or found == TrainConfig.from_dict(to_dict(found))


@fuzzed(60)
@given(kind=st.sampled_from(METHODS), given_words=st.lists(words, min_size=1, max_size=2))
def test_words_of_methods(kind: type[Method], given_words: list[str]) -> None:
    preset = get_suite("world").preset("quick")
    found = outcome(lambda: kind().with_changes(given_words).config(preset))
    assert isinstance(found, UserError) or json.loads(json.dumps(found, allow_nan=False)) is not None
