"""CLIPs of the OpenCLIP family as the metrics use them, built by the `open_clip` package.

Source: Ilharco et al., OpenCLIP, doi:10.5281/zenodo.5143773. Architecture and tokenizer come from the package,
weights from a file of ours: nothing is downloaded. The package needs torchvision, hence it is imported late.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor, nn

from spf_bench.errors import UserError, installing
from spf_bench.metrics.checkpoint import fit, read_state
from spf_bench.metrics.clip_encoder import CLIP_224, Preprocess, warn_cut
from spf_bench.metrics.features import Image, Outputs


class OpenClipEncoder:
    """An OpenCLIP that looks at images and reads texts; unit vectors.

    What it makes of a text depends, in the last bit, on those read with it: on nothing that it was asked before.

    Args:
        name: Unique among the encoders of a suite.
        model: In evaluation mode, all its weights of one type.
        tokenize: Texts -> ids [B, context], cut before the end token.
        preprocess: Of the model.
        digest: SHA-256 of the weights.
    """

    compact = True
    code = ("spf_bench.metrics.open_clip_encoder", "spf_bench.metrics.clip_encoder")

    def __init__(
        self,
        name: str,
        model: nn.Module,
        tokenize: Callable[[list[str]], Tensor],
        preprocess: Preprocess = CLIP_224,
        digest: str = "",
    ) -> None:
        self.name, self.digest = name, digest
        self.model: Any = model.eval()
        self.tokenize, self.preprocess = tokenize, preprocess
        first = next(model.parameters())
        self.device, self.dtype = first.device, first.dtype

    @classmethod
    def from_weights(
        cls,
        name: str,
        architecture: str,
        path: Path,
        device: str,
        digest: str,
        key: str | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> Self:
        """Load a state dict into an architecture of OpenCLIP, e.g. ``"ViT-H-14"``; every name must fit.

        Args:
            name: Unique among the encoders of a suite.
            architecture: As OpenCLIP names it.
            path: The file.
            device: Where it computes.
            digest: SHA-256 of the weights.
            key: Where in the file the state dict lies; None where it is all of it.
            dtype: In which it computes; its outputs are float32.

        Raises:
            UserError: The package is missing, or the file is not of that architecture.
        """
        model, tokenizer = build(architecture)
        # Checkpoints written while training on several GPUs name everything below "module".
        fit(model, {name.removeprefix("module."): value for name, value in read_state(path, key).items()}, path)
        return cls(name, model.to(device, dtype), tokenizer, digest=digest)

    @torch.inference_mode()
    def encode(self, images: Image) -> Outputs:
        """RGB images [B, H, W, 3] uint8 -> ``image`` [B, D], unit vectors."""
        pixels = self.preprocess(images).to(self.device, self.dtype)
        return {"image": nn.functional.normalize(self.model.encode_image(pixels).float(), dim=-1)}

    @torch.inference_mode()
    def texts(self, texts: Sequence[str]) -> Tensor:
        """Texts -> unit vectors [B, D]."""
        distinct = list(dict.fromkeys(texts))
        vectors = nn.functional.normalize(self.model.encode_text(self._ids(distinct).to(self.device)).float(), dim=-1)
        return vectors[[distinct.index(text) for text in texts]]

    def _ids(self, texts: list[str]) -> Tensor:
        ids = self.tokenize(texts)
        count = getattr(self.tokenize, "encode", None)
        if count is not None:
            warn_cut(texts, [len(count(text)) + 2 for text in texts], ids.shape[1])
        return ids


def build(architecture: str) -> tuple[nn.Module, Any]:
    """Return an untrained network of OpenCLIP and its tokenizer.

    Raises:
        UserError: The package is not installed or cannot be imported.
    """
    try:
        import open_clip
    except (ImportError, RuntimeError) as error:  # RuntimeError: a torchvision of another torch
        raise UserError("open_clip cannot be imported", str(error).splitlines()[0], installing("paper")) from error
    # Not its create_model, which looks for weights of its own and warns that it found none.
    return open_clip.CLIP(**open_clip.get_model_config(architecture)), open_clip.get_tokenizer(architecture)
