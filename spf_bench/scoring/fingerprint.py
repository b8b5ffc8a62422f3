"""What scores depend on besides texts and images."""

from spf_bench.files.store import code_sha256, digest
from spf_bench.suite import Suite

CODE = ("spf_bench.metrics", "spf_bench.scoring.one_batch", "spf_bench.scoring.one_pass", "spf_bench.stats")


def fingerprint(suite: Suite) -> str:
    """Return a hash of the code of the metrics, plug-ins included, and of the networks' weights and precision.

    Raises:
        UserError: Something that scoring needs is not here.
    """
    from spf_bench.metrics import plugins

    return digest([code_sha256(*CODE), suite.digests, *plugins.fingerprint()])
