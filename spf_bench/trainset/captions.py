"""Base texts by a captioning model: what it says of an image, without what the target says already."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from spf_bench.files.store import code_sha256
from spf_bench.progress import Progress
from spf_bench.share import Share
from spf_bench.trainset.captioner import ASK, LONGEST, Captioner
from spf_bench.trainset.chunks import Stage, shared
from spf_bench.trainset.rows import Row, Rows, batches, pixels

CODE = ("spf_bench.trainset.captioner", __name__)
_EMPTY = frozenset(re.findall(r"\w+", "a an and at by her him his in is of on style the their to wearing with"))


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
