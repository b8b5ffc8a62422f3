"""ImageReward: how well does the image fit its text, and how good does it look?

Paper: Xu et al., arXiv:2304.05977 (the fidelity curve, Fig. 5 of arXiv:2504.00396). Weights: ImageReward v1.0 on
BLIP ViT-L/16 (Apache-2.0), rebuilt here: the authors' package needs libraries of 2023. Range: about -2.3 to 2,
higher is better; meaningful as differences between methods on the same texts. The network reads 35 tokens, and a
complete text can be longer, with the target last: it is scored with the target first, so that a cut loses base
text. The published curve does not say how it treats long texts: not comparable in digits.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Self

import torch
from tokenizers import BertWordPieceTokenizer, Encoding
from torch import Tensor

from spf_bench.metrics.base import Batch, Group, Metric
from spf_bench.metrics.clip_encoder import CLIP_224, Preprocess
from spf_bench.metrics.features import Image, Outputs
from spf_bench.metrics.image_reward_model import ImageRewardModel

CONTEXT = 35


class ImageRewardEncoder:
    """The ImageReward network as the metric uses it: each image encoded once, then read with its text."""

    name = "image_reward"
    compact = False  # its tokens are 400 times a vector

    def __init__(
        self, model: ImageRewardModel, vocabulary: Path, preprocess: Preprocess = CLIP_224, digest: str = ""
    ) -> None:
        self.model, self.preprocess, self.digest = model.eval(), preprocess, digest
        first = next(model.parameters())
        self.device, self.dtype = first.device, first.dtype
        self._tokenizer = BertWordPieceTokenizer(str(vocabulary), lowercase=True)
        self._tokenizer.enable_padding(length=CONTEXT)
        self._tokenizer.enable_truncation(CONTEXT)

    @classmethod
    def from_weights(
        cls, path: Path, vocabulary: Path, device: str, digest: str, dtype: torch.dtype = torch.float32
    ) -> Self:
        """Load the released state dict and BERT's vocabulary; raises UserError where the file does not fit."""
        return cls(ImageRewardModel.from_weights(path).computing_in(device, dtype), vocabulary, digest=digest)

    @torch.inference_mode()
    def encode(self, images: Image) -> Outputs:
        """RGB images [B, H, W, 3] uint8 -> ``tokens`` [B, N, D]."""
        return {"tokens": self.model.encode_image(self.preprocess(images).to(self.device, self.dtype))}

    @torch.inference_mode()
    def match(self, image: Tensor, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Score image tokens [B, N, D] for texts: rewards [B], and 1 where a text was cut, else 0 [B]."""
        read = self._tokenizer.encode_batch(list(texts))
        ids, mask = (torch.tensor(rows, device=self.device) for rows in _columns(read))
        cut = torch.tensor([float(bool(one.overflowing)) for one in read], device=self.device)
        return self.model.match(image, ids, mask), cut


class ImageReward(Metric):
    """Reward of the customised image for target and base text."""

    key, title, group = "image_reward", "ImageReward", Group.overall
    higher_is_better, bounds, decimals = True, (None, None), 3
    source = "arXiv:2304.05977"
    licence = "Apache-2.0"
    comparable = "differences only; the published curve does not state its texts"
    secondary: ClassVar[Mapping[str, str]] = {"image_reward_cut": "share of texts longer than the 35 tokens it reads"}

    def __init__(self, encoder: ImageRewardEncoder) -> None:
        self.encoder = encoder
        self.encoders = (encoder,)

    def score(self, batch: Batch) -> dict[str, Tensor]:
        """Return the rewards [B], and whether each text was cut [B]."""
        texts = [", ".join(filter(None, (triple.target, triple.base))) for triple in batch.triples]
        rewards, cut = self.encoder.match(batch.custom.of(self.encoder)["tokens"], texts)
        return {self.key: rewards, "image_reward_cut": cut}


def _columns(read: Sequence[Encoding]) -> tuple[list[list[int]], list[list[int]]]:
    """Return token ids and masks, a row per text."""
    return [one.ids for one in read], [one.attention_mask for one in read]
