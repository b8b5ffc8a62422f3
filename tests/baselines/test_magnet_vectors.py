"""Magnet reproduces the authors' code, case by case: end to end from the prompt, and every step between."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import CLIPTextConfig, CLIPTextModel

from baselines.magnet.bank import Bank
from baselines.magnet.edit import Editor, Placed
from baselines.magnet.pairs import Pair, clean
from baselines.magnet.phrases import Phrases
from baselines.magnet.settings import MagnetSettings
from spf_train.single_file import load_tokenizer

VECTORS = Path(__file__).parent / "vectors"
CASES = ("M01", "M02", "M04", "M05", "M06", "M08", "M11", "M14", "M17")
CLOSE: dict[str, Any] = {"atol": 2e-5, "rtol": 0}


@cache
def encoder() -> Phrases:
    """The vectors' text encoder, with CLIP's own tokenizer."""
    with np.load(VECTORS / "magnet_encoder.npz") as stored:
        config = json.loads(str(stored["config_json"]))
        weights = {name[2:]: torch.from_numpy(stored[name]).float() for name in stored.files if name.startswith("w/")}
    ends = {"bos_token_id": config.pop("bos"), "eos_token_id": config["eos"], "pad_token_id": config.pop("eos")}
    model = CLIPTextModel(CLIPTextConfig(**config, **ends)).eval()
    getattr(model, "text_model", model).load_state_dict(weights)  # transformers 4 has a model within the model
    return Phrases(load_tokenizer(), model)


class Case:
    """One vector file, and the editor that it asks for."""

    def __init__(self, name: str) -> None:
        with np.load(VECTORS / f"magnet_{name}.npz") as stored:
            self.data = {key: stored[key] for key in stored.files}
        hyper = json.loads(str(self.data["hyper_json"]))
        self.phrases = encoder()
        bank = Bank.of(self.phrases, [str(word) for word in self.data["bank_words"]])
        settings = MagnetSettings(
            neighbours=hyper["K"],
            strength=hyper["alpha_lambda"],
            positive=hyper["use_pos"],
            negative=hyper["use_neg"],
        )
        self.editor = Editor(self.phrases, bank, settings)
        names = zip(self.data["subjects"], self.data["attributes"], strict=True)
        self.pairs = [Pair(str(subject), str(attribute)) for subject, attribute in names]

    def tensor(self, name: str) -> torch.Tensor:
        return torch.from_numpy(self.data[name])


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> Case:
    return Case(request.param)


def test_from_the_prompt_to_the_edited_embedding(case: Case) -> None:
    prompt = clean(str(case.data["prompt"]))
    assert prompt == str(case.data["prompt_checked"])
    embeds = case.phrases._states(prompt, padded=True)
    assert torch.allclose(embeds, case.tensor("base_embeds"), **CLOSE)
    placed, skipped = case.editor.place(prompt, case.pairs)
    assert not skipped and [pair.concept for pair, _ in placed] == case.data["concepts"].tolist()
    assert [at.position for at in placed] == [int(row[row >= 0][-1]) for row in case.data["concept_token_idx"]]
    edited = case.editor.edit(embeds, placed)
    assert torch.allclose(edited, case.tensor("magnet_embeds"), **CLOSE)
    untouched = [row for row in range(77) if row not in {at.position for at in placed}]
    assert torch.equal(edited[untouched], embeds[untouched])


def test_the_bank_is_embedded_as_the_authors_embed_it(case: Case) -> None:
    vectors = torch.stack([case.phrases.word(word) for word in case.editor.bank.words])
    assert torch.allclose(vectors, case.tensor("bank_embs"), **CLOSE)


def test_neighbours_are_the_authors(case: Case) -> None:
    assert [case.editor.neighbours(pair.subject) for pair in case.pairs] == case.data["neighbours"].tolist()


def test_strengths_are_the_authors(case: Case) -> None:
    omega = torch.tensor([case.phrases.drift(pair.concept) for pair in case.pairs])
    alpha, beta = map(torch.tensor, zip(*map(case.editor.strengths, case.pairs), strict=True))
    for found, name in ((omega, "omega"), (alpha, "alpha"), (beta, "beta")):
        assert torch.allclose(found, case.tensor(name), **CLOSE), name


def test_binding_vectors_are_the_authors(case: Case) -> None:
    placed = [Placed(pair, 0) for pair in case.pairs]
    pulls = torch.stack([case.editor.pull(pair) for pair in case.pairs])
    assert torch.allclose(pulls, case.tensor("pull"), **CLOSE)
    for at, expected in zip(placed, case.tensor("push"), strict=True):
        total = sum(case.editor.pushes(at, placed), torch.zeros(32))
        assert torch.allclose(total, expected.sum(dim=0), **CLOSE)


def test_strengths_handed_in_are_taken() -> None:
    case = Case("M04")
    pairs = [Pair(pair.subject, pair.attribute, alpha=2.0, beta=0.5) for pair in case.pairs]
    placed, _ = case.editor.place(str(case.data["prompt_checked"]), pairs)
    base, pull, push = (case.tensor(name) for name in ("base_embeds", "pull", "push"))
    expected = base.clone()
    for k, at in enumerate(placed):
        expected[at.position] += 2.0 * pull[k] - 0.5 * push[k].sum(dim=0)
    assert torch.allclose(case.editor.edit(base, placed), expected, atol=5e-5, rtol=0)


def test_every_place_of_the_noun_in_its_concept_is_replaced() -> None:
    editor = Case("M01").editor
    doubled = Pair("car", "cardboard")
    moves = [
        editor.phrases.word(f"{other}dboard {other}") - editor.phrases.word(other) for other in editor.neighbours("car")
    ]
    assert torch.equal(editor.pull(doubled), torch.stack(moves).mean(dim=0))


def test_a_bare_noun_is_left_alone_by_its_own_attribute() -> None:
    assert not Case("M14").editor.pull(Pair("dog")).any()


def test_pairs_that_cannot_be_edited_are_counted_with_their_reason() -> None:
    editor = Case("M01").editor
    prompt = "red " * 80 + "hat and a blue coat"
    pairs = [Pair("hat", "red"), Pair("coat", "blue"), Pair("coat", "green"), Pair("hat", ("red " * 75).strip())]
    placed, skipped = editor.place("a red hat", [Pair("hat", "red"), Pair("hat", "blue")])
    assert [at.position for at in placed] == [3] and skipped == {"not in the text as one run of words": 1}
    placed, skipped = editor.place(prompt, pairs)
    assert not placed and skipped["beyond the text encoder's last position"] == 3
    _, skipped = editor.place("red " * 74 + "hat", [Pair("hat", ("red " * 74).strip())])
    assert skipped == {"too long to be read with another noun": 1}
