"""The texts of policies become HTML; nothing in them becomes markup of the page."""

from __future__ import annotations

import pytest

from ecr_audit.web.markdown import first_paragraph, to_html


def test_the_title_is_left_out_and_sections_take_the_level_asked_for() -> None:
    html = to_html("# Title\n\nFirst.\n\n## Rationale\n\n### Detail\n", heading=3)
    assert html.split() == ["<p>First.</p>", "<h3>Rationale</h3>", "<h4>Detail</h4>"]


def test_the_first_paragraph_is_without_title_list_or_rest() -> None:
    assert first_paragraph("# Title\n\n## A\n\nThe `first`\none.\n\nAnother.\n").split("\n") == [
        "<p>The <code>first</code>",
        "one.</p>",
        "",
    ]
    assert first_paragraph("# Title\n") == ""


def test_a_wide_table_scrolls_by_itself() -> None:
    html = to_html("| a | b |\n|---|---|\n| 1 | 2 |\n", heading=3)
    assert html.startswith('<div class="scroll" role="region" aria-label="Table" tabindex="0"><table>')
    assert html.rstrip().endswith("</table></div>")


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "a <img src=x onerror=alert(1)> b",
        "`<script>`",
        "```\n<script>\n```",
        "| <script> |\n|---|\n| <b onclick=x> |",
    ],
)
def test_html_is_shown_and_not_obeyed(text: str) -> None:
    html = to_html(text, heading=3)
    assert "&lt;" in html
    assert not any(f"<{tag}" in html for tag in ("script", "img", "b "))


@pytest.mark.parametrize("link", ["javascript:alert(1)", "JAVASCRIPT:alert(1)", "data:text/html,x", "vbscript:x"])
def test_a_link_leads_to_no_program(link: str) -> None:
    assert "href" not in to_html(f"[x]({link})", heading=3)


def test_a_link_to_a_page_is_one() -> None:
    assert '<a href="https://docs.aws.amazon.com/">x</a>' in to_html("[x](https://docs.aws.amazon.com/)", heading=3)
