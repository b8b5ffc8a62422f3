"""What participants are asked: the paper's three dimensions."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Question:
    """One question about two portraits."""

    key: str
    """Its name in the tally: OBC, TAR or AP."""
    title: str
    """Its name in words."""
    step: str
    """One word for it."""
    text: str
    """What participants read; ``{target}`` stands for the target text."""
    hint: str
    """What they are to look at."""
    check: bool
    """Whether an attention check has one right answer to it."""


QUESTIONS = (
    Question(
        "OBC",
        "Original behaviour consistency",
        "Original",
        "Which portrait keeps more of the original?",
        "Look at the person, pose, background and style. The change that was asked for does not count against it.",
        True,
    ),
    Question(
        "TAR",
        "Target attribute response",
        "Request",
        "Which portrait shows “{target}” better?",
        "Look at what was asked for alone, whatever else has changed.",
        False,
    ),
    Question(
        "AP",
        "Aesthetic preference",
        "Preference",
        "Which portrait do you like better?",
        "Look at its quality: appealing, without flaws or distortions.",
        True,
    ),
)
"""The paper's three dimensions, in its order (appendix F)."""
