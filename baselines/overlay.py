"""What SPF's control map releases while a portrait is drawn, for the demo's page: the look ``sfcm``."""

from typing import TYPE_CHECKING, Any

from baselines.maps import Texts, read_texts
from baselines.show import Scene, grid, reader, sfcm_lines
from spf_bench.demo.hook import Sight
from spf_bench.overlays import Grid

if TYPE_CHECKING:
    from spf_train.clip import FrozenClip

_readers = dict[object, "tuple[FrozenClip, float]"]()
"""CLIP and gamma's shift of each run looked at: the shift takes a reading of the whole training set."""


def sfcm(sight: Sight) -> Grid | None:
    """Return the maps of Fig. 3 for a portrait that SPF draws; None for other methods."""
    if sight.run.method.name != "spf" or sight.checkpoint is None:
        return None
    scene = Scene(sight.run, sight.triple, sight.checkpoint, sight.backbone)
    return grid(scene, "sfcm", sfcm_lines(scene, _texts(sight), sight.steps))


def _texts(sight: Sight) -> Texts:
    run, tokenizer = sight.run, _tokenizer(sight)
    key = (run.suite.clip, run.preset, run.method.changes, run.seed)
    if key not in _readers:
        _readers[key] = reader(run, tokenizer)
    clip, shift = _readers[key]
    return read_texts(sight.triple, tokenizer, clip, shift)


def _tokenizer(sight: Sight) -> Any:
    return sight.backbone.pipe.tokenizer
