"""What scores depend on besides texts and images: what they mean, in one number, and the code that computes them."""

from spf_bench.files.store import code_sha256, digest
from spf_bench.suite import Suite

MEANING = 1
"""Version of every score's meaning. Who changes a score by more than rounding raises it, so that records of before and
after stand in tables of their own; `spf-bench doctor --metrics` finds such a change. Code that computes the same in
another way keeps it, and records of many versions of this package stay comparable."""
CODE = ("spf_bench.metrics", "spf_bench.scoring.one_batch", "spf_bench.scoring.one_pass", "spf_bench.stats")


def fingerprint(suite: Suite) -> str:
    """Return a hash of what the scores mean, of the networks' weights and precision, and of the code of plug-ins.

    Records that share it may stand in one table.

    Raises:
        UserError: Something that scoring needs is not here.
    """
    from spf_bench.metrics import plugins

    return digest([MEANING, suite.digests, *plugins.fingerprint()])


def code(scoring: str) -> str:
    """Return a hash of a fingerprint and of the metrics' code: where it is equal, nothing needs to be scored again."""
    return digest([scoring, code_sha256(*CODE)])
