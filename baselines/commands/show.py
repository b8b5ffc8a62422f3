"""``spf-bench show sfcm`` and ``spf-bench show attention``: the paper's Fig. 3 and 2, drawn from a run."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from spf_bench.cli import options
from spf_bench.cli.options import DEFAULT_RUNS, Changes, Device, Preset, Runs, Seed, Suite, TestSet, Threads

if TYPE_CHECKING:
    from baselines.show import Scene

Id = Annotated[str, typer.Option("--triple", help="Id of a triple, or its number from 1.", metavar="ID")]
Steps = Annotated[int, typer.Option(min=1, help="How many timesteps to draw.")]
Picture = Annotated[Path, typer.Option(help="The picture to write.", callback=options.picture)]
Checkpoint = Annotated[
    Path | None, typer.Option(help="Folder that `spf-bench train` wrote; by default SPF's run, trained if need be.")
]


def sfcm(
    triple: Id,
    suite: Suite = "world",
    testset: TestSet = None,
    preset: Preset = "default",
    changes: Changes = None,
    seed: Seed = 0,
    steps: Steps = 5,
    checkpoint: Checkpoint = None,
    to: Picture = Path("sfcm.png"),
    runs: Runs = DEFAULT_RUNS,
    device: Device = None,
    threads: Threads = None,
) -> None:
    """Draw SPF's control map while it samples a portrait: soft map, phrase maps with gamma, refined map.

    - `spf-bench show sfcm --triple world-v1-0001`
    """
    scene = _scene(triple, suite, testset, preset, changes, seed, checkpoint, runs, device, threads)
    from baselines.show import draw_sfcm
    from spf_bench.cli.console import out

    out.print(f"picture  {draw_sfcm(scene, steps, to)}", soft_wrap=True)


def attention(
    triple: Id,
    suite: Suite = "world",
    testset: TestSet = None,
    preset: Preset = "default",
    changes: Changes = None,
    seed: Seed = 0,
    steps: Steps = 5,
    checkpoint: Checkpoint = None,
    to: Picture = Path("attention.png"),
    runs: Runs = DEFAULT_RUNS,
    device: Device = None,
    threads: Threads = None,
) -> None:
    """Draw where the original model, stage 1 and SPF look for the target text while they sample.

    - `spf-bench show attention --triple 1`
    """
    scene = _scene(triple, suite, testset, preset, changes, seed, checkpoint, runs, device, threads)
    from baselines.show import draw_attention, stage1_of
    from spf_bench.cli.console import out

    out.print(f"picture  {draw_attention(scene, stage1_of(scene, checkpoint), steps, to)}", soft_wrap=True)


def _scene(
    triple: str,
    suite: str,
    testset: str | None,
    preset: str,
    changes: list[str] | None,
    seed: int,
    checkpoint: Path | None,
    runs: Path,
    device: str | None,
    threads: int | None,
) -> "Scene":
    from spf_bench.environment import quiet

    quiet()  # before the imports below bring in the model libraries
    from baselines.experiment import Experiment
    from baselines.show import Scene
    from spf_bench.cli.console import err
    from spf_bench.progress import Bars

    experiment = Experiment.of(suite, testset, None, preset, device, threads, changes, runs)
    with Bars(err) as bars:
        return Scene.of(experiment, triple, seed, checkpoint, bars)
