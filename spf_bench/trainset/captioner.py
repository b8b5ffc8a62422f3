"""Base texts by a captioning model: what it says of an image, without what the target says already."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from PIL import Image as PILImage

from spf_bench.errors import explained
from spf_bench.files.pickles import allowed
from spf_bench.files.store import code_sha256
from spf_bench.progress import Progress
from spf_bench.share import Share
from spf_bench.trainset.chunks import Stage, shared
from spf_bench.trainset.rows import Row, Rows, batches, pixels

ASK = (
    "Describe this portrait in one line of short phrases separated by commas: who it is, hair, clothes, what they do, "
    "the place, the light. Do not mention: {target}."
)
"""What models that follow instructions are asked; others caption unasked."""
LONGEST = 64
"""Tokens of a caption."""
CODE = (__name__,)
_EMPTY = frozenset(re.findall(r"\w+", "a an and at by her him his in is of on style the their to wearing with"))


@dataclass(frozen=True)
class Captioner:
    """An image-to-text model of transformers' with its processor."""

    model: Any
    processor: Any
    device: str

    @classmethod
    def load(cls, folder: Path, device: str, dtype: str) -> Self:
        """Load a folder in Hugging Face's layout; no code of its own is run.

        Raises:
            UserError: transformers cannot load it as an image-to-text model.
        """
        from transformers import AutoModelForImageTextToText, AutoProcessor

        offline = {"local_files_only": True, "trust_remote_code": False}
        safe = None if allowed() else True  # a pickle that the user allows is read as tensors alone
        with explained(f"{folder} cannot caption", "give an image-to-text model of transformers"):
            processor = AutoProcessor.from_pretrained(folder, **offline)
            model = AutoModelForImageTextToText.from_pretrained(folder, **offline, dtype=dtype, use_safetensors=safe)
        return cls(model.eval().to(device), processor, device)

    @torch.inference_mode()
    def describe(self, images: np.ndarray, targets: Sequence[str]) -> list[str]:
        """Return one caption for each RGB image [B, H, W, 3] uint8; greedy, so the same every time."""
        found = []
        for image, target in zip(images, targets, strict=True):
            given = self._inputs(PILImage.fromarray(image), target).to(self.device, self.model.dtype)
            ids = self.model.generate(**given, do_sample=False, num_beams=1, max_new_tokens=LONGEST)
            start = given["input_ids"].shape[1] if "input_ids" in given and not _answers_alone(self.model) else 0
            found.append(self.processor.decode(ids[0, start:], skip_special_tokens=True))
        return found

    def _inputs(self, image: PILImage.Image, target: str) -> Any:
        if not getattr(self.processor, "chat_template", None):
            return self.processor(images=image, return_tensors="pt")
        content = [{"type": "image", "image": image}, {"type": "text", "text": ASK.format(target=target)}]
        return self.processor.apply_chat_template(
            [{"role": "user", "content": content}],
            add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt",
        )  # fmt: skip


def make_captions(
    rows: Rows,
    stage: Stage,
    load: Callable[[], Captioner],
    fits: Callable[[str], bool],
    share: Share,
    progress: Progress,
    batch: int,
) -> None:
    """Caption what has no caption yet of this process's share.

    Args:
        rows: The candidates, with the grammar's texts.
        stage: Where captions lie.
        load: Loads the model, if anything is left to caption.
        fits: Says whether the text encoder reads a complete text whole.
        share: This process's part.
        progress: Told of each chunk.
        batch: Images read together.
    """
    left = shared(stage.absent(".jsonl"), share)
    captioner = load() if left else None
    task = progress.task("captions", len(left))
    for chunk in left:
        assert captioner is not None
        said: dict[str, str] = {}
        for part in batches(rows.of(chunk), batch):
            texts = captioner.describe(pixels(part), [row.triple.target for row in part])
            said.update(zip((row.triple.id for row in part), texts, strict=True))
        stage.write_lines(chunk, (_told(row, said[row.triple.id], fits) for row in rows.of(chunk)))
        task.advance()


def facts(images: Sequence[str], model: str, precision: str) -> dict[str, Any]:
    """Return everything that decides captions: the images' stages, the model's SHA-256, what it computes in."""
    how = {"ask": ASK, "longest": LONGEST, "precision": precision, "code": code_sha256(*CODE)}
    return {"images": list(images), "captioner": model, **how}


def reader(model: Path) -> Callable[[str], bool]:
    """Return what says whether the text encoder of a checkpoint reads a complete text whole."""
    from transformers import CLIPTokenizer

    from spf_bench import weights

    own = model / "tokenizer"
    tokenizer = CLIPTokenizer.from_pretrained(own if own.is_dir() else weights.path("clip"))
    return lambda text: len(tokenizer(text, verbose=False).input_ids) <= tokenizer.model_max_length


def _told(row: Row, said: str, fits: Callable[[str], bool]) -> dict[str, Any]:
    return {"id": row.triple.id, "said": said, "phrases": base_phrases(said, row.triple.target, fits)}


def base_phrases(said: str, target: str, fits: Callable[[str], bool]) -> tuple[str, ...]:
    """Cut a caption into the phrases of a base text; none where nothing is left, and the grammar's text then stands.

    Args:
        said: What the model said; anything.
        target: The target text; a phrase with all its words of content is left out.
        fits: Says whether a complete text is short enough; phrases go from the end until it is.
    """
    named = _content(target)
    cut = (" ".join(part.split()) for part in re.split(r"[,.;:\n]+", said))
    printable = ("".join(char for char in part if char.isprintable()) for part in cut)
    phrases = [part for part in dict.fromkeys(printable) if _content(part) and not (named and named <= _content(part))]
    while phrases and not fits(", ".join([*phrases, target])):
        phrases.pop()
    return tuple(phrases)


def _content(text: str) -> set[str]:
    return set(re.findall(r"\w+", text.lower())) - _EMPTY


def _answers_alone(model: Any) -> bool:
    """Say whether the model returns its answer without what it was asked: those with an encoder for the question."""
    return bool(getattr(model.config, "is_encoder_decoder", False))
