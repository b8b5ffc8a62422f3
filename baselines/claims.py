"""The paper's claims about its own parts, as data, and whether differences with intervals bear them out."""

from collections.abc import Mapping
from dataclasses import dataclass

from spf_bench.record import Score

PRESERVATION = (("fid", 1), ("lpips", 1), ("id", -1), ("clip_i", -1), ("seg_cons", -1))
"""The paper's columns of preservation, and the sign of a change for the worse."""


@dataclass(frozen=True)
class Claim:
    """What the paper says of one variant against the method as it is."""

    number: int
    """Its place in the list of claims."""
    text: str
    """What is claimed."""
    variant: str
    """Whose difference from the method decides."""
    signs: tuple[tuple[str, int], ...]
    """Score by score, the claimed sign of variant minus method."""


CLAIMS = (
    Claim(
        5,
        "without SFCM preservation is better and CLIP-T collapses",
        "no_sfcm",
        (*((key, -sign) for key, sign in PRESERVATION), ("clip_t", -1)),
    ),
    Claim(6, "without L_enh CLIP-T drops", "no_enh", (("clip_t", -1),)),
    Claim(6, "without L_fine ID and Seg-Cons drop", "no_fine", (("id", -1), ("seg_cons", -1))),
    Claim(6, "without L_text CLIP-I and Seg-Cons drop", "no_text", (("clip_i", -1), ("seg_cons", -1))),
    Claim(7, "stage 2 alone does not learn the target", "only_stage2", (("clip_t", -1),)),
    Claim(7, "stage 1 alone does not preserve", "only_stage1", PRESERVATION),
    Claim(8, "full weights in stage 2 are worse", "all", (*PRESERVATION, ("clip_t", -1))),
    Claim(8, "LoRA in stage 2 is worse", "lora", (*PRESERVATION, ("clip_t", -1))),
    Claim(8, "an adapter in stage 2 is worse", "adapter", (*PRESERVATION, ("clip_t", -1))),
)


def verdict(score: Score, sign: int) -> str:
    """Return whether a difference is as claimed: ``holds``, ``does not hold``, or ``undecided``.

    A claimed direction holds where the whole 95 % interval lies on its side of zero, and does not hold where all of
    it lies on the other; an interval over zero decides nothing.
    """
    if score.mean is None or score.lo is None or score.hi is None or score.lo <= 0 <= score.hi:
        return "undecided"
    return "holds" if score.mean * sign > 0 else "does not hold"


def check(differences: Mapping[str, Mapping[str, Score]]) -> list[tuple[Claim, dict[str, str]]]:
    """Return every claim that can be looked at, with a verdict for each of its scores.

    Args:
        differences: By variant: every score's difference from the method as it is.
    """
    told = [(claim, differences[claim.variant]) for claim in CLAIMS if claim.variant in differences]
    return [(claim, {key: verdict(found[key], s) for key, s in claim.signs if key in found}) for claim, found in told]
