"""The published networks in miniature: their own code and ways of preparing images, made-up weights.

Weights come from integer arithmetic on the parameters' names, so they are the same on every machine and with every
library. What drifts in a package, a resize or a tokenizer drifts here as it does with the published weights, which
``spf-bench weights check`` compares with their checksums.
"""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zlib import crc32

import torch
from torch import Tensor, nn

from spf_bench.doctor.numbers.prints import uniform

OPEN_CLIP = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 224, "layers": 2, "width": 64, "head_width": 32, "patch_size": 56},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1},
}
PLACES = ("embed", "cls_token", "class_emb", "positional")
"""Parts of the names of parameters that are looked up or added, and multiply nothing."""
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"


def fill(network: nn.Module) -> Any:
    """Give every parameter and buffer of a network its made-up weights, and return it ready to look."""
    state = {name: _filled(name, value) for name, value in network.state_dict().items()}
    network.load_state_dict(state)
    return network.eval()


def _filled(name: str, value: Tensor) -> Tensor:
    if not value.is_floating_point() or "logit_scale" in name:
        return value
    numbers = torch.from_numpy(uniform(crc32(name.encode()), value.numel())).to(value.dtype).reshape(value.shape)
    if "running_var" in name or (value.ndim == 1 and name.endswith("weight")):
        return 1 + 0.2 * numbers
    if value.ndim < 2 or any(part in name for part in PLACES):
        return (0.1 if value.ndim < 2 else 1.0) * numbers
    inputs = value[0].numel()
    return numbers * (6 / inputs) ** 0.5  # keeps the size of a signal that passes a ReLU


def inception(resize: Any = "tf1") -> Any:
    """Return FID's network; of full size, for it has only one."""
    from spf_bench.metrics.inception import InceptionEncoder
    from spf_bench.metrics.inception_model import Inception

    return InceptionEncoder(fill(Inception()), resize)


def lpips(net: Any = "alex") -> Any:
    """Return one of LPIPS' networks, of full size."""
    from spf_bench.metrics.lpips_trunk import LpipsTrunk, linear_heads, trunk

    return LpipsTrunk(net, fill(trunk(net)), linear_heads(net))


def dino() -> Any:
    """Return a narrow DINO."""
    from spf_bench.metrics.dino import DinoEncoder
    from spf_bench.metrics.vit import Shape, ViT

    return DinoEncoder(fill(ViT(Shape(patch=16, width=48, depth=2, heads=4, grid=14))))


def dinov2() -> Any:
    """Return a narrow DINOv2."""
    from spf_bench.metrics.dino import DinoV2Encoder
    from spf_bench.metrics.vit import Shape, ViT

    return DinoV2Encoder(fill(ViT(Shape(patch=14, width=48, depth=2, heads=4, grid=37, scaled=True))))


def clip(size: int = 224) -> Any:
    """Return a narrow CLIP of Hugging Face's over the world's tokenizer."""
    from spf_bench.metrics.clip_encoder import CLIP_224, ClipEncoder, Preprocess

    network, tokenizer = _clip(size)
    return ClipEncoder(f"clip_{size}", network, tokenizer, Preprocess(size, CLIP_224.mean, CLIP_224.std))


def open_clip(name: str) -> Any:
    """Return a narrow CLIP of OpenCLIP's with its own tokenizer."""
    import open_clip as package

    from spf_bench.metrics.open_clip_encoder import OpenClipEncoder

    return OpenClipEncoder(name, fill(package.CLIP(**OPEN_CLIP)), package.get_tokenizer("ViT-H-14"))


def mps() -> Any:
    """Return a narrow MPS."""
    from spf_bench.metrics.clip_encoder import CLIP_224
    from spf_bench.metrics.mps import MPSEncoder, MPSModel

    network, tokenizer = _clip(224)
    sizes = {"layers": 2, "heads": 2, "dim_head": 8, "condition": "face, hair, shape"}
    return MPSEncoder(fill(MPSModel.create(network, **sizes)), tokenizer, CLIP_224)


def image_reward() -> Any:
    """Return a narrow ImageReward that reads letter by letter."""
    from spf_bench.metrics.image_reward import ImageRewardEncoder
    from spf_bench.metrics.image_reward_model import ImageRewardModel, Sizes

    sizes = Sizes(patch=56, dim=32, depth=2, heads=2, text_dim=24, text_depth=2, text_heads=2, vocabulary=96)
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ",", "-", *LETTERS, *(f"##{letter}" for letter in LETTERS)]
    with tempfile.TemporaryDirectory() as folder:
        vocabulary = Path(folder) / "vocab.txt"
        vocabulary.write_text("\n".join(words) + "\n")
        return ImageRewardEncoder(fill(ImageRewardModel(sizes)), vocabulary)


def _clip(size: int) -> tuple[Any, Any]:
    from transformers import CLIPConfig, CLIPModel, CLIPTokenizerFast

    from spf_bench.world.assets import folder

    tokenizer = CLIPTokenizerFast.from_pretrained(folder("judge_clip"))
    both = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    text = {"vocab_size": len(tokenizer), "max_position_embeddings": tokenizer.model_max_length, "projection_dim": 16}
    ends = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id}
    vision = {"image_size": size, "patch_size": 56, "projection_dim": 16}
    config = CLIPConfig(text_config=both | text | ends, vision_config=both | vision, projection_dim=16)
    return fill(CLIPModel(config)), tokenizer


BUILDERS: dict[str, Callable[[], Any]] = {
    "inception_tf1": inception,
    "inception_clean": lambda: inception("clean"),
    "lpips_alex": lpips,
    "lpips_vgg": lambda: lpips("vgg"),
    "dino": dino,
    "dinov2": dinov2,
    "clip": clip,
    "clip_336": lambda: clip(336),
    "clip_datacomp": lambda: open_clip("clip_datacomp"),
    "hps": lambda: open_clip("hps"),
    "hps_v20": lambda: open_clip("hps_v20"),
    "mps": mps,
    "image_reward": image_reward,
}
"""By the name that ``subjects`` calls a network."""
