"""Downloads one file over HTTP, going on where an earlier attempt stopped."""

import http.client
import urllib.error
import urllib.request
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from typing import IO

from spf_bench.errors import UserError
from spf_bench.files.storage import explain
from spf_bench.files.store import write_text
from spf_bench.progress import Progress

CHUNK = 1 << 20
TIMEOUT = 60  # seconds without a byte
TAG = '"'  # how a strong ETag begins


def download(url: str, path: Path, size: int | None, progress: Progress, verified: bool = False) -> None:
    """Fetch ``url`` into ``path``, which exists only once it is whole; until then its bytes lie in ``path.part``.

    An attempt goes on where the last one stopped if it is the same file: by the server's tag, or, where it gives none,
    by the length, which is enough only for what is verified afterwards.

    Args:
        url: With http or https.
        path: The file; its folder is made.
        size: Bytes expected, for the bar; None where nobody says.
        progress: Shows bytes.
        verified: Whether a digest of the file is known that the caller compares.

    Raises:
        UserError: The server refuses, or the connection breaks; what came is kept and the next call goes on.
    """
    part = path.with_name(path.name + ".part")
    mark = part.with_name(part.name + ".etag")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _transfer(url, part, mark, path.name, size, progress, verified)
    except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
        why = f"{getattr(error, 'reason', error)}"
        raise explain(error, path) or UserError(f"cannot fetch {url}", why) from error
    part.replace(path)
    mark.unlink(missing_ok=True)


def _transfer(
    url: str, part: Path, mark: Path, title: str, size: int | None, progress: Progress, verified: bool
) -> None:
    known = mark.read_text() if mark.is_file() else ""
    done = part.stat().st_size if part.is_file() and (known.startswith(TAG) or verified) else 0
    answer, done = _rest(url, done, known)
    with answer:
        if answer.status != HTTPStatus.PARTIAL_CONTENT:
            done = 0  # the server knows no ranges, or has another file there by now
            _remember(answer.headers.get("ETag"), answer.headers.get("Content-Length"), mark)
        left = int(answer.headers.get("Content-Length") or 0)
        task = progress.task(title, done + left or size or 0, done)
        with part.open("ab" if done else "wb") as file:
            came = _copy(answer, file, task.advance)
    if left and came < left:
        raise http.client.IncompleteRead(b"", left - came)


def _rest(url: str, done: int, known: str) -> tuple[http.client.HTTPResponse, int]:
    """Ask for what is lacking of the file that is ``known`` by tag or length; of another, or a whole one, for all."""
    tag = known if known.startswith(TAG) else ""
    try:
        answer = _ask(url, done, tag)
    except urllib.error.HTTPError as error:
        if error.code != HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            raise
        return _ask(url, 0), 0  # the part is whole already, or of another file: begin anew
    total = answer.headers.get("Content-Range", "").rpartition("/")[2]
    if answer.status == HTTPStatus.PARTIAL_CONTENT and not tag and total != known:
        answer.close()
        return _ask(url, 0), 0
    return answer, done


def _remember(tag: str | None, length: str | None, mark: Path) -> None:
    """Keep what the server calls this state of the file, or else its length.

    Weak tags stand for others of equal meaning, not of equal bytes.
    """
    if known := tag if tag and tag.startswith(TAG) else length:
        write_text(mark, known)
    else:
        mark.unlink(missing_ok=True)


def _ask(url: str, start: int, tag: str = "") -> http.client.HTTPResponse:
    """Ask for a file from a byte on; from its beginning where it is no longer what ``tag`` stands for (RFC 9110)."""
    if not url.startswith(("https://", "http://")):
        raise UserError(f"{url} is no web address")
    headers = {"User-Agent": "spf-bench", **({"Range": f"bytes={start}-"} if start else {})}
    headers |= {"If-Range": tag} if start and tag else {}
    answer: http.client.HTTPResponse = urllib.request.urlopen(
        urllib.request.Request(url, headers=headers), timeout=TIMEOUT
    )
    return answer


def _copy(source: http.client.HTTPResponse, target: IO[bytes], advance: Callable[[int], None]) -> int:
    came = 0
    while chunk := source.read(CHUNK):
        target.write(chunk)
        came += len(chunk)
        advance(len(chunk))
    return came
