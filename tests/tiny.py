"""Random-weights Stable Diffusion and CLIP folders: real classes at toy widths, for tests of pipelines."""

from __future__ import annotations

import functools
import json
import tempfile
from pathlib import Path

import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers
from transformers import (
    CLIPConfig,
    CLIPModel,
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTokenizer,
    CLIPVisionConfig,
)

CONTEXT = 40
WIDTH = 32
CAPTIONS = (
    "a man with dark skin, short red hair, in a green sweater, mint green background, smiling",
    "a woman with light skin, long blonde hair, in a white t-shirt, orange background, frowning",
    "a woman with a guitar, curly black hair, in a blue blazer, grey background, serious, with a beard",
    "wearing sunglasses, wearing a red winter hat, wearing round glasses, pencil sketch style, rosy cheeks",
)
# The two regular expressions of OpenAI's CLIP tokenizer, as transformers' CLIPTokenizer has them.
SPACES = r"\s+"
WORDS = r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"


@functools.cache
def _vocabulary() -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Byte-level BPE of 700 tokens learned from CAPTIONS; the end token has the highest id, as in CLIP."""
    tokenizer = Tokenizer(models.BPE(continuing_subword_prefix="", end_of_word_suffix="</w>"))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(SPACES), " "), normalizers.Lowercase()]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(WORDS), behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=700, end_of_word_suffix="</w>", initial_alphabet=letters, show_progress=False
    )
    tokenizer.train_from_iterator(CAPTIONS, trainer)
    learned = json.loads(tokenizer.to_str())["model"]
    merges = [tuple(pair) for pair in learned["merges"]]
    tokens = [*letters, *(f"{letter}</w>" for letter in letters)]
    tokens += [token for token in learned["vocab"] if token not in set(tokens)]
    tokens += ["<|startoftext|>", "<|endoftext|>"]
    return {token: i for i, token in enumerate(tokens)}, merges


def tiny_tokenizer() -> CLIPTokenizer:
    """A CLIPTokenizer with a context of 40 tokens; every word of CAPTIONS is one or a few tokens."""
    vocabulary, merges = _vocabulary()
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "vocab.json").write_text(json.dumps(vocabulary))
        (Path(folder) / "merges.txt").write_text("\n".join(["#version: 0.2", *map(" ".join, merges), ""]))
        return CLIPTokenizer.from_pretrained(folder, model_max_length=CONTEXT)


def _text_config() -> CLIPTextConfig:
    tokenizer = tiny_tokenizer()
    return CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=WIDTH,
        intermediate_size=2 * WIDTH,
        projection_dim=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=CONTEXT,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        initializer_factor=4.0,  # larger than the default, so that texts differ visibly
    )


def tiny_text_encoder(seed: int = 0) -> CLIPTextModel:
    """Two layers, width 32."""
    torch.manual_seed(seed)
    return CLIPTextModel(_text_config()).eval()


def tiny_unet(size: int = 64, seed: int = 0) -> UNet2DConditionModel:
    """Two levels and a middle, seven cross-attention layers, 4 latent channels, for `size` px images."""
    torch.manual_seed(seed)
    return UNet2DConditionModel(
        sample_size=size // 4,
        block_out_channels=(16, 32),
        down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
        layers_per_block=1,
        attention_head_dim=2,
        cross_attention_dim=WIDTH,
        norm_num_groups=4,
    )


def tiny_vae(seed: int = 0) -> AutoencoderKL:
    """Factor 4, 4 latent channels."""
    torch.manual_seed(seed)
    return AutoencoderKL(
        block_out_channels=(8, 16, 16),
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=4,
        scaling_factor=0.5,
    )


def tiny_pipeline(folder: Path, size: int = 64, prediction_type: str = "epsilon", seed: int = 0) -> Path:
    """Saves a StableDiffusionPipeline of `size` px images and returns its folder."""
    scheduler = DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
        prediction_type=prediction_type,
    )
    pipeline = StableDiffusionPipeline(
        vae=tiny_vae(seed).eval(),
        text_encoder=tiny_text_encoder(seed),
        tokenizer=tiny_tokenizer(),
        unet=tiny_unet(size, seed).eval(),
        scheduler=scheduler,
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.save_pretrained(folder)
    return Path(folder)


def tiny_clip(folder: Path, size: int = 64, seed: int = 1) -> Path:
    """Saves a CLIPModel for `size` px images, with tokenizer and preprocessor config; returns its folder."""
    torch.manual_seed(seed)
    vision = CLIPVisionConfig(
        image_size=size,
        patch_size=size // 4,
        hidden_size=WIDTH,
        intermediate_size=2 * WIDTH,
        projection_dim=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        initializer_factor=4.0,
    )
    config = CLIPConfig(text_config=_text_config().to_dict(), vision_config=vision.to_dict(), projection_dim=16)
    CLIPModel(config).eval().save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    config_file = Path(folder) / "preprocessor_config.json"
    config_file.write_text(json.dumps(_image_processor(size), indent=2))
    return Path(folder)


def _image_processor(size: int) -> dict[str, object]:
    """What CLIPImageProcessor saves; written by hand because building one asks for torchvision."""
    return {
        "image_processor_type": "CLIPImageProcessor",
        "do_convert_rgb": True,
        "do_resize": True,
        "size": {"shortest_edge": size},
        "resample": 3,
        "do_center_crop": True,
        "crop_size": {"height": size, "width": size},
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": [0.48145466, 0.4578275, 0.40821073],
        "image_std": [0.26862954, 0.26130258, 0.27577711],
    }
