"""Whatever captions, titles, settings and file names say, pages and tables show it and never obey it."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from spf_bench.report import write
from spf_bench.study.make import Order, make
from spf_bench.study.page import door
from spf_bench.study.plan import Ask
from spf_bench.table.formats import Format
from spf_bench.table.layout import md, tex, tex_row
from spf_bench.table.leaderboard import Wanted, show
from spf_bench.table.model import collect
from tests.bench import showcase

TITLE = "<script>alert(1)</script>\"'onload=x <img src=x onerror=alert(1)>"
SETTING = r"[2pt]\input{/etc/passwd}$\write18{id}$ | & # _ ^ ~ % \\ </textarea> [a](javascript:alert(1))"
WANTED = Wanted(by_part=True, mean=False, shape=None, costs=True, significance=True, against=None, published=True)


class Tags(HTMLParser):
    """Counts the elements of a page, and what is written as an event or address in them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.risky: list[tuple[str, str | None]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        places = ("href", "src", "action", "formaction", "srcdoc")
        self.risky += [a for a in attrs if a[0].startswith("on") or (a[0] in places and "javascript:" in str(a[1]))]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs whose every text is hostile; the captions are too."""
    folder, _ = showcase.show(tmp_path_factory.mktemp("hostile"), n=8)
    for entry in collect(folder):
        path = entry.folder / "record.json"
        data = json.loads(path.read_text(encoding="utf-8"))
        data["method"].update(title=f"{data['method']['title']} {TITLE}", source=TITLE, config={TITLE: TITLE})
        data["method"]["changes"] = [SETTING] if entry.record.method.trains else []
        data.update(command=TITLE, facts={TITLE: TITLE}, seconds={TITLE: 1.0})
        data["weights"][TITLE] = "a" * 64
        data["environment"].update(device=TITLE, packages={TITLE: TITLE})
        data["scores"]["all"]["clip_t"].update(reason=f"{TITLE} {SETTING}", missing=1)
        data["columns"][0].update(title=f"LPIPS {TITLE}", source=TITLE)
        path.write_text(json.dumps(data), encoding="utf-8")
    return folder


def test_the_report_and_the_ballots_hold_no_element_that_a_text_made(runs: Path, tmp_path: Path) -> None:
    frozen = str(runs.parent / "testsets" / "show")
    report = write(collect(runs), tmp_path / "report.html", frozen).path.read_text(encoding="utf-8")
    make(Order(runs, tmp_path / "study", Ask(2, 4, 1, 2), testset=frozen, static=True))
    ballot = (tmp_path / "study" / "ballot.html").read_text(encoding="utf-8")
    for text, scripts in ((report, 1), (ballot, 1), (door(TITLE), 0)):
        page = Tags(text)
        assert not page.risky
        assert page.tags.count("script") - text.count('type="application/json"') == scripts
        assert "iframe" not in page.tags and "textarea" not in page.tags
        assert "<img src=x" not in text and "<b>bold" not in text  # as elements or in the data of scripts


def test_markdown_tables_make_no_element_link_or_cell(runs: Path) -> None:
    text = show(collect(runs), WANTED, Format.md)
    assert set(Tags(text).tags) <= {"u"} and not re.search(r"(?<!\\)\[[^]]*\]\(", text)
    for block in re.findall(r"(?:^\|.*\n)+", text, flags=re.M):
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}) == 1


def test_latex_tables_run_no_command_of_a_text(runs: Path) -> None:
    lines = [line for line in show(collect(runs), WANTED, Format.tex).splitlines() if not line.startswith("%")]
    text = "\n".join(lines)
    assert r"\input" not in text.replace(r"\textbackslash{}input", "") and r"\write18" not in text
    assert not re.search(r"(?<!\\)[#_%~]", text.replace(r"% needs", ""))
    assert text.count(r"\begin{tabular}") == text.count(r"\end{tabular}") > 1
    assert not any(line.startswith(("[", "*")) for line in lines)  # the row before would take it for its option


def test_csv_and_json_read_back_what_was_said(runs: Path) -> None:
    assert TITLE in json.dumps(json.loads(show(collect(runs), WANTED, Format.json))).replace('\\"', '"')
    assert TITLE.replace('"', '""') in show(collect(runs), WANTED, Format.csv)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("<b>", "&lt;b&gt;"), ("a|b", r"a\|b"), ("&lt;", "&amp;lt;"), ("Q & A", "Q & A"), ("[a](b)", r"\[a](b)"),
        ("a\nb", "a b"), (r"\|", r"\\\|"), ("p < 0.05", "p &lt; 0.05"), ("plain ± 1", "plain ± 1"),
    ],
)  # fmt: skip
def test_words_as_markdown(text: str, shown: str) -> None:
    assert md(text) == shown


def test_words_as_latex() -> None:
    assert tex("\\ {}$%&_#~^<>") == (
        r"\textbackslash{} \{\}\$\%\&\_\#\textasciitilde{}\textasciicircum{}\textless{}\textgreater{}"
    )
    assert tex_row(["[a]", "1"]) == r"{}[a] & 1 \\" and tex_row(["a", "*"]) == r"a & * \\"
