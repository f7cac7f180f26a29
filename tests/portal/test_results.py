"""The Results sections of a changelog as HTML: nothing else of it, and nothing of it unescaped."""

from __future__ import annotations

import pytest

from portal.results import html, inline, parsed, results

CHANGELOG = """# Changes

Each version begins with **Results**.

## 0.2

### Results
- PUE enters once, see [the page](docs/carbon.md) and
  [the paper](https://example.org/a?b=1&c=2).
- `a < b` stays.

A paragraph
of two lines:
- its list.

### Improvements
- A new page.

## 0.1

### Improvements
- The first one.

## 0.0

### Results
First version.
"""


def test_only_results_are_taken_newest_first() -> None:
    found = list(parsed(CHANGELOG))
    assert [each.version for each in found] == ["0.2", "0.0"]
    assert "A new page" not in found[0].body
    assert found[1].body == "<p>First version.</p>"


def test_lists_paragraphs_and_links_become_html() -> None:
    assert next(iter(parsed(CHANGELOG))).body.replace("\n", "") == (
        "<ul><li>PUE enters once, see the page and"
        ' <a href="https://example.org/a?b=1&amp;c=2" rel="noopener external">the paper</a>.</li>'
        "<li><code>a &lt; b</code> stays.</li></ul>"
        "<p>A paragraph of two lines:</p><ul><li>its list.</li></ul>"
    )


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("<script>x</script>", "&lt;script&gt;x&lt;/script&gt;"),
        ("**a < b**", "<strong>a &lt; b</strong>"),
        ("[x](javascript:alert(1))", "x)"),
        ("[`c`](docs/carbon.md)", "<code>c</code>"),
        ("1 * 2 * 3", "1 * 2 * 3"),
        ("<b> `x` <i>", "&lt;b&gt; <code>x</code> &lt;i&gt;"),
    ],
)
def test_marks_inside_a_line(text: str, shown: str) -> None:
    assert inline(text) == shown


def test_a_link_does_not_break_out_of_its_attribute() -> None:
    assert '"onclick' not in html('- [x](https://e.org/"onclick="y)')


def test_the_changelog_of_this_version_has_results() -> None:
    assert results()
    assert all("<li>" in each.body or "<p>" in each.body for each in results())
    assert "First version." in results()[-1].body
