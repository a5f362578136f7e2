"""What a page will cost, told before it is parsed."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from resiliparse.parse.html import HTMLTree

from pipeline.html.bounds import ParsingCost, nesting_depth, parsing_cost


@pytest.mark.parametrize(
    ("html", "cost"),
    [
        ("", (0, 0, 0)),
        ("a < b <3 </ <", (0, 0, 0)),
        ("<!doctype html><p>a</p><!-- <p><div> -->", (1, 1, 0)),
        ("<div><ARTICLE><divan></article></div>", (3, 3, 2)),
        ("<b><i><p>x</p></i></b><p>", (4, 1 + 2 + 3 + 1, 0)),
        ("<font color=a size=1 face=b>", (1, 1 + 0 + 1 + 2, 0)),
        ("<p a b c d>", (1, 1 + 0 + 1 + 2 + 3, 0)),
        ("<p title='<div> > <b>' x>y", (1, 1 + 1, 0)),
        ('<p title="', (1, 1, 0)),
        ("<p", (1, 1, 0)),
        ("</b></b><b></b><p>", (2, 2, 0)),
        ("<!-- never closed <p>", (0, 0, 0)),
        ("<!-->x<p>", (1, 1, 0)),
    ],
)
def test_cost(html: str, cost: tuple[int, int, int]) -> None:
    assert parsing_cost(html.encode()) == ParsingCost(*cost)


@settings(deadline=None, max_examples=200)
@given(st.binary(max_size=60), st.text(alphabet="<>/!-='\" divpbarticle\n", max_size=60))
def test_what_is_not_valid_utf8_changes_nothing(damage: bytes, html: str) -> None:
    page = html[:30].encode() + damage.replace(b"\0", b"") + html[30:].encode()
    assert parsing_cost(page) == parsing_cost(page.decode("utf-8", "replace").encode())


def test_the_nodes_of_unclosed_formatting_are_foreseen() -> None:
    """9 kB that a parser makes 120,000 nodes of."""
    html = "<p>" + "".join(f"<b a={i}>" for i in range(350)) + "</p>" + "<p>x</p>" * 350
    num_elements = HTMLTree.parse(html).document.html.count("<b ")
    assert num_elements > 100_000
    assert num_elements < parsing_cost(html.encode()).num_nodes < 3 * num_elements


@pytest.mark.parametrize(
    ("html", "depth"),
    [
        ("<p>x", 0),
        ("<div>" * 3, 3),
        ("<div></div>" * 3, 1),
        ("<div><span><article><p><div>", 3),
        ("<div><!-- </div> --><div title='</div>'>", 2),
        ("<div><table><td></div><div>", 2),
    ],
)
def test_depth_is_the_trees(html: str, depth: int) -> None:
    assert nesting_depth(HTMLTree.parse(html)) == depth


@settings(deadline=None, max_examples=60)
@given(st.text(alphabet="<>/!-='\" divpbarticle\n", max_size=100))
def test_depth_and_elements_are_never_above_what_was_foreseen(html: str) -> None:
    cost = parsing_cost(html.encode())
    tree = HTMLTree.parse(html)
    assert nesting_depth(tree) <= cost.num_nesting
    assert 0 <= cost.num_tags <= cost.num_nodes
