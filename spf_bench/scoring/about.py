"""What a record says of images that were made elsewhere."""

import shlex
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from spf_bench import record as records
from spf_bench.metrics import precision
from spf_bench.scoring.beside import Conditions
from spf_bench.scoring.fingerprint import code
from spf_bench.suite import Sampling

if TYPE_CHECKING:
    from spf_bench.scoring.job import Job
    from spf_bench.scoring.setting import Setting

UNKNOWN = Sampling("images made elsewhere", steps=0, guidance=0.0, dtype="uint8")


def asked(job: "Job", conditions: Conditions | None, keys: Sequence[str]) -> dict[str, Any]:
    """Return the fields of a scoring's record that were known before it; ``keys`` are its metrics where not all are."""
    setting, captions, reference = job.setting, job.setting.captions, job.name == "original"
    title = "Original portrait" if reference else job.name
    found = setting.found
    facts = {"made": records.ELSEWHERE, "precision": precision.asked(), "pairs_per_pass": setting.batch}
    facts |= {"metrics": list(keys)} if keys else {}
    facts |= {"extra": list(found.extra), "lossy": list(found.lossy)}
    facts |= {"beside": conditions.run} if conditions else {}
    pipeline = {"pipeline": conditions.pipeline} if conditions else {}
    return {
        "schema": records.SCHEMA,
        "run": job.folder.name,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": _command(setting, conditions, keys),
        "method": records.MethodFacts(job.name, title, "images made elsewhere", {}, False, reference),
        "suite": setting.suite.name,
        "testset": records.TestSetFacts(captions.name, captions.sha256, len(captions.triples)),
        "n": len(job.pairs),
        "limit": None if len(job.pairs) == len(captions.triples) else setting.limit,
        "preset": None,
        "seed": None,
        "sampling": conditions.sampling if conditions else UNKNOWN,
        "batch": conditions.batch if conditions else 0,
        "originals_sha256": job.originals_sha256,
        "images_sha256": job.images_sha256,
        "scoring": setting.scoring,
        "scoring_code": code(setting.suite),
        "training": {},
        "weights": pipeline | setting.suite.digests | setting.suite.digests_on_request,
        "facts": facts,
    }


def _command(setting: "Setting", conditions: Conditions | None, keys: Sequence[str]) -> str:
    """Return what scores the method, and the originals beside it: they have no command of their own."""
    words = ["spf-bench", "score"]
    for option, value in setting.words.items():
        words += [option, str(value)]
    words += ["--suite", setting.suite.name]
    words += ["--metrics", ",".join(keys)] if keys else []
    words += ["--also", ",".join(setting.suite.on_request)] if setting.suite.on_request and not keys else []
    words += ["--limit", str(setting.limit)] if setting.limit is not None else []
    words += ["--dtype", precision.asked()] if precision.asked() != precision.EXACT else []
    words += ["--beside", conditions.run] if conditions else []
    return shlex.join(words)
