"""The card of a training set: what is in it beside Table 3, who painted it, what each filter let pass."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from spf_bench.trainset.figures import Figures
from spf_bench.trainset.filters import KEPT, MATCH, NAMES, Filters
from spf_bench.trainset.histogram import Histogram
from spf_bench.trainset.paint import Canvas
from spf_bench.trainset.plan import CATEGORIES
from spf_bench.world.distributions import CATEGORY_COUNTS

BAR = 30
SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))


@dataclass(frozen=True)
class About:
    """What a card says besides the numbers."""

    name: str
    """Name of the set."""
    models: Sequence[str]
    """The checkpoints, as they were asked for."""
    canvas: Canvas
    """How they painted."""
    grammar: str
    """Where the texts come from."""
    seed: int
    """Which of them."""
    captioner: str | None
    """Model of the base texts; None where they are the grammar's."""
    judges: dict[str, str]
    """The network behind each filter, by the filter's name."""
    format: str
    """How it is written."""


def card(about: About, figures: Figures, filters: Filters) -> str:
    """Return the card, with the head that the Hugging Face Hub reads."""
    parts = [_head(about, figures), _made(about), _categories(figures), _filters(about, figures, filters)]
    parts += [_scores(name, shape) for name, shape in figures.histograms.items() if shape.edges]
    return "\n".join([*parts, _use(about), _LIMITS])


def _head(about: About, figures: Figures) -> str:
    size = next((name for top, name in SIZES if figures.kept < top), "1M<n<10M")
    return f"""---
pretty_name: {about.name}
language: en
task_categories:
- text-to-image
size_categories:
- {size}
---

# {about.name}

{figures.kept:,} customisation portraits of {figures.total:,} that were generated: each with a base text, the target
attribute it shows, and the scores it was chosen by. Built as appendix A.2 of arXiv:2504.00396v2 describes.
"""


def _made(about: About) -> str:
    how = about.canvas.sampling
    said = (
        f"the captioning model {about.captioner}, target texts from the grammar" if about.captioner else "the grammar"
    )
    models = "\n".join(f"  - {model}" for model in about.models)
    return f"""- **Checkpoints**, candidates shared among them evenly:
{models}
- **Sampling**: {how.scheduler}, {how.steps} steps, guidance {how.guidance:g}, negative prompt {how.negative_prompt!r},
  {how.dtype}; every candidate has noise of its own, from the SHA-256 of its id.
- **Base texts**: {said}. Grammar {about.grammar}, seed {about.seed}.
- **Licence**: that of the checkpoints' images; none is stated here.
"""


def _categories(figures: Figures) -> str:
    rows = []
    for category, paper in CATEGORY_COUNTS.items():
        mine = {outcome: n for (name, outcome), n in figures.outcomes.items() if name == category.value}
        share = mine[KEPT] / max(figures.kept, 1)
        paper_share = paper / sum(CATEGORY_COUNTS.values())
        rows.append(
            (category.label, f"{paper:,}", f"{paper_share:.1%}", sum(mine.values()), mine[KEPT], f"{share:.1%}")
        )
    rows.append(("all", f"{sum(CATEGORY_COUNTS.values()):,}", "100.0%", figures.total, figures.kept, "100.0%"))
    return "## Categories\n\n" + _table(("category", "Table 3", "share", "candidates", "kept", "share"), rows)


def _filters(about: About, figures: Figures, filters: Filters) -> str:
    lost = Counter[str]()
    for (_, outcome), count in figures.outcomes.items():
        lost[outcome] += count
    rows = []
    for name, rule in filters.rules.items():
        cuts = figures.cuts[name]
        where = ", ".join(f"{_group(filters, group)} {cut.score:.4f}" for group, cut in sorted(cuts.items()))
        rows.append((NAMES[name], about.judges[name], str(rule), where or f"{rule.floor:g}", lost[name]))
    first = f"{NAMES[MATCH][0].upper()}{NAMES[MATCH][1:]}"
    each = "All compete" if filters.rules.overall else "Each category is cut by itself"
    note = f"""{first} is asked of all candidates, the other filters of what it let pass.
{each}. A candidate is counted at the first filter that it did not pass."""
    return f"## Filters\n\n{note}\n\n" + _table(("filter", "network", "passes", "least score", "left out"), rows)


def _group(filters: Filters, group: int) -> str:
    return "all" if filters.rules.overall else CATEGORIES[group].label


def _scores(name: str, shape: Histogram) -> str:
    most = max(shape.scored)
    rows = [
        (f"{low:.4f} to {high:.4f}", scored, kept, "█" * round(BAR * scored / most))
        for low, high, scored, kept in zip(shape.edges, shape.edges[1:], shape.scored, shape.kept, strict=False)
    ]
    return f"### {NAMES[name]}\n\n" + _table(("score", "scored", "kept", ""), rows)


def _use(about: About) -> str:
    if about.format == "webdataset":
        load = 'load_dataset("webdataset", data_files="*.tar", split="train")'
    else:
        load = 'load_dataset("imagefolder", data_dir=".", split="train")'
    return f"""## Use

```python
from datasets import load_dataset

portraits = {load}
```

`candidates.jsonl` has every candidate, also those left out, with its scores and what became of it (`outcome`).
"""


def _table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    cells = [[f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in line] for line in lines]
    return "".join(f"| {' | '.join(line)} |\n" for line in cells)


_LIMITS = """## Limits

The images are generated: they show what the checkpoints make of a text, with their biases, and a filter that prefers
what people liked passes those on. A caption from the grammar says what was asked for, which the image may lack; the
match filter is there for that. What the filters' networks prefer, metrics built on the same networks will prefer too.
"""
