"""What the Hugging Face Hub said of a file when it was fetched, and whether the file is still that.

Its client compares sizes alone. For every large file the Hub states the SHA-256, which its cache has in the name of
the file that a snapshot links to, and a folder of the user's in a note beside the download.
"""

from collections.abc import Iterator
from pathlib import Path

from spf_bench.errors import Problem, UserError
from spf_bench.files.outside import SHA256
from spf_bench.weights import ledger

NOTES = Path(".cache") / "huggingface" / "download"
WEIGHTS = (".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".onnx")


def stated(path: Path) -> str | None:
    """Return the SHA-256 that the Hub stated for a file; None where it stated none, or the file came otherwise."""
    real = path.resolve()
    if real.parent.name == "blobs":
        return real.name if SHA256.fullmatch(real.name) else None
    for folder in path.absolute().parents:
        note = folder / NOTES / f"{path.absolute().relative_to(folder)}.metadata"
        if note.is_file():
            _, etag, *_ = [*note.read_text(encoding="utf-8", errors="replace").splitlines(), "", ""]
            return etag if SHA256.fullmatch(etag) else None
    return None


def unlike(path: Path, sha256: str) -> str:
    """Return what contradicts the Hub's word about a file, or nothing."""
    expected = stated(path)
    return "" if expected in (None, sha256) else f"has sha256 {sha256[:12]}…, and the Hub states {str(expected)[:12]}…"


def refuse_altered(folder: Path, fix: str) -> None:
    """Refuse a model's folder of which a weight file is not what the Hub stated; a file is read once.

    Raises:
        UserError: Naming every such file.
    """
    if problems := list(_altered(folder, fix)):
        raise UserError(f"{folder} is not as the Hub has it", problems=problems)


def _altered(folder: Path, fix: str) -> Iterator[Problem]:
    for path in sorted(folder.rglob("*")):
        if path.suffix in WEIGHTS and path.is_file() and stated(path) and (why := unlike(path, ledger.hashes(path)[0])):
            yield Problem(str(path.relative_to(folder)), why, fix)
