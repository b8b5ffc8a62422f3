"""Two folders of images and a file of captions, made by anyone, scored into ordinary records."""

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

from spf_bench.environment import pick_device
from spf_bench.errors import Problem, UserError
from spf_bench.files.outside import ID_RULE, as_id, name_fault
from spf_bench.metrics import precision
from spf_bench.progress import Progress, Silent
from spf_bench.record import RunRecord
from spf_bench.scoring.beside import beside
from spf_bench.scoring.captions import Captions, read_captions
from spf_bench.scoring.job import Job
from spf_bench.scoring.match import Matched, match
from spf_bench.scoring.setting import Setting
from spf_bench.share import ALONE, Share
from spf_bench.suite import Suite, get_suite
from spf_bench.testset import SHOWN
from spf_bench.triple import Triple

BATCH = 32
OUT = Path("runs")
REFERENCE = "original"
LISTED = 10


def score_folders(
    originals: Path,
    customised: Path,
    captions: Path,
    *,
    name: str | None = None,
    out: Path = OUT,
    suite: str = "world",
    metrics: Sequence[str] = (),
    batch: int = BATCH,
    dtype: str | None = None,
    device: str | None = None,
    limit: int | None = None,
    category: str | None = None,
    run: Path | None = None,
    progress: Progress | None = None,
    say: Callable[[str], None] = warnings.warn,
    share: Share = ALONE,
) -> RunRecord:
    """Score images by a suite's metrics, and the originals beside them, and return the record of the former.

    What was scored before is not scored again; a call that was interrupted goes on where it stopped.

    Args:
        originals: Folder of the original portraits, files ``ID.png``.
        customised: Folder of the method's portraits.
        captions: CSV or JSONL with ``base``, ``target``, and ``id`` or ``file_name``.
        name: The method's name in records and tables; by default that of its folder, made fit to be one.
        out: Folder of runs that gets the records, and shares its cache.
        suite: Whose judges score.
        metrics: Keys of the metrics to score; none: all of the suite.
        batch: Pairs per pass; changes no score beyond 1e-4.
        dtype: What the judges compute in, float32 or bfloat16; None: as the environment says, else float32.
        device: Where the networks run; None: CUDA where there is one.
        limit: Score only the first triples of the captions.
        category: What rows without a category belong to.
        run: Folder of a finished run whose table the images may join: somebody vouches that they were sampled alike.
        progress: Shows how far it is.
        say: Told what a user should know and need not mend.
        share: This process among those that were launched together and score the same images.

    Raises:
        UserError: Captions or images cannot be scored; all problems are named, and nothing was scored.
    """
    chosen, known = get_suite(suite), read_captions(captions, category)
    triples = _head(known, limit)
    found = match(triples, [triple.id for triple in known.triples], originals, customised)
    called = _called(name, customised.absolute().name)
    _refuse_unfit(chosen, found, triples, metrics)
    _tell(found, say)
    with precision.using(dtype):
        chosen = chosen.limited_to(metrics)
        words: dict[str, Path | str] = {"--originals": originals, "--customised": customised, "--captions": captions}
        words |= {"--name": called} | ({} if category is None else {"--category": category})
        words |= {} if out == OUT else {"--out": out}
        where = share.device or pick_device(device)
        setting = Setting(chosen, known, limit, out, batch, where, tuple(metrics), words, found)
        ours, reference = Job.of(setting, called, found.pairs), Job.of(setting, REFERENCE, found.pairs)
        conditions = beside(run, ours) if run else None
        shown = progress or Silent()
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*its losses will be scored")  # said once, for all of them
            if conditions is None:  # a run has its own
                reference.execute(None, shown, share)
            return ours.execute(conditions, shown, share)


def _head(known: Captions, limit: int | None) -> Sequence[Triple]:
    if limit is not None and not 1 <= limit <= len(known.triples):
        why = f"the captions have {len(known.triples)} rows"
        raise UserError(f"--limit {limit} does not fit", why, "choose another")
    return known.triples[:limit]


def _called(name: str | None, folder: str) -> str:
    """Return what the method is called: as was asked, or like the folder of its images."""
    called = name or as_id(folder)
    fault = "is the name of the originals' own row" if called == REFERENCE else name_fault(called)
    if fault:
        what = f"--name {name} does not do" if name else f"a method cannot be called like its folder {folder}"
        raise UserError(what, fault if called else ID_RULE, "choose another with --name")
    return called


def _refuse_unfit(suite: Suite, found: Matched, triples: Sequence[Triple], metrics: Sequence[str]) -> None:
    """Refuse images and texts that the suite's judges cannot read."""
    problems = []
    side = suite.image_size
    if suite.one_size and found.size != (side, side):
        why = f"are {found.size[0]} x {found.size[1]} pixels, its judges read {side} x {side}"
        problems.append(Problem("images", why, "--suite paper for photographs"))
    if suite.name == "world" and (not metrics or {"hit_rate", "kept"} & set(metrics)):
        from spf_bench.world.targets import phrases_known

        for triple in triples:
            if not phrases_known(triple.targets):
                fix = "leave hit_rate and kept out: --metrics fid,lpips,..."
                problems.append(Problem(triple.id, f"{triple.target!r} is no target of the world", fix))
    if problems:
        what = f"the suite {suite.name!r} cannot score these images"
        raise UserError(what, "nothing was scored", problems=problems[:SHOWN])


def _tell(found: Matched, say: Callable[[str], None]) -> None:
    if found.lossy:
        say(f"what JPEG or another lossy format lost will be scored as changes: {_some(found.lossy)}")
    if found.extra:
        say(f"left out, for no row of the captions has their id: {_some(found.extra)}")


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - LISTED:,} more" if len(names) > LISTED else ""
    return f"{', '.join(names[:LISTED])}{more}"
