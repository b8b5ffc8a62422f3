"""What the judges compute in: said by an option or a variable, the same for every network of a scoring."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from spf_bench.errors import UserError
from spf_bench.files.store import digest

VARIABLE = "SPF_BENCH_PRECISION"
EXACT = "float32"
PRECISIONS = (EXACT, "bfloat16")


def asked() -> str:
    """Return the name in ``torch`` of what was asked for; raises UserError where it is none of ``PRECISIONS``."""
    return _checked(os.environ.get(VARIABLE) or EXACT)


@contextmanager
def using(name: str | None) -> Iterator[None]:
    """Let networks that are loaded inside compute in ``name``; None changes nothing.

    Raises:
        UserError: It is none of ``PRECISIONS``.
    """
    before = os.environ.get(VARIABLE)
    if name is not None:
        os.environ[VARIABLE] = _checked(name)
    try:
        yield
    finally:
        os.environ.pop(VARIABLE, None)
        if before is not None:
            os.environ[VARIABLE] = before


def marked(sha256: str) -> str:
    """Return the digest of weights as they are used now: another one in another precision."""
    return sha256 if asked() == EXACT else digest([sha256, asked()], length=64)


def _checked(name: str) -> str:
    if name not in PRECISIONS:
        raise UserError(f"judges cannot compute in {name!r}", fix=f"one of {', '.join(PRECISIONS)}")
    return name
