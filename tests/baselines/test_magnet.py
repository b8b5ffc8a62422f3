"""Magnet as a method: its contract, its settings, its cache, what it tells, and naive fine-tuning below it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from baselines.magnet.bank import Bank, nouns, words
from baselines.magnet.method import Magnet, MagnetOnNaive
from baselines.magnet.phrases import Phrases
from spf_bench.errors import UserError
from spf_bench.files.artifacts import Artifacts
from spf_bench.files.store import digest
from spf_bench.models.backbone import Backbone
from spf_bench.progress import Silent
from spf_bench.record import RunRecord
from spf_bench.run.execute import execute, train
from spf_bench.run.plan import Run
from tests.bench.conftest import backbone, frozen, installed, make_triples, planned, suite  # noqa: F401
from tests.tiny import tiny_text_encoder, tiny_tokenizer

TRIPLES = make_triples(3)
SOME, NOUNS = words()[:60], nouns()


@pytest.fixture(autouse=True)
def _small_bank(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("baselines.magnet.bank.words", lambda: SOME)
    monkeypatch.setattr("baselines.magnet.bank.nouns", lambda: NOUNS)


@pytest.fixture
def magnet(planned: Callable[..., Run]) -> Callable[..., Run]:  # noqa: F811
    """Plans a run of Magnet, changed or not, in the miniature benchmark."""
    return lambda *changes: replace(planned("prompt_only", limit=3), method=Magnet().with_changes(changes))


def test_contract(magnet: Callable[..., Run], backbone: Backbone) -> None:  # noqa: F811
    run = magnet()
    method, noise = run.method, torch.stack([backbone.noise_for(triple) for triple in TRIPLES])
    digest(method.config(run.preset))  # plain JSON types
    plain = backbone.render(backbone.encode([t.prompt for t in TRIPLES]), noise)
    assert train(run, Artifacts(run.cache, run.training), Silent()) is None
    method.load(backbone, None)
    images, embeds = method.sample(backbone, TRIPLES, noise), method.embed(backbone, TRIPLES)
    one_by_one = torch.cat([method.embed(backbone, [triple]) for triple in reversed(TRIPLES)]).flip(0)
    method.unload(backbone)
    assert torch.equal(embeds, one_by_one) and embeds.dtype == torch.float32
    assert images.shape == (3, 64, 64, 3) and images.dtype == torch.uint8
    assert not torch.equal(images, plain)
    assert torch.equal(backbone.render(backbone.encode([t.prompt for t in TRIPLES]), noise), plain)


def test_only_the_nouns_rows_are_edited(backbone: Backbone) -> None:  # noqa: F811
    triple = replace(TRIPLES[0], base="a man, short red hair", phrases=("a man", "short red hair"))
    before, after = backbone.encode([triple.prompt])[0], Magnet().embed(backbone, [triple])[0]
    names = backbone.pipe.tokenizer.convert_ids_to_tokens(backbone.pipe.tokenizer(triple.prompt).input_ids)
    moved = (before != after).any(dim=1).nonzero().flatten().tolist()
    assert [names[row] for row in moved] == ["man</w>", "hair</w>", "beard</w>"]


def test_with_both_parts_off_it_is_prompt_only(backbone: Backbone) -> None:  # noqa: F811
    off = Magnet().with_changes(["positive=false", "negative=false"])
    assert torch.equal(off.embed(backbone, TRIPLES), backbone.encode([t.prompt for t in TRIPLES]))


def test_a_record_tells_what_was_edited_and_what_was_not(magnet: Callable[..., Run]) -> None:
    run = magnet()
    record = execute(run, Silent())
    assert record.facts["pairs"] == 3 * 4  # man, skin, hair, and the target's noun
    assert record.facts["pairs_skipped"] == {} and record.facts["texts_without_pairs"] == 0
    assert record.facts["bank_words"] == len(SOME) > record.facts["bank_words_of_one_token"] > 0
    assert RunRecord.load(run.folder / "record.json").facts == record.facts
    assert list((run.cache / "methods").glob("bank-*.safetensors"))


def test_the_fine_tuned_model_is_the_naive_baselines(
    planned: Callable[..., Run],  # noqa: F811
    magnet: Callable[..., Run],
    backbone: Backbone,  # noqa: F811
) -> None:
    naive, run = planned("naive"), magnet("on=naive")
    first = train(naive, Artifacts(naive.cache, naive.training), Silent())
    assert run.method.trains and train(run, Artifacts(run.cache, run.training), Silent()) == first
    before = backbone.unet
    run.method.load(backbone, first)
    assert backbone.unet is not before
    run.method.unload(backbone)
    assert backbone.unet is before


def test_settings_of_the_training_below_it_make_another_run(magnet: Callable[..., Run]) -> None:
    run, shorter = magnet("on=naive"), magnet("on=naive", "stage1.steps=2")
    assert isinstance(shorter.method, MagnetOnNaive) and shorter.method.config(run.preset)["stage1"]["steps"] == 2
    assert len({each.folder for each in (run, shorter, magnet())}) == 3


def test_changes_add_up() -> None:
    changed = Magnet().with_changes(["neighbours=3"]).with_changes(["strength=1"])
    assert (changed.settings.neighbours, changed.settings.strength) == (3, 1) and not changed.trains
    assert changed.with_changes(["on=naive"]).trains


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ("neighbors=3", "did you mean 'neighbours'"),
        ("neighbours=0", "at least 1"),
        ("on=both", "base or naive"),
        ("strength=[", "is no value"),
        ("positive", "true or false"),
    ],
)
def test_wrong_settings_are_refused(change: str, complaint: str) -> None:
    with pytest.raises(UserError) as error:
        Magnet().with_changes([change])
    assert complaint in str(error.value)


def test_settings_of_a_training_that_does_not_take_place_are_refused(magnet: Callable[..., Run]) -> None:
    run = magnet("stage1.steps=2")
    with pytest.raises(UserError, match="not valid"):
        run.method.config(run.preset)


def test_a_bank_is_embedded_once_for_each_text_encoder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = Bank.of(Phrases(tiny_tokenizer(), tiny_text_encoder(0)), SOME, tmp_path)
    Bank.of(Phrases(tiny_tokenizer(), tiny_text_encoder(1)), SOME, tmp_path)
    Bank.of(Phrases(tiny_tokenizer(), tiny_text_encoder(0)), SOME[:10], tmp_path)
    assert len(list(tmp_path.iterdir())) == 3
    monkeypatch.setattr(Phrases, "word", lambda *_: pytest.fail("embedded again"))
    again = Bank.of(Phrases(tiny_tokenizer(), tiny_text_encoder(0)), SOME, tmp_path)
    assert torch.equal(first.vectors, again.vectors)


def test_whole_words_are_those_of_one_token(backbone: Backbone) -> None:  # noqa: F811
    facts = Magnet().with_changes(["whole_words=true"]).facts(backbone, TRIPLES)
    assert facts["bank_words"] == facts["bank_words_of_one_token"] > 0


def test_a_bank_of_no_words_is_a_users_error(backbone: Backbone, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    monkeypatch.setattr("baselines.magnet.bank.words", lambda: ("zyzzyva",))
    with pytest.raises(UserError, match="no neighbours"):
        Magnet().with_changes(["whole_words=true"]).embed(backbone, TRIPLES)
