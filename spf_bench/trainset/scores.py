"""Scores candidates: how well image and text match, how much people would like them, a chunk at a time."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from spf_bench.errors import explained
from spf_bench.files.outside import short
from spf_bench.files.store import read_json
from spf_bench.memory import FOLDER, Halving
from spf_bench.metrics.clip_encoder import ClipEncoder, TextImageEncoder
from spf_bench.metrics.image_reward import ImageRewardEncoder
from spf_bench.metrics.open_clip_encoder import OpenClipEncoder
from spf_bench.progress import Progress
from spf_bench.share import Share
from spf_bench.trainset.chunks import Floats, Stage, shared
from spf_bench.trainset.rows import Row, Rows, batches, pixels
from spf_bench.trainset.sieve import Bools


class Scorer(Protocol):
    """Scores images for their texts; higher is better."""

    def score(self, images: NDArray[np.uint8], rows: Sequence[Row]) -> Tensor:
        """Return a score [B] for RGB images [B, H, W, 3] uint8."""


@dataclass(frozen=True)
class Cosine:
    """Cosine of image and complete text: image-text match with a CLIP, preference with HPS."""

    encoder: TextImageEncoder

    def score(self, images: NDArray[np.uint8], rows: Sequence[Row]) -> Tensor:
        """Return the cosines [B]."""
        texts = self.encoder.texts([row.triple.prompt for row in rows])
        return (self.encoder.encode(images)["image"] * texts).sum(-1)


@dataclass(frozen=True)
class Reward:
    """ImageReward for target and base text, target first: the network reads 35 tokens and cuts the rest."""

    encoder: ImageRewardEncoder

    def score(self, images: NDArray[np.uint8], rows: Sequence[Row]) -> Tensor:
        """Return the rewards [B]."""
        texts = [f"{row.triple.target}, {row.triple.base}" for row in rows]
        return self.encoder.match(self.encoder.encode(images)["tokens"], texts)[0]


def match_scorer(folder: Path, digest: str, device: str, dtype: torch.dtype) -> Scorer:
    """Return a scorer of image-text match: any CLIP in Hugging Face's layout.

    Raises:
        UserError: It is none; of another model transformers would fill a CLIP with what fits, and draw the rest.
    """
    with explained(f"{folder} cannot match images and texts", "give a CLIP in Hugging Face's layout"):
        kind = read_json(folder / "config.json")["model_type"]
        if kind != "clip":
            raise ValueError(f"it is {short(kind)}, not 'clip'")
        return Cosine(ClipEncoder.from_pretrained("match", folder, device, digest, dtype))


def hps_scorer(path: Path, digest: str, device: str, dtype: torch.dtype) -> Scorer:
    """Return a scorer of preference: HPSv2's released file, or a small one in Hugging Face's layout."""
    if path.is_dir():
        return Cosine(ClipEncoder.from_pretrained("hps", path, device, digest, dtype))
    return Cosine(OpenClipEncoder.from_weights("hps", "ViT-H-14", path, device, digest, "state_dict", dtype))


def reward_scorer(path: Path, digest: str, device: str, dtype: torch.dtype) -> Scorer:
    """Return a scorer with ImageReward's released file; BERT's vocabulary is among the suite's weights."""
    from spf_bench.weights import path as checkpoint

    return Reward(ImageRewardEncoder.from_weights(path, checkpoint("bert_vocab"), device, digest, dtype))


@dataclass(frozen=True)
class Scores:
    """The scores of one scorer, on disk."""

    stage: Stage
    """Where they lie: float32 a candidate, NaN where it was not asked."""
    facts: dict[str, Any]
    """What decides them."""

    def known(self) -> Iterator[Floats]:
        """Yield the scores of all candidates, chunk by chunk."""
        return (self.stage.known(chunk) for chunk in self.stage.chunks)

    def missing(self, asked: Iterator[Bools]) -> list[int]:
        """Return the chunks in which somebody asked for has no score yet."""
        pairs = zip(self.stage.chunks, asked, strict=True)
        return [chunk for chunk, taking in pairs if np.isnan(self.stage.known(chunk)[taking]).any()]

    def make(
        self,
        title: str,
        rows: Rows,
        asked: Callable[[], Iterator[Bools]],
        load: Callable[[], Scorer],
        share: Share,
        progress: Progress,
        batch: int,
    ) -> None:
        """Score those asked for that have no score yet, of this process's share.

        Raises:
            UserError: Images are not as they were painted.
        """
        left = set(shared(self.missing(asked()), share))
        task = progress.task(title, len(left))
        scorer = load() if left else None
        halving = Halving(self.stage.folder / FOLDER, progress.note)

        def fitting(part: Sequence[Row]) -> Tensor:
            assert scorer is not None
            return halving.joined(title, part, lambda some: scorer.score(pixels(some), some))

        for chunk, taking in zip(self.stage.chunks, asked(), strict=True):
            if chunk in left:
                self.stage.write_array(chunk, self._chunk(rows, chunk, taking, fitting, batch))
                task.advance()

    def _chunk(
        self, rows: Rows, chunk: int, taking: Bools, score: Callable[[Sequence[Row]], Tensor], batch: int
    ) -> Floats:
        found, all_rows = self.stage.known(chunk), rows.of(chunk)
        place = {row.triple.id: i for i, row in enumerate(all_rows)}
        new = [row for row, taken, score in zip(all_rows, taking, found, strict=True) if taken and np.isnan(score)]
        rows.refuse_damaged(chunk, new)
        for part in batches(new, batch):
            scores = score(part).float().cpu().numpy()
            # What is no number is the worst there is: it was asked for, and must not be asked for again.
            found[[place[row.triple.id] for row in part]] = np.where(np.isfinite(scores), scores, -np.inf)
        return found
