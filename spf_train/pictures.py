"""Control maps as a picture: what is released from alignment, seen by eye."""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from spf_train.checkpoint import write_atomically

SIDE = 96  # pixels of one map
SAMPLES = 8


def save_maps(path: Path, *maps: Tensor) -> None:
    """Writes maps [B, 1, h, w] in [0, 1] as a PNG: a row per sample (the first 8), a column per map."""
    columns = [F.interpolate(column[:SAMPLES].float().cpu(), (SIDE, SIDE), mode="nearest") for column in maps]
    framed = F.pad(torch.cat(columns, dim=3), (1, 1, 1, 1), value=0.5)
    grey = (torch.cat(list(framed[:, 0]), dim=0) * 255).round().byte().numpy()
    write_atomically(path, lambda new: Image.fromarray(grey).save(new, format="PNG"))
