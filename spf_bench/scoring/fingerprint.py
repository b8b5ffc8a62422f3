"""What scores depend on besides texts and images: what they mean, in one number, and the code that computes them."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from spf_bench.files.store import code_sha256, digest
from spf_bench.suite import Suite

if TYPE_CHECKING:
    from spf_bench.record import RunRecord

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


def code(suite: Suite) -> str:
    """Return a hash of the suite's fingerprint and of the metrics' code: what a record must have to be up to date."""
    return digest([fingerprint(suite), code_sha256(*CODE)])


def up_to_date(record: "RunRecord", suite: Suite) -> bool:
    """Say whether scoring the images of a run again would change nothing: no code, no metric that has come since."""
    columns = [column.key for column in record.columns]
    return same_code(record, suite) and not lacking(columns, suite)


def same_code(record: "RunRecord", suite: Suite) -> bool:
    """Say whether today's code and networks gave the scores of a record, those on request included."""
    asked = suite.digests_on_request
    return record.scoring_code == code(suite) and all(
        record.weights.get(name, sha256) == sha256 for name, sha256 in asked.items()
    )


def lacking(columns: Iterable[str], suite: Suite) -> set[str]:
    """Return the metrics that were asked for beside the suite's own, or plugged in, and are not among ``columns``."""
    from spf_bench.metrics import plugins

    known = set(columns)
    return plugins.lacking(known) | (set(suite.on_request) - known)
