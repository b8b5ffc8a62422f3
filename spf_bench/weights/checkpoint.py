"""What is known of a published checkpoint."""

from dataclasses import dataclass


@dataclass(frozen=True)
class File:
    """One file of a checkpoint, and what identifies it."""

    name: str
    """Its name upstream and here."""
    size: int | None = None
    """Bytes; None where upstream does not say."""
    sha256: str | None = None
    """All 64 digits, or the leading ones where the file's name is all upstream states."""
    md5: str | None = None
    """Only where upstream states nothing better."""


@dataclass(frozen=True)
class Hub:
    """A repository on the Hugging Face Hub; its commit fixes every file."""

    repo: str
    revision: str

    def __str__(self) -> str:
        return f"{self.repo}@{self.revision[:12]}"


@dataclass(frozen=True)
class Url:
    """A file behind a plain address, kept where torch.hub would keep it."""

    url: str
    archive: File | None = None
    """The zip at that address, where the checkpoint's files lie inside one."""

    def __str__(self) -> str:
        return self.url


@dataclass(frozen=True)
class Checkpoint:
    """One network's weights as somebody published them."""

    name: str
    """What ``spf-bench weights fetch`` calls it."""
    title: str
    """Architecture and training in a few words."""
    source: Hub | Url
    files: tuple[File, ...]
    """What must be here of it; nothing where it is a whole pipeline, whose index says what belongs to it."""
    licence: str
    used_by: tuple[str, ...]
    """Keys of the metrics that look through it, or ``portraits`` for the model that makes the images."""
    terms: str = ""
    """What the licence forbids, where it forbids something; shown whenever it is fetched."""
    optional: bool = False
    """Whether the suite runs without it: its metric is only scored on request."""

    @property
    def size(self) -> int | None:
        """Bytes of all files; None where upstream does not say."""
        archive = self.source.archive if isinstance(self.source, Url) else None
        sizes = [file.size for file in ((archive,) if archive else self.files) if file.size]
        return sum(sizes) or None
