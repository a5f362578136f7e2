"""How much work a page is, in numbers that are the same on every machine, and whether that is too much."""

from __future__ import annotations

import functools
from typing import Literal, NamedTuple

import numpy as np
from resiliparse.parse.html import HTMLTree

from pipeline.html.blocks import cut_blocks
from pipeline.html.markup_tables import tag_number
from pipeline.kernels.html_scan import deepest, scan_markup


class ParsingCost(NamedTuple):
    """What can be told from a page's tags before it is parsed.

    Args:
        num_tags: start tags.
        num_nodes: nodes that a parser may make of them: with each tag the formatting elements that are open at it,
            which are copied into new paragraphs, and with each attribute those before it in its tag, with which it is
            compared.
        num_nesting: ``div`` and ``article`` tags; these elements cannot be nested deeper.
    """

    num_tags: int
    num_nodes: int
    num_nesting: int


class WorkBounds(NamedTuple):
    """How large the numbers of ``ParsingCost`` may be, and how deep ``div`` and ``article`` may be nested.

    The depth is exact. As it cannot exceed the number of the tags concerned, few pages are parsed to find it out.
    """

    max_tags: int | None
    max_nodes: int
    max_depth: int


def excess(
    html: str, cost: ParsingCost, bounds: WorkBounds
) -> tuple[Literal["html_too_many_nodes", "html_too_deep"], int, int] | None:
    """The bound that a page exceeds, its value, and the bound's; ``None`` if it is within all.

    Args:
        html: the page.
        cost: of the page, as ``parsing_cost`` tells it.
        bounds: in the order in which they are looked at: nodes, tags, depth.
    """
    if cost.num_nodes > bounds.max_nodes:
        return "html_too_many_nodes", cost.num_nodes, bounds.max_nodes
    if bounds.max_tags is not None and cost.num_tags > bounds.max_tags:
        return "html_too_many_nodes", cost.num_tags, bounds.max_tags
    if cost.num_nesting > bounds.max_depth:
        depth = nesting_depth(HTMLTree.parse(html))
        if depth > bounds.max_depth:
            return "html_too_deep", depth, bounds.max_depth
    return None


def parsing_cost(html: bytes) -> ParsingCost:
    """The cost of parsing a page in UTF-8; what is not valid in it changes nothing, as all tags are ASCII."""
    return ParsingCost(*scan_markup(html))


def nesting_depth(tree: HTMLTree) -> int:
    """To what depth ``div`` and ``article`` elements of a parsed page stand in one another."""
    elements = cut_blocks(tree).elements
    return int(deepest(elements, _nested_tags(), np.empty(len(elements), dtype=np.int32)))


@functools.cache
def _nested_tags() -> np.ndarray:
    return np.array([tag_number("div"), tag_number("article")], dtype=np.int64)
