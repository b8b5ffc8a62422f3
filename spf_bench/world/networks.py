"""The world's networks: the classes of Stable Diffusion 1.x at a size that two CPU cores can train."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from diffusers import AutoencoderKL, UNet2DConditionModel
from transformers import CLIPConfig, CLIPModel, CLIPTokenizer

IMAGE_SIZE = 64
CONTEXT = 40
CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)


def make_tokenizer(captions: Iterable[str], folder: Path) -> CLIPTokenizer:
    """Trains a byte-pair vocabulary on captions and saves it as a CLIPTokenizer's files."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

    bpe = Tokenizer(models.BPE(end_of_word_suffix="</w>", unk_token="<|endoftext|>"))
    bpe.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(r" ", "removed"), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=1200, min_frequency=2, end_of_word_suffix="</w>", initial_alphabet=alphabet
    )
    bpe.train_from_iterator(captions, trainer)
    model = json.loads(bpe.to_str())["model"]
    # CLIP's own order: bytes, bytes that end a word, merged pieces, and the two special tokens last.
    letters = sorted(alphabet)
    vocabulary = [*letters, *(f"{letter}</w>" for letter in letters)]
    known = set(vocabulary)
    merges = [tuple(pair) if isinstance(pair, list) else tuple(pair.split(" ")) for pair in model["merges"]]
    vocabulary += [piece for piece in dict.fromkeys("".join(pair) for pair in merges) if piece not in known]
    vocabulary += ["<|startoftext|>", "<|endoftext|>"]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps({piece: i for i, piece in enumerate(vocabulary)}))
    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(" ".join(p) for p in merges) + "\n")
    tokenizer: CLIPTokenizer = CLIPTokenizer.from_pretrained(folder, model_max_length=CONTEXT)
    tokenizer.save_pretrained(folder)
    return tokenizer


def make_clip(tokenizer: CLIPTokenizer, width: int = 128, patch: int = 8) -> CLIPModel:
    """A CLIP of two three-layer towers with untrained weights; text [B, 40], image [B, 3, 64, 64]."""
    ids: dict[str, Any] = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id}
    tower: dict[str, Any] = {
        "hidden_size": width,
        "intermediate_size": 4 * width,
        "num_hidden_layers": 3,
        "num_attention_heads": width // 32,
        "projection_dim": width,
        "hidden_act": "gelu",
    }
    text = {"vocab_size": len(tokenizer), "max_position_embeddings": CONTEXT, **ids, **tower}
    text["pad_token_id"] = tokenizer.pad_token_id
    vision = {"image_size": IMAGE_SIZE, "patch_size": patch, **tower}
    return CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=width))


def make_vae() -> AutoencoderKL:
    """An untrained autoencoder, factor 4: images [B, 3, 64, 64] in [-1, 1], latents [B, 4, 16, 16]."""
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        block_out_channels=(32, 64, 96),
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=8,
        sample_size=IMAGE_SIZE,
    )


def make_unet(text_width: int) -> UNet2DConditionModel:
    """An untrained UNet in the layout of Stable Diffusion 1.x; cross-attention on two levels and in the middle."""
    return UNet2DConditionModel(
        sample_size=IMAGE_SIZE // 4,
        in_channels=4,
        out_channels=4,
        down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
        block_out_channels=(64, 96, 128),
        layers_per_block=1,
        attention_head_dim=4,  # as in SD 1.x this names the number of heads
        cross_attention_dim=text_width,
        norm_num_groups=16,
    )
