"""Captioning models of three kinds with random weights, saved as their kinds are on the Hub."""

from collections.abc import Callable
from pathlib import Path

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    CLIPImageProcessor,
    CLIPVisionConfig,
    GitConfig,
    GitForCausalLM,
    GitProcessor,
    GPT2Config,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedTokenizerFast,
    VisionEncoderDecoderConfig,
    VisionEncoderDecoderModel,
    ViTConfig,
    ViTImageProcessor,
)

WORDS = ("<pad>", "<s>", "</s>", "<unk>", "<image>", "a", "man", "woman", "with", "red", "hair", "hat", "beard", "USER")
SIZES = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
IDS = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
TEMPLATE = (
    "{% for turn in messages %}USER {% for part in turn['content'] %}"
    "{% if part['type'] == 'image' %}<image> {% else %}{{ part['text'] }}{% endif %}{% endfor %}{% endfor %}"
)


def tokenizer() -> PreTrainedTokenizerFast:
    """Knows ``WORDS`` and nothing else."""
    made = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    special = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}
    return PreTrainedTokenizerFast(tokenizer_object=made, additional_special_tokens=["<image>"], **special)


def _eyes() -> CLIPImageProcessor:
    return CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})


def git(folder: Path) -> None:
    """Captions unasked, by one network."""
    vision = {"image_size": 32, "patch_size": 16, **SIZES}
    GitForCausalLM(GitConfig(vision_config=vision, vocab_size=len(WORDS), **SIZES, **IDS)).save_pretrained(folder)
    GitProcessor(_eyes(), tokenizer()).save_pretrained(folder)


def vit_gpt2(folder: Path) -> None:
    """Two networks, and no processor that joins what reads and what writes."""
    sees = ViTConfig(image_size=32, patch_size=16, **SIZES)
    says = GPT2Config(vocab_size=len(WORDS), n_embd=16, n_layer=1, n_head=2, n_positions=80, **IDS)
    config = VisionEncoderDecoderConfig.from_encoder_decoder_configs(sees, says)
    model = VisionEncoderDecoderModel(config)
    model.generation_config.update(decoder_start_token_id=1, **IDS)
    model.save_pretrained(folder)
    ViTImageProcessor(size={"height": 32, "width": 32}).save_pretrained(folder)
    tokenizer().save_pretrained(folder)


def llava(folder: Path) -> None:
    """Follows instructions: has a chat template."""
    sees = CLIPVisionConfig(image_size=32, patch_size=16, projection_dim=16, **SIZES)
    says = LlamaConfig(vocab_size=len(WORDS), max_position_embeddings=256, num_key_value_heads=2, **SIZES, **IDS)
    how, image = {"vision_feature_select_strategy": "default"}, WORDS.index("<image>")
    config = LlavaConfig(
        vision_config=sees, text_config=says, image_token_index=image, vision_feature_layer=-1, **how
    )  # fmt: skip
    LlavaForConditionalGeneration(config).save_pretrained(folder)
    reader = LlavaProcessor(_eyes(), tokenizer(), 16, chat_template=TEMPLATE, num_additional_image_tokens=1, **how)
    reader.save_pretrained(folder)


KINDS: dict[str, Callable[[Path], None]] = {"git": git, "vit_gpt2": vit_gpt2, "llava": llava}


def tiny(kind: str, folder: Path) -> Path:
    """Save a model of a kind in a folder, and return the folder."""
    torch.manual_seed(0)
    KINDS[kind](folder)
    return folder
