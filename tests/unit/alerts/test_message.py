"""Whatever a name holds, it is only read."""

from __future__ import annotations

import pytest

from ecr_audit.alerts.message import Message
from ecr_audit.text import plain


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("team\r\nBcc: all@example.com", "team Bcc: all@example.com"),
        ("a\u2028b\u0000c\u202ed", "a b c d"),
        ("\ud800", ""),
        ("x" * 500, "x" * 119 + "…"),
        (None, ""),
    ],
)
def test_other_peoples_text_stands_on_one_line(text: str | None, shown: str) -> None:
    assert plain(text) == shown


def test_slack_notifies_nobody() -> None:
    text = Message("<!here>", ("a <@U1> & <https://evil.example|b>",)).as_slack()
    assert text == "&lt;!here&gt;\na &lt;@U1&gt; &amp; &lt;https://evil.example|b&gt;"


def test_html_is_shown_not_run() -> None:
    page = Message("s", ("<script>alert('1')</script>", "</pre><img src=x>")).as_html()
    assert page.count("<") == 2  # the element around it
    assert "&lt;script&gt;alert(&#x27;1&#x27;)&lt;/script&gt;\n&lt;/pre&gt;" in page


def test_a_short_subject_is_a_line_of_ascii() -> None:
    subject = Message("Zürich\n" + "x" * 200, ()).short_subject
    assert subject.startswith("Z?rich xxx") and subject.endswith("...") and len(subject) == 100
    assert Message("1 new finding", ()).short_subject == "1 new finding"
