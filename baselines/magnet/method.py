"""Magnet as a method of the benchmark: on the original model, or on the naively fine-tuned one."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self, cast

from baselines.naive import Naive
from spf_bench.errors import UserError
from spf_bench.files.store import code_sha256, digest
from spf_bench.method import Method, TrainJob
from spf_bench.suite import Preset, Suite
from spf_bench.triple import Triple

if TYPE_CHECKING:
    from torch import Tensor

    from baselines.magnet.edit import Editor, Placed
    from baselines.magnet.settings import MagnetSettings
    from spf_bench.models.backbone import Backbone

PACKAGE = "baselines.magnet"
OF_NAIVE = "stage1."


class Magnet(Method):
    """Moves each noun's embedding towards its own attribute and away from the others'; trains nothing."""

    name = "magnet"
    title = "Magnet"
    source = "arXiv:2409.19967"
    code: ClassVar[tuple[str, ...]] = (PACKAGE,)
    configurable = True

    def __init__(self) -> None:
        self._editor: Editor | None = None

    def with_changes(self, changes: Sequence[str]) -> Self:
        """Return this method with some of its settings changed; ``on=naive`` makes it one that trains.

        Raises:
            UserError: Naming every setting of the edit that is wrong.
        """
        from baselines.magnet.settings import settings_of

        every = (*self.changes, *changes)
        own = [change for change in every if not change.startswith(OF_NAIVE)]
        changed = MagnetOnNaive() if settings_of(own).on == "naive" else Magnet()
        changed.changes = every
        return cast(Self, changed)

    @property
    def settings(self) -> "MagnetSettings":
        """The settings of the edit; raises UserError where a change names none of them."""
        from baselines.magnet.settings import settings_of

        return settings_of(self.changes)

    def config(self, preset: Preset) -> dict[str, Any]:
        """Return the settings of the edit, and which words its bank has."""
        from baselines.magnet.bank import words

        return {**asdict(self.settings), "bank": digest(words())}

    def unload(self, backbone: "Backbone") -> None:
        """Put the original UNet back and forget the phrases."""
        super().unload(backbone)
        self._editor = None

    def embed(self, backbone: "Backbone", triples: Sequence[Triple]) -> "Tensor":
        """Return the edited embeddings [B, L, D] of the complete texts."""
        import torch

        editor = self._editor = self._editor or self._new_editor(backbone)
        return torch.stack([self._edited(backbone, editor, triple) for triple in triples])

    def facts(self, backbone: "Backbone", triples: Sequence[Triple]) -> dict[str, Any]:
        """Return how many pairs the texts have, how many could not be edited and why, and what the bank is like."""
        editor = self._new_editor(backbone)
        found = [_placed(editor, triple) for triple in triples]
        skipped = sum((left_out for _, _, left_out in found), Counter[str]())
        lengths = [editor.phrases.length(word) for word in editor.bank.words]
        return {
            "pairs": sum(len(placed) for _, placed, _ in found) + skipped.total(),
            "pairs_skipped": dict(skipped),
            "texts_without_pairs": sum(not placed for _, placed, _ in found),
            "bank_words": len(lengths),
            "bank_words_of_one_token": lengths.count(1),
        }

    def _edited(self, backbone: "Backbone", editor: "Editor", triple: Triple) -> "Tensor":
        prompt, placed, _ = _placed(editor, triple)
        return editor.edit(backbone.encode([prompt])[0], placed)

    def _new_editor(self, backbone: "Backbone") -> "Editor":
        from baselines.magnet.bank import Bank, words
        from baselines.magnet.edit import Editor
        from baselines.magnet.phrases import Phrases

        settings, phrases = self.settings, Phrases(backbone.pipe.tokenizer, backbone.pipe.text_encoder)
        used = [word for word in words() if not settings.whole_words or phrases.length(word) == 1]
        if not used:
            why = "the tokenizer knows no word of the bank whole"
            raise UserError("magnet has no neighbours to look for", why, "leave whole_words=true out")
        return Editor(phrases, Bank.of(phrases, used, self.scratch), settings)


class MagnetOnNaive(Magnet):
    """The same edit, sampled by the UNet of naive fine-tuning; ``stage1.`` settings are that training's."""

    trains = True
    code = Naive.code  # so that both share one training; `config` has the hash of the edit's own code

    @property
    def settings(self) -> "MagnetSettings":
        """The settings of the edit."""
        from baselines.magnet.settings import settings_of

        return settings_of([change for change in self.changes if not change.startswith(OF_NAIVE)])

    @property
    def naive(self) -> Naive:
        """The method that trains the UNet."""
        return Naive().with_changes([change for change in self.changes if change.startswith(OF_NAIVE)])

    def config(self, preset: Preset) -> dict[str, Any]:
        """Return the settings and the code of the edit, and the settings of the training."""
        return {**super().config(preset), "edit": code_sha256(PACKAGE)[:12], **self.naive.config(preset)}

    def accept(self, folder: Path, suite: Suite) -> Path:
        """Return a checkpoint of naive fine-tuning."""
        return self.naive.accept(folder, suite)

    def train(self, job: TrainJob) -> Path:
        """Return the folder of naive fine-tuning's checkpoint."""
        return self.naive.train(job)


def _placed(editor: "Editor", triple: Triple) -> "tuple[str, list[Placed], Counter[str]]":
    """Return the cleaned complete text, its pairs where they stand, and why others are left out."""
    from baselines.magnet import bank, pairs, trees

    prompt = pairs.clean(triple.prompt)
    if editor.settings.pairs == "stanza":
        found = trees.pairs_by_stanza(prompt)
    else:
        found = pairs.pairs_of([*triple.phrases, triple.target], bank.nouns())
    return prompt, *editor.place(prompt, found)
