"""Captions become base texts: without the target, short enough, and free of what no text should hold."""

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import BertTokenizerFast, BlipConfig, BlipForConditionalGeneration

from spf_bench.errors import UserError
from spf_bench.trainset.captioner import Captioner
from spf_bench.trainset.captions import base_phrases, reader
from tests.bench.conftest import BASE
from tests.bench.trainset.tiny_captioners import KINDS, WORDS, tiny


def short(text: str) -> bool:
    """A text encoder that reads sixty characters."""
    return len(text) <= 60


@pytest.mark.parametrize(
    ("said", "phrases"),
    [
        ("A man. Red hair, smiling", ("A man", "Red hair", "smiling")),
        ("a man, wearing a pair of sunglasses, smiling", ("a man", "smiling")),
        ("a man in a sweater\n\nin a\tpark; in a park", ("a man in a sweater", "in a park")),
        ("a \u202eman\x00, , ,.", ("a man",)),
        ("a man, in a green sweater, in front of a wall, at dusk", ("a man", "in a green sweater")),
        ("sunglasses", ()),
        ("", ()),
        ("the, of, a", ()),
    ],
)
def test_a_caption_is_cut_into_phrases(said: str, phrases: tuple[str, ...]) -> None:
    assert base_phrases(said, "wearing sunglasses", short) == phrases


def test_a_checkpoint_says_what_it_reads(pipe_dir: Path) -> None:
    fits = reader(pipe_dir)
    assert fits(BASE) and not fits(", ".join([BASE] * 9))


def tiny_blip(folder: Path) -> Path:
    """A BLIP of two layers with random weights, and its processor's files."""
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[DEC]", *["a", "man", "woman", "with", "red", "hair"]]
    (folder / "vocab.txt").write_text("\n".join(words))
    tokenizer = BertTokenizerFast(str(folder / "vocab.txt"))
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    text = {
        "vocab_size": len(words),
        "encoder_hidden_size": 16,
        "bos_token_id": 5,
        "sep_token_id": 3,
        "pad_token_id": 0,
    }
    vision = {"image_size": 32, "patch_size": 16, **sizes}
    torch.manual_seed(0)
    config = BlipConfig(text_config={**text, **sizes}, vision_config=vision, projection_dim=8)
    BlipForConditionalGeneration(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(
        '{"image_processor_type": "BlipImageProcessor", "processor_class": "BlipProcessor",'
        ' "size": {"height": 32, "width": 32}}'
    )
    return folder


def test_a_model_of_transformers_captions_alike_in_any_batch(tmp_path: Path) -> None:
    captioner = Captioner.load(tiny_blip(tmp_path), "cpu", "float32")
    images = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), dtype=np.uint8)
    said = captioner.describe(images, ["with a beard"] * 3)
    assert len(said) == 3 and all(isinstance(text, str) for text in said)
    assert said[1:2] == captioner.describe(images[1:2], ["with a beard"])


def test_what_cannot_caption_is_refused(clip_dir: Path, tmp_path: Path) -> None:
    for folder in (clip_dir, tmp_path):
        with pytest.raises(UserError, match="cannot caption"):
            Captioner.load(folder, "cpu", "float32")


@pytest.mark.parametrize("kind", KINDS)
def test_kinds_of_captioners(kind: str, tmp_path: Path) -> None:
    captioner = Captioner.load(tiny(kind, tmp_path), "cpu", "float32")
    images = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)
    said = captioner.describe(images, ["with a beard", "wearing a hat"])
    assert len(said) == 2 and all(set(text.split()) <= set(WORDS) for text in said)


def test_a_model_that_follows_instructions_is_asked_without_the_target(tmp_path: Path) -> None:
    captioner = Captioner.load(tiny("llava", tmp_path), "cpu", "float32")
    heard: list[str] = []

    def generate(input_ids: torch.Tensor, **_: object) -> torch.Tensor:
        heard.append(captioner.processor.decode(input_ids[0]))
        return torch.cat([input_ids, torch.tensor([[9, 10]])], dim=1)

    captioner.model.generate = generate
    said = captioner.describe(np.zeros((1, 64, 64, 3), np.uint8), ["a red hat ,"])
    assert said == ["red hair"] and "USER" in heard[0] and "a red hat" in heard[0]


def test_a_model_that_wants_more_than_an_image_is_refused_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def describe(*_: object) -> list[str]:
        raise ValueError("You need to give a prompt\nand more")

    monkeypatch.setattr(Captioner, "describe", describe)
    with pytest.raises(UserError, match="cannot caption") as refused:
        Captioner.load(tiny_blip(tmp_path), "cpu", "float32")
    assert refused.value.why == "You need to give a prompt"
