"""The paper's own figures, as data with their source; printed apart from ours and never ranked with them."""

from dataclasses import dataclass

SOURCE = "arXiv:2504.00396v2"
NOTE = (
    "Published figures: of another suite (Realistic_Vision_V4.0, 512 px, 5K triples), with other metric networks. "
    "They say nothing about the numbers above, nor these about them."
)
COLUMNS = ("fid", "lpips", "id", "clip_i", "seg_cons", "clip_t", "hps", "mps")
TITLES = ("FID↓", "LPIPS↓", "ID↑", "CLIP-I↑", "Seg-Cons↑", "CLIP-T↑", "HPSv2↑", "MPS↑")


@dataclass(frozen=True)
class Published:
    """One row of the paper's Table 1."""

    method: str
    """The method as the paper calls it."""
    values: tuple[float, ...]
    """In the order of ``COLUMNS``."""
    note: str = ""
    """What the paper says of the row."""


ROWS = (
    Published("Naive Fine-Tuning", (20.41, 0.57, 0.21, 0.63, 57.77, 0.24, 0.21, 0.67)),
    Published("AdaLoRA", (7.38, 0.40, 0.39, 0.80, 64.86, 0.23, 0.24, 1.10)),
    Published("LoRA (best rank)", (9.82, 0.38, 0.52, 0.71, 58.37, 0.27, 0.23, 1.21)),
    Published("TokenCompose", (10.93, 0.41, 0.32, 0.81, 40.22, 0.27, 0.24, 0.71)),
    Published("Magnet", (18.92, 0.48, 0.38, 0.61, 32.87, 0.26, 0.26, 0.97)),
    Published("SPF", (4.50, 0.35, 0.55, 0.83, 75.74, 0.30, 0.28, 1.49)),
    Published("w/o L_text", (4.97, 0.39, 0.48, 0.60, 61.39, 0.28, 0.23, 1.13)),
    Published("w/o L_fine", (6.74, 0.42, 0.32, 0.71, 41.62, 0.27, 0.21, 1.22)),
    Published("w/o L_enh", (4.52, 0.37, 0.49, 0.81, 74.38, 0.22, 0.23, 1.40)),
    Published("w/o SFCM", (4.13, 0.14, 0.73, 0.88, 80.03, 0.17, 0.23, 1.09), "over-aligned: not a win"),
)

_SPF = ROWS[5]
TABLES = {
    "1": ROWS,
    "4": (
        Published("Full weights", (7.82, 0.40, 0.309, 0.81, 48.39, 0.26, 0.22, 0.87)),
        Published("LoRA on cross-attention", (7.10, 0.39, 0.487, 0.61, 68.37, 0.26, 0.24, 1.21)),
        Published("Adapter on cross-attention", (5.93, 0.37, 0.520, 0.80, 61.70, 0.27, 0.25, 1.31)),
        Published("Cross-attention (SPF)", _SPF.values),
    ),
    "5": (
        Published("Only stage 1", ROWS[0].values, "naive fine-tuning of Table 1"),
        Published("Only stage 2", (7.18, 0.38, 0.13, 0.71, 63.72, 0.19, 0.24, 1.12)),
        Published("Both stages (SPF)", _SPF.values),
    ),
}
"""The rows of the paper's tables, by number."""
