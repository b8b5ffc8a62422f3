"""The paper's ablations as data: every variant is SPF with some settings changed, none has code of its own."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Variant:
    """One row of an ablation."""

    name: str
    """Its name in results."""
    title: str
    """Its name in print, as the paper has it; which one is the method, the suite's preset says."""
    changes: tuple[str, ...] = ()
    """What is set otherwise than in the preset."""


@dataclass(frozen=True)
class Ablation:
    """One table of the paper: variants compared with the method as it is."""

    title: str
    """What it shows."""
    variants: tuple[Variant, ...]
    """In the order of print."""
    reference: str = "spf"
    """The variant that the others are compared with."""


SPF = Variant("spf", "SPF")
NAIVE = Variant("only_stage1", "Only stage 1 (naive fine-tuning)", ("stage2=null",))

ABLATIONS = {
    "1": Ablation(
        "Table 1: without one of the parts",
        (
            Variant("naive", "Naive fine-tuning", NAIVE.changes),
            Variant("no_text", "w/o L_text", ("spf.w_text=0",)),
            Variant("no_fine", "w/o L_fine", ("spf.w_fine=0",)),
            Variant("no_enh", "w/o L_enh", ("spf.w_enh=0",)),
            Variant("no_sfcm", "w/o SFCM", ("spf.use_sfcm=false",)),
            SPF,
        ),
    ),
    "4": Ablation(
        "Table 4: what stage 2 trains",
        (
            Variant("all", "Full weights", ("stage2.trainable=all",)),
            Variant("lora", "LoRA on cross-attention", ("stage2.trainable=lora",)),
            Variant("adapter", "Adapter on cross-attention", ("stage2.trainable=adapter",)),
            Variant("spf", "Cross-attention", ("stage2.trainable=cross_attention",)),
        ),
    ),
    "5": Ablation(
        "Table 5: stages",
        (NAIVE, Variant("only_stage2", "Only stage 2", ("stage1=null",)), Variant("spf", "Both stages")),
    ),
}

LAMBDAS = {"text": "spf.w_text", "fine": "spf.w_fine", "enhance": "spf.w_enh"}
"""The weights of Fig. 13 by the paper's names, and the settings they are."""
