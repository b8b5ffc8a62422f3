"""What the disk refused, in words: it is full, read-only, somebody else's, or something stands in the way."""

import errno
import re
from pathlib import Path

from spf_bench.errors import UserError

AGAIN = "then run the same command again: what was done is kept"
SPACE = f"free some space, {AGAIN}"
PLACE = f"choose another folder, or mend this one, {AGAIN}"
REASONS = {
    errno.ENOSPC: ("the disk is full", SPACE),
    errno.EDQUOT: ("your share of the disk is used up", SPACE),
    errno.EFBIG: ("the file grew larger than files may be here", "raise `ulimit -f`, " + AGAIN),
    errno.EROFS: ("it can be read but not written", PLACE),
    errno.EACCES: ("permission denied", PLACE),
    errno.EPERM: ("it may not be changed", PLACE),
    errno.ENOTDIR: ("a file stands where a folder must be", PLACE),
    errno.EEXIST: ("a file stands where a folder must be", PLACE),
    errno.EISDIR: ("a folder stands where a file must be", PLACE),
    errno.ENAMETOOLONG: ("its name is too long for this disk", PLACE),
    errno.EIO: ("the disk failed", f"look at the system's log, {AGAIN}"),
    errno.ESTALE: ("the network disk lost it", AGAIN.removeprefix("then ")),
}
NOWHERE = ("no file can be made there", PLACE)
TORCH = re.compile(r"inline_container|PytorchStreamWriter|iostream error")  # all that torch.save says of a full disk
NUMBER = re.compile(r"os error (\d+)")  # how Rust's libraries, safetensors among them, end their messages


def explain(error: BaseException, path: Path | None = None) -> UserError | None:
    """Return what a user can do about an error of the disk; None for any other error.

    Args:
        error: As Python, PyArrow or safetensors raise it.
        path: What was being written; by default what the error names.
    """
    told = REASONS.get(_number(error))
    if told is None and isinstance(error, RuntimeError) and TORCH.search(str(error)):
        told = ("most likely the disk is full", SPACE)
    if told is None and path is not None and _is_nowhere(error, path):
        told = NOWHERE
    if told is None:
        return None
    why, fix = told
    where = path or getattr(error, "filename", None)
    verb = "use" if _number(error) == errno.ENAMETOOLONG else "write"  # which reading, too, ends in
    return UserError(f"cannot {verb} {where}" if where else f"cannot {verb}", why, fix)


def _is_nowhere(error: BaseException, path: Path) -> bool:
    """Say whether it is the place of ``path`` itself that takes no file: what is written may be read from elsewhere."""
    named = getattr(error, "filename", None)
    if _number(error) != errno.ENOENT or not isinstance(named, str | Path):
        return False
    own = path.absolute()
    return Path(named).absolute().parent in (own, *own.parents)


def _number(error: BaseException) -> int:
    """Return the system's number of an error; 0 where it has none."""
    number = getattr(error, "errno", None)
    if isinstance(number, int):
        return number
    found = NUMBER.search(str(error))
    return int(found[1]) if found else 0
