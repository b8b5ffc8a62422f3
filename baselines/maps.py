"""What SPF sees while a portrait is sampled: control maps and attention maps at each step (Fig. 2, 3)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from spf_bench.method import Method
from spf_bench.models.backbone import Backbone
from spf_bench.triple import Triple
from spf_train import control_map as sfcm
from spf_train import variants
from spf_train.clip import FrozenClip
from spf_train.config import SPFConfig
from spf_train.prediction import Diffusion
from spf_train.tap import CrossAttentionTap, LayerQK
from spf_train.text import Prompts, phrase_tokens

Look = Callable[[Tensor, Tensor, Tensor, list[LayerQK]], None]
Pixels = np.ndarray[Any, np.dtype[np.uint8]]


@dataclass(frozen=True)
class Moment:
    """One step of sampling."""

    t: int
    """Its timestep."""
    target: Tensor
    """Where the model looks for the target text [h, w], in [0, 1]."""
    soft: Tensor | None = None
    """M [h, w]."""
    phrases: Tensor | None = None
    """A [P, h, w]: where it looks for each phrase of the base text."""
    released: Tensor | None = None
    """M̂ [h, w]."""


@dataclass(frozen=True)
class Texts:
    """A triple's texts as the maps need them."""

    phrases: tuple[str, ...]
    """The phrases of the base text."""
    gamma: Tensor
    """Their similarity to the target [1, P], centred as in training, clamped to [0, 1]."""
    phrase_positions: Tensor
    """Which tokens are whose, bool [1, P, L]."""
    target_positions: Tensor
    """Which tokens are the target's, bool [1, 1, L]."""


def read_texts(triple: Triple, tokenizer: Any, clip: FrozenClip, shift: float) -> Texts:
    """Return phrases, their gammas and everybody's token positions.

    Args:
        shift: Added to the cosines before they are clamped; what ``gamma_center`` came to in training.
    """
    prompts = Prompts(tokenizer)
    found = prompts.positions([triple.base], [triple.target])[0].phrases
    embeds = clip.embed_texts([triple.target, *(phrase.text for phrase in found)]).cpu()
    spans = torch.tensor([[(phrase.first, phrase.end) for phrase in found]])
    offsets = prompts.tokenizer(triple.prompt, return_offsets_mapping=True)["offset_mapping"]
    after = len(triple.base) + len(", ")
    inside = [start >= after and end > start for start, end in offsets]
    target = torch.zeros(1, 1, prompts.context, dtype=torch.bool)
    target[0, 0, : len(inside)] = torch.tensor(inside)
    gamma = sfcm.relevance((embeds[1:] @ embeds[0])[None], shift)
    return Texts(tuple(p.text for p in found), gamma, phrase_tokens(spans, prompts.context), target)


def mean_cosine(pairs: Sequence[tuple[str, str]], tokenizer: Any, clip: FrozenClip) -> float:
    """Return the mean similarity of phrase and target over (base, target) texts, as training centres gammas with."""
    bases, targets = zip(*pairs, strict=True)
    phrases = [[p.text for p in item.phrases] for item in Prompts(tokenizer).positions(bases, targets)]
    texts = list(dict.fromkeys([*targets, *(text for item in phrases for text in item)]))
    embeds = dict(zip(texts, clip.embed_texts(texts).cpu(), strict=True))
    cosines = [embeds[text] @ embeds[target] for target, item in zip(targets, phrases, strict=True) for text in item]
    return float(torch.stack(cosines).mean())


def watch(
    method: Method, backbone: Backbone, triple: Triple, texts: Texts, config: SPFConfig, contrast: bool
) -> tuple[Pixels, list[Moment]]:
    """Sample a triple's customised portrait [H, W, 3] and return it with what was seen at every step.

    Args:
        contrast: Also run the base text at every step, through the path that `soft_map` compares with, for M and M̂.
    """
    diffusion = Diffusion.from_scheduler(backbone.pipe.scheduler).to(torch.device(backbone.device))
    base, moments = backbone.encode([triple.base]), list[Moment]()

    def look(x_t: Tensor, t: Tensor, output: Tensor, layers: list[LayerQK]) -> None:
        size = (x_t.shape[2], x_t.shape[3])
        target = sfcm.minmax(_maps(layers, texts.target_positions, size, config))[0, 0]
        if not contrast:
            moments.append(Moment(int(t), target))
            return
        times = t.reshape(1).long().to(x_t.device)
        other = backbone.unet if config.soft_map == "text" else backbone.original_unet
        states = variants.text_states(other, base, base, torch.zeros(len(base), dtype=torch.bool, device=base.device))
        plain = other(x_t, t, encoder_hidden_states=states).sample
        eps_ref, eps_res = (diffusion.epsilon(made, x_t, times) for made in (plain, output))
        soft = sfcm.soft_map(eps_ref, eps_res, config.soft_scale)
        phrases = _maps(layers, texts.phrase_positions, size, config)
        released = sfcm.control_map(soft, phrases, texts.gamma.to(soft.device), config.rescale)
        moments.append(Moment(int(t), target, soft[0, 0], phrases[0], released[0, 0]))

    return _sample(method, backbone, triple, look), moments


@torch.inference_mode()
def _sample(method: Method, backbone: Backbone, triple: Triple, look: Look) -> Pixels:
    """Sample one portrait; ``look`` sees the conditional half of every pass of the UNet."""
    unet: Any = backbone.unet
    looking = False
    with CrossAttentionTap(unet) as tap:

        def hook(_unet: Any, inputs: tuple[Tensor, Tensor], output: Any) -> None:
            nonlocal looking
            if looking:  # a method that leaves the weights alone is its own reference: that pass is not the sampler's
                return
            layers, looking = [LayerQK(layer.query[-1:], layer.key[-1:]) for layer in tap.layers], True
            look(inputs[0][-1:], inputs[1], output.sample[-1:], layers)
            looking = False

        handle = unet.register_forward_hook(hook)
        try:
            noise = backbone.noise_for(triple)[None]
            image: Pixels = method.sample(backbone, [triple], noise)[0].numpy()
        finally:
            handle.remove()
    return image


def _maps(layers: Sequence[LayerQK], tokens: Tensor, size: tuple[int, int], config: SPFConfig) -> Tensor:
    return sfcm.phrase_maps(layers, tokens.to(layers[0].query.device), size, config.phrase_map)


def original(backbone: Backbone, triple: Triple) -> Pixels:
    """Return the original portrait [H, W, 3] of a triple."""
    noise = backbone.noise_for(triple)[None]
    backbone.restore()
    image: Pixels = backbone.render(backbone.encode([triple.base]), noise)[0].numpy()
    return image
