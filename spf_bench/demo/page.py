"""The page itself, in Gradio: it asks the studio, and shows what comes back."""

import os
import random
from collections.abc import Callable, Sequence
from functools import partial
from html import escape
from typing import Any

from PIL import Image

from spf_bench.demo.maps import as_html
from spf_bench.demo.studio import Drawn, Studio
from spf_bench.errors import UserError, installing
from spf_bench.files.outside import LONGEST
from spf_bench.triple import Triple

EXTRA = installing("demo")
HIGH = 256  # pixels: smaller portraits are enlarged, pixel by pixel
WAITING = 32  # questions; whoever comes later is told to come back
KEPT = 3600  # seconds that pictures stay on the disk
CSS = """
.maps table { border-collapse: collapse; }
.maps th, .maps td { border: 0; padding: 2px 6px 2px 0; text-align: left; font-weight: normal; white-space: normal; }
.maps img { width: 104px; min-width: 64px; image-rendering: pixelated; margin: 0; }
.maps { overflow-x: auto; }
#portraits img { image-rendering: pixelated; }
#portraits .grid-wrap { height: auto !important; min-height: 0; max-height: none; }
#portraits .grid-container { grid-template-columns: repeat(auto-fill, 256px) !important; }
@media (max-width: 640px) { #portraits .grid-container { grid-template-columns: 1fr 1fr !important; } }
#portraits .caption-label { white-space: normal; max-width: 100%; }
"""
INTRO = (
    "### {title}\nThe untouched model draws the base text; every method draws base and target **from the same noise**. "
    "A pure method changes what the target asks for, and nothing else."
)


def gradio() -> Any:
    """Return the library, told to send nothing anywhere.

    Raises:
        UserError: It is not installed.
    """
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    try:
        import gradio
    except ImportError as error:
        raise UserError("the demo is a Gradio page", f"Gradio cannot be imported: {error}", EXTRA) from error
    return gradio


def build(studio: Studio, title: str, triples: Sequence[Triple]) -> Any:
    """Return the page.

    Args:
        studio: Draws.
        title: Of the suite.
        triples: Where "Another test case" takes its texts and noise from; the first stands there at the start.
    """
    gr, first = gradio(), triples[0]
    with gr.Blocks(title="spf-bench demo", analytics_enabled=False, delete_cache=(KEPT, KEPT)) as page:
        gr.Markdown(INTRO.format(title=title))
        with gr.Row():
            base = gr.Textbox(first.base, label="Base text", info="Phrases, separated by commas", max_length=LONGEST)
            target = gr.Textbox(first.target, label="Target text", info="The attribute to add", max_length=LONGEST)
            seed = gr.Number(first.seed, label="Seed", info="Of the noise", precision=0, minimum=0)
        chosen = gr.CheckboxGroup(list(studio.actors), value=list(studio.actors)[-3:], label="Methods")
        with gr.Row():
            maps = gr.Checkbox(False, label="Show where they look", visible=bool(studio.looks), min_width=120)
            other = gr.Button("Another test case", min_width=120)
            go = gr.Button("Draw", variant="primary", min_width=120)
        gallery = gr.Gallery(
            label="Portraits of the same noise", columns=4, height="auto", object_fit="contain", format="png",
            elem_id="portraits", interactive=False,
        )  # fmt: skip
        grids = gr.HTML(label="Where they look")

        draw = _drawer(studio)
        asked = [base, target, seed, chosen, maps]
        go.click(draw, asked, [gallery, grids], api_name="draw")
        for box in (base, target):
            box.submit(draw, asked, [gallery, grids], api_visibility="private")
        other.click(partial(_another, triples), None, [base, target, seed], api_visibility="private")
    return page


def _drawer(studio: Studio) -> Callable[..., tuple[Any, str]]:
    """Return what the button calls: a user's mistakes become a message on the page."""

    def draw(base: str, target: str, seed: int | None, chosen: list[str], maps: bool) -> tuple[Any, str]:
        try:
            drawn = studio.draw(base, target, -1 if seed is None else int(seed), chosen, maps)
        except UserError as error:
            raise gradio().Error(_told(error), title="Not drawn", print_exception=False) from error
        return pictures(drawn), as_html(drawn.maps)

    return draw


def _another(triples: Sequence[Triple]) -> tuple[str, str, int]:
    triple = random.choice(triples)
    return triple.base, triple.target, triple.seed


def serve(page: Any, host: str, port: int | None, block: bool = True) -> str:
    """Serve the page until Ctrl-C and return its address; nothing is sent to anybody else.

    Args:
        page: From ``build``.
        host: The interface it listens on.
        port: None: the first free one from 7860.
        block: Return only when it is stopped.

    Raises:
        UserError: The address is taken, or not this machine's.
    """
    gr = gradio()
    look = gr.themes.Default(font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"])
    try:
        _, address, _ = page.queue(max_size=WAITING, default_concurrency_limit=1).launch(
            server_name=host,
            server_port=port,
            share=False,
            quiet=True,
            prevent_thread_lock=True,
            theme=look,
            css=CSS,
            footer_links=["api"],
        )
    except OSError as error:
        raise UserError(
            f"cannot listen on {host}:{port or 7860}", str(error), "choose another --port or --host"
        ) from error
    if block:
        page.block_thread()
    return str(address)


def pictures(drawn: Drawn) -> list[tuple[Image.Image, str]]:
    """Return portraits with their labels, small ones enlarged without smoothing."""
    return [(_enlarged(Image.fromarray(portrait.pixels)), portrait.label) for portrait in drawn.portraits]


def _enlarged(picture: Image.Image) -> Image.Image:
    factor = max(1, HIGH // max(picture.size))
    return picture.resize((picture.width * factor, picture.height * factor), Image.Resampling.NEAREST)


def _told(error: UserError) -> str:
    said = [error.what, error.why, *(f"{p.subject}: {p.why}" for p in error.problems), error.fix]
    return "<br>".join(escape(part) for part in said if part)
