"""Encodes samples once before training: latents, text embeddings, phrases, CLIP embeddings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from spf_train.clip import FrozenClip
from spf_train.content import content_keys
from spf_train.data import Prepared
from spf_train.encoders import ClipImageEncoder, ClipTextEncoder, LatentEncoder, PromptEncoder, encode_texts, image_size
from spf_train.errors import ConfigError
from spf_train.identity import tokenizer_digest
from spf_train.sample import Sample
from spf_train.selection import Selection
from spf_train.shards import Columns, Rows, key_of, take
from spf_train.store import Progress, Store, alone
from spf_train.text import TOKENIZE_BATCH, Prompts, complete_text, position_masks, split_phrases, token_places
from spf_train.text_table import TextTable


def prepare(
    samples: Sequence[Sample],
    pipe: Any,
    clip: FrozenClip | None = None,
    cache: Path | None = None,
    rank: int = 0,
    world: int = 1,
    barrier: Callable[[], None] = alone,
    target_states: bool = False,
    max_skipped: float = 0.01,
    progress: Progress | None = None,
) -> Prepared:
    """Encodes images and texts of all samples once, with the pipeline's frozen VAE and text encoder.

    pipe: a StableDiffusionPipeline.
    clip: needed by stage 2 for relevance and response enhancement.
    cache: folder that keeps all encodings by content, to be read from there while training; None keeps them in memory.
    rank, world, barrier: this process, how many prepare the same samples with the same cache, and what returns when
        all of them have called it. They share the work, which may take hours: the barrier must wait that long.
    target_states: also embeds each target text alone.
    max_skipped: share of samples in [0, 1] that may be left out because image or texts cannot be used.
    progress: called as progress(what, done, total), of this process's work.
    Raises ConfigError if there are no samples, or more than that cannot be used: all of those are named.
    """
    store, chosen = Store(cache, rank, world, barrier, progress), Selection(samples, max_skipped)
    if not len(samples):
        raise ConfigError("cannot train", "there are no samples", "pass at least one sample")
    prompts = Prompts(pipe.tokenizer)
    texts = Texts([sample.base for sample in samples], [sample.target for sample in samples])
    places = find_places(texts, prompts, store)
    chosen.leave_out(too_long(texts, prompts, places["ends"]))
    latents, image_embeds = encode_images(chosen, pipe, clip, store)
    cosine, target_embeds = encode_relevance(texts, prompts, places["spans"], clip, store)
    ends, spans, cosine = (column[chosen.rows()] for column in (places["ends"], places["spans"], cosine))
    most = max(1, int((spans[..., 1] > 0).sum(dim=1).max()))  # a text left out may have had more phrases
    base_positions, shared_padding = position_masks(ends, prompts.context)
    table, rows = encode_prompts(texts.at(chosen.places), pipe, store, target_states)
    if rank == 0:
        chosen.report()
    return Prepared(
        latent_mean=latents["mean"],
        latent_std=latents["std"],
        texts=table,
        **rows,
        base_positions=base_positions,
        shared_padding=shared_padding,
        spans=spans[:, :most],
        cosine=cosine[:, :most],
        image_embeds=image_embeds,
        target_embeds=take(target_embeds, chosen.rows()),
        problems=tuple(chosen.problems),
    )


class Texts(NamedTuple):
    """The base and target texts of N samples."""

    bases: Sequence[str]
    targets: Sequence[str]

    def at(self, places: Sequence[int]) -> Texts:
        """Those of some samples."""
        return Texts([self.bases[place] for place in places], [self.targets[place] for place in places])

    def key(self, *digests: str) -> str:
        """A key of all of them, in their order, and of what they are used with."""
        return key_of(*digests, *self.bases, *self.targets)


def find_places(texts: Texts, prompts: Prompts, store: Store) -> Columns:
    """What `token_places` finds in all samples."""
    key = "" if store.folder is None else texts.key(tokenizer_digest(prompts.tokenizer))
    return store.once("places", key, lambda: token_places(prompts, *texts))


def too_long(texts: Texts, prompts: Prompts, ends: Tensor) -> dict[int, str]:
    """Which complete texts are longer than the context, and what of each would be cut off."""
    reasons = {}
    for number in (ends[:, 1] > prompts.context).nonzero().flatten().tolist():
        text = complete_text(texts.bases[number], texts.targets[number])
        tokens = f"{ends[number, 1]} tokens where {prompts.context} fit"
        reasons[number] = f"base and target text are too long, {tokens}: {prompts.cut_off(text)!r} would be cut off"
    return reasons


def encode_images(chosen: Selection, pipe: Any, clip: FrozenClip | None, store: Store) -> tuple[dict[str, Rows], Rows]:
    """Scaled posterior "mean" and "std" [N, C, h, w], and E_I(x0) [N, E] (E = 0 without CLIP).

    Broken images are left out of `chosen`.
    """
    keys = [""] * len(chosen)
    if store.folder is not None:
        keys = content_keys(chosen, store)
        chosen.leave_out({number: "the image cannot be read" for number, key in enumerate(keys) if not key})
        keys = [key for key in keys if key]
    latents = store.encode(LatentEncoder(chosen, keys, pipe))
    keys = [key for number, key in enumerate(keys) if number not in latents.broken]
    chosen.leave_out(latents.broken)
    if clip is None:
        return latents.columns, torch.empty(len(chosen), 0)
    return latents.columns, store.encode(ClipImageEncoder(chosen, keys, image_size(pipe), clip)).columns["embeds"]


def encode_prompts(texts: Texts, pipe: Any, store: Store, target_states: bool) -> tuple[TextTable, dict[str, Tensor]]:
    """Embeddings of all texts, and each sample's rows "complete", "base" and "target" [N]; [0] for unwanted targets."""
    columns = {"base": texts.bases, "complete": list(map(complete_text, *texts))}
    columns["target"] = texts.targets if target_states else []

    def keep(distinct: Sequence[str]) -> Rows:
        return store.encode(PromptEncoder(distinct, pipe)).columns["states"]

    everything = ["", *(text for column in columns.values() for text in column)]
    table = TextTable(everything, lambda part: encode_texts(pipe, part), keep=keep if store.folder else None)
    return table, {name: table.index(column) for name, column in columns.items()}


