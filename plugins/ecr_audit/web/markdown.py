"""Markdown as HTML; HTML in the text is escaped."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup

# Also refuses links to javascript: and data:, which is markdown-it's own rule.
_PARSER = MarkdownIt("commonmark", {"html": False}).enable("table")


def to_html(text: str, *, heading: int) -> Markup:
    """The text without its title, whose place the page's own heading takes; `heading` is the level of its sections."""
    tokens = _PARSER.parse(text)
    if tokens and tokens[0].tag == "h1":
        tokens = tokens[3:]  # heading_open, inline, heading_close
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(int(token.tag[1]) + heading - 2, 6)}"
    return Markup(_PARSER.renderer.render(tokens, _PARSER.options, {}))  # noqa: S704 - escaped by the parser


def first_paragraph(text: str) -> Markup:
    """The text's first paragraph; empty if it has none."""
    tokens = _PARSER.parse(text)
    begin = next((at for at, token in enumerate(tokens) if token.type == "paragraph_open"), len(tokens))
    paragraph = tokens[begin : begin + 3]  # paragraph_open, inline, paragraph_close
    return Markup(_PARSER.renderer.render(paragraph, _PARSER.options, {}))  # noqa: S704 - escaped by the parser


def _table_open(_: Any, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
    """A wide table scrolls, by keyboard as well, rather than the page."""
    return '<div class="scroll" role="region" aria-label="Table" tabindex="0"><table>'


def _table_close(_: Any, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
    return "</table></div>"


_PARSER.add_render_rule("table_open", _table_open)
_PARSER.add_render_rule("table_close", _table_close)
