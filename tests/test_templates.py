"""Markdown from templates: what users typed comes out as they typed it, and as nothing else."""

import ast

import jinja2
import pytest
from markdown_it import MarkdownIt
from markupsafe import Markup

from balr_hf.templates import code_span, escape_markdown, html_environment, markdown_environment, table_cell

HOSTILE = [
    "<script>alert(1)</script>",
    "</textarea><img src=x onerror=alert(1)>",
    "a | b || c \\| d \\\\| e",
    "[text](javascript:alert(1)) ![image](https://example.com/x.png)",
    "`code` ``more``",
    "*emphasis* _emphasis_ __strong__ ~~struck~~ $formula$",
    "first\n\n# heading\n---\n- list\n<!-- comment -->",
    "&lt;script&gt; &#60; AT&T",
    "\\",
    "```",
]


def rendered(markdown: str) -> str:
    """As the Hub renders it, about: CommonMark with tables and raw HTML."""
    return MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).render(markdown)


@pytest.mark.parametrize("text", HOSTILE)
def test_text_reads_as_it_was_typed(text):
    shown = Markup(rendered(f"before {escape_markdown(text)} after")).unescape()
    assert shown == f"<p>before {' '.join(text.split())} after</p>\n"


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("write", [escape_markdown, code_span], ids=["text", "code"])
def test_cells_stay_cells(text, write):
    html = rendered(f"| a | b |\n| --- | --- |\n| {table_cell(write(text))} | end |\n")
    assert html.count("<td>") == 2 and "<td>end</td>" in html
    assert not any(tag in html for tag in ("<script", "<img", "<a ", "<em", "<strong", "<h1", "<!--"))


@pytest.mark.parametrize("text", HOSTILE)
def test_code_spans_hold_the_text(text):
    shown = Markup(rendered(f"before {code_span(text)} after")).unescape()
    assert shown == f"<p>before <code>{' '.join(text.split())}</code> after</p>\n"


@pytest.mark.parametrize("text", ["me/corpus_name", "3.12% to 5.00%", "affine, 450 trials (few)", "espeak17-01.opus"])
def test_ordinary_text_is_left_as_it_is(text):
    assert escape_markdown(text) == text


def test_whatever_a_template_prints_is_escaped():
    environment = markdown_environment("balr_hf.hub")
    template = environment.from_string(
        "{% macro line(x) %}- {{ x }}{% endmacro %}{{ line(text) }} {{ text }} {{ made }} {{ text | python }}"
    )
    shown = template.render(text='<b>|"', made=Markup("<b>"))
    assert shown == '- &lt;b&gt;\\|" &lt;b&gt;\\|" <b> "<b>|\\""'
    with pytest.raises(jinja2.UndefinedError):
        environment.from_string("{{ missing }}").render()
    assert html_environment("balr_hf.explanation").from_string("{{ x }}").render(x="<b>") == "&lt;b&gt;"


@pytest.mark.parametrize("text", [*HOSTILE, "quote \" and ' quote", "line\n```\nprint()"])
def test_python_literals_are_one_line_and_the_same_value(text):
    source = markdown_environment("balr_hf.hub").from_string("{{ x | python }}").render(x=text)
    assert ast.literal_eval(source) == text and "\n" not in source