def encode_relevance(
    texts: Texts, prompts: Prompts, spans: Tensor, clip: FrozenClip | None, store: Store
) -> tuple[Tensor, Rows]:
    """Phrase-target cosines [N, P] (1 for a missing phrase) and E_T(y_tar) [N, E]; empty without CLIP."""
    if clip is None:
        return torch.empty(len(spans), 0), torch.empty(len(spans), 0)
    bases, targets = texts
    phrases = (text for base in bases for text, _ in split_phrases(base))
    encoder = ClipTextEncoder(list(dict.fromkeys([*targets, *phrases])), clip)
    embeds, rows = store.encode(encoder).columns["embeds"], {text: row for row, text in enumerate(encoder.texts)}

    def build() -> Columns:
        cosine = torch.ones(spans.shape[:2])
        for start in range(0, len(bases), TOKENIZE_BATCH):
            part = slice(start, start + TOKENIZE_BATCH)
            for number, item in enumerate(prompts.positions(bases[part], targets[part]), start):
                own = [targets[number], *(phrase.text for phrase in item.phrases)]
                target, *found = embeds[torch.tensor([rows[text] for text in own])]
                for column, phrase in enumerate(found):
                    cosine[number, column] = phrase @ target
        return {"cosine": cosine}

    key = "" if store.folder is None else texts.key(encoder.digest, tokenizer_digest(prompts.tokenizer))
    target_rows = torch.tensor([rows[target] for target in targets])
    return store.once("relevance", key, build)["cosine"], take(embeds, target_rows)
