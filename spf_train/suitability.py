"""Whether loaded networks fit together as training needs them: said at once, before hours of encoding."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from spf_train.errors import ConfigErrors, Problem, explained

if TYPE_CHECKING:
    from spf_train.clip import FrozenClip


def check_pipeline(pipe: Any, base: object) -> None:
    """Raises ConfigErrors naming all that keeps a StableDiffusionPipeline, called `base`, from being trained."""
    what = f"cannot train the base model {base}"
    with explained(what, "pass a Stable Diffusion 1.x or 2.x"):  # configs of other kinds lack some of the entries
        problems = list(pipeline_problems(pipe))
    if problems:
        raise ConfigErrors(what, problems)


def check_clip(clip: FrozenClip, source: object) -> None:
    """Raises ConfigErrors naming all that keeps a CLIP, called `source`, from being trained with."""
    if problems := list(clip_problems(clip)):
        raise ConfigErrors(f"cannot train with the CLIP {source}", problems)


def pipeline_problems(pipe: Any) -> Iterator[Problem]:
    """What does not fit in a pipeline: channels, conditions, widths, sizes and the tokenizer's context."""
    unet, latent, text = pipe.unet.config, pipe.vae.config.latent_channels, pipe.text_encoder.config
    if {unet.in_channels, unet.out_channels} != {latent}:
        why = f"it has {unet.in_channels} channels in and {unet.out_channels} out, and the VAE's latents have {latent}"
        yield Problem("unet", why, "pass a text-to-image model: inpainting and the like need inputs that are not here")
    for name in ("addition_embed_type", "class_embed_type"):
        if unet.get(name) is not None:
            why = f"{name} = {unet[name]}: it wants more than a text"
            yield Problem("unet", why, "pass a Stable Diffusion 1.x or 2.x: XL and its like are of another family")
    widths = unet.get("encoder_hid_dim") or unet.cross_attention_dim
    if set(widths if isinstance(widths, list | tuple) else [widths]) != {text.hidden_size}:
        why = f"it reads texts {widths} wide, and the text encoder's are {text.hidden_size} wide"
        yield Problem("unet", why, "take both from the same model")
    if not isinstance(unet.sample_size, int):
        yield Problem("unet", f"sample_size = {unet.sample_size}: images are square here", "give it as one number")
    yield from context_problems(pipe.tokenizer, text.max_position_embeddings)


def clip_problems(clip: FrozenClip) -> Iterator[Problem]:
    """What does not fit in a CLIP: the size of its images and the tokenizer's context."""
    vision, preprocessing = clip.model.config.vision_config.image_size, clip.preprocessing
    side = preprocessing.crop or preprocessing.size
    if side != vision or side > preprocessing.size:
        why = f"images are resized to {preprocessing.size} and cropped to {side} pixels, and it sees {vision}"
        yield Problem("preprocessor_config.json", why, "take it from the same model")
    yield from context_problems(clip.tokenizer, clip.model.config.text_config.max_position_embeddings)


def context_problems(tokenizer: Any, positions: int) -> Iterator[Problem]:
    """A tokenizer that lets texts grow beyond a text encoder's positions; without model_max_length it knows no end."""
    if (context := tokenizer.model_max_length) > positions:
        why = "it has no model_max_length" if context > 10**9 else f"model_max_length = {context}"
        fix = f'"model_max_length": {positions} in tokenizer_config.json'
        yield Problem("tokenizer", f"{why}, and the text encoder has {positions} positions", fix)
