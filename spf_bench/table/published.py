"""The paper's own figures, as data with their source; printed apart from ours and never ranked with them."""

from dataclasses import dataclass

from spf_bench.table.sheet import Sheet

SOURCE = "arXiv:2504.00396v2"
NOTE = (
    "Published figures: of another suite (Realistic_Vision_V4.0, 512 px, 5K triples), with other metric networks. "
    "They say nothing about the numbers above, nor these about them."
)
COST_NOTE = "Published figures: measured by the paper's authors on V100 GPUs, for Stable Diffusion 1.5 at 512 px."
COLUMNS = ("fid", "lpips", "id", "clip_i", "seg_cons", "clip_t", "hps", "mps")
TITLES = ("FID↓", "LPIPS↓", "ID↑", "CLIP-I↑", "Seg-Cons↑", "CLIP-T↑", "HPSv2↑", "MPS↑")

Ours = tuple[str, tuple[str, ...]]
"""A method and the settings that differ from its preset's: how a row of the paper is run here."""


@dataclass(frozen=True)
class Published:
    """One row of one of the paper's tables of scores."""

    method: str
    """The method as the paper calls it."""
    values: tuple[float, ...]
    """In the order of ``COLUMNS``."""
    ours: tuple[Ours, ...] = ()
    """The runs of ours that are this row; the first that is there stands for it."""
    note: str = ""
    """What the paper says of the row."""


_NAIVE: tuple[Ours, ...] = (("naive", ()), ("spf", ("stage2=null",)))
_WHOLE: tuple[Ours, ...] = (("spf", ()),)


def _set(change: str) -> tuple[Ours, ...]:
    return (("spf", (change,)),)


ROWS = (
    Published("Naive Fine-Tuning", (20.41, 0.57, 0.21, 0.63, 57.77, 0.24, 0.21, 0.67), _NAIVE),
    Published("AdaLoRA", (7.38, 0.40, 0.39, 0.80, 64.86, 0.23, 0.24, 1.10), (("adalora", ()),)),
    Published("LoRA (best rank)", (9.82, 0.38, 0.52, 0.71, 58.37, 0.27, 0.23, 1.21), (("lora", ()),)),
    Published("TokenCompose", (10.93, 0.41, 0.32, 0.81, 40.22, 0.27, 0.24, 0.71), (("tokencompose", ()),)),
    Published("Magnet", (18.92, 0.48, 0.38, 0.61, 32.87, 0.26, 0.26, 0.97), (("magnet", ()),)),
    Published("SPF", (4.50, 0.35, 0.55, 0.83, 75.74, 0.30, 0.28, 1.49), _WHOLE),
    Published("w/o L_text", (4.97, 0.39, 0.48, 0.60, 61.39, 0.28, 0.23, 1.13), _set("spf.w_text=0")),
    Published("w/o L_fine", (6.74, 0.42, 0.32, 0.71, 41.62, 0.27, 0.21, 1.22), _set("spf.w_fine=0")),
    Published("w/o L_enh", (4.52, 0.37, 0.49, 0.81, 74.38, 0.22, 0.23, 1.40), _set("spf.w_enh=0")),
    Published(
        "w/o SFCM", (4.13, 0.14, 0.73, 0.88, 80.03, 0.17, 0.23, 1.09), _set("spf.use_sfcm=false"),
        "over-aligned: not a win",
    ),
)  # fmt: skip

_SPF = ROWS[5]
TABLES = {
    "1": ROWS,
    "4": (
        Published("Full weights", (7.82, 0.40, 0.309, 0.81, 48.39, 0.26, 0.22, 0.87), _set("stage2.trainable=all")),
        Published(
            "LoRA on cross-attention", (7.10, 0.39, 0.487, 0.61, 68.37, 0.26, 0.24, 1.21), _set("stage2.trainable=lora")
        ),
        Published(
            "Adapter on cross-attention", (5.93, 0.37, 0.520, 0.80, 61.70, 0.27, 0.25, 1.31),
            _set("stage2.trainable=adapter"),
        ),
        Published("Cross-attention (SPF)", _SPF.values, _set("stage2.trainable=cross_attention")),
    ),
    "5": (
        Published("Only stage 1", ROWS[0].values, _NAIVE, "naive fine-tuning of Table 1"),
        Published("Only stage 2", (7.18, 0.38, 0.13, 0.71, 63.72, 0.19, 0.24, 1.12), _set("stage1=null")),
        Published("Both stages (SPF)", _SPF.values, _WHOLE),
    ),
}  # fmt: skip
"""The rows of the paper's tables of scores, by number."""

COSTS = (
    ("stage 1", "fp16", 1.92, 17),
    ("stage 1", "fp32", 2.28, 23),
    ("stage 2", "fp16", 2.10, 21),
    ("stage 2", "fp32", 3.26, 28),
)
"""Table 2: stage, precision, seconds per iteration, GB of GPU memory."""


def sheet(table: str = "1") -> Sheet:
    """Return the paper's figures, one of its tables by number (1, 2, 4 or 5)."""
    title = f"Table {table} of {SOURCE}"
    if table == "2":
        rows = tuple((stage, precision, f"{s:.2f}", str(gb)) for stage, precision, s, gb in COSTS)
        data = tuple(
            {"published stage": stage, "precision": precision, "seconds_per_update": s, "memory_gb": gb}
            for stage, precision, s, gb in COSTS
        )
        return Sheet("published", title, ("stage", "precision", "s/update", "GB"), rows, data, (COST_NOTE,), left=2)
    told = TABLES[table]
    return Sheet(
        "published",
        title,
        ("method", *TITLES),
        tuple((row.method, *(f"{value:.2f}" for value in row.values)) for row in told),
        tuple({"published method": row.method, **dict(zip(COLUMNS, row.values, strict=True))} for row in told),
        (NOTE, *(f"{row.method}: {row.note}" for row in told if row.note)),
        breaks=(5, 6),
    )
