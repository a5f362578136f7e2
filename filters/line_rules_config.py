"""Settings of the line rules: ``[clean_lines]``, and C4's line rules as ``[measure]`` sets them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from filters.list_files import ListFile, with_digests
from filters.signals import MeasureConfig
from filters.thresholds import Fraction
from pipeline.config import Config
from pipeline.language_codes import LanguageCode

_COUNTED_THINGS = (
    "like", "share", "comment", "retweet", "repost", "quote", "bookmark", "upvote", "downvote", "download", "view",
    "follower",
)  # fmt: skip


class RefinedWebLinesConfig(Config):
    """RefinedWeb's line-wise corrections. The paper names the rules, DCLM's public code the numbers and words.

    Args:
        max_upper_case_fraction: of a line's characters; a line with more goes.
        drop_digit_lines: a line of digits only goes.
        counted: a line that is a number and one of these goes ("3 likes").
        min_words: a line of fewer goes.
        max_edited_words: in lines of up to so many words the following are cut, in either case.
        cut_at_start, cut_at_end, cut_anywhere: phrases.

    Source: Penedo et al. 2023, G.2; Li et al. 2024 (DCLM). Deviation: the singular of what is counted counts too.
    """

    max_upper_case_fraction: Fraction = 0.5
    drop_digit_lines: bool = True
    counted: tuple[str, ...] = tuple(form for thing in _COUNTED_THINGS for form in (thing, f"{thing}s"))
    min_words: int = Field(default=2, ge=0)
    max_edited_words: int = Field(default=10, ge=0)
    cut_at_start: tuple[str, ...] = ("sign-in",)
    cut_at_end: tuple[str, ...] = ("read more...",)
    cut_anywhere: tuple[str, ...] = ("items in cart",)

    @model_validator(mode="after")
    def _phrases_are_not_blank(self) -> RefinedWebLinesConfig:
        for name in ("counted", "cut_at_start", "cut_at_end", "cut_anywhere"):
            if any(phrase != phrase.strip() or not phrase for phrase in getattr(self, name)):
                raise ValueError(
                    f"{name} = {list(getattr(self, name))} has a blank entry or one with white space at an end; "
                    f"expected words; remove the white space"
                )
        return self


class CleanLinesConfig(Config):
    """Table ``[clean_lines]``: which rules are carried out on the documents that are kept.

    Args:
        apply: sets of rules; none by default. C4's are made for English with punctuation: name ``languages``.
        languages: clean only documents in these (any ISO 639 code; ``en`` is ``eng_Latn``); unset: all.
        refinedweb: the rules of that set; also what ``refinedweb_removed_word_fraction`` is measured by.
        boilerplate_files: lists of lines to remove wherever they stand, compared without case, punctuation and white
            space, digits being equal. CCNet's paragraph deduplication leaves such a list.
    """

    apply: tuple[Literal["refinedweb", "c4"], ...] = ()
    languages: tuple[LanguageCode, ...] | None = Field(default=None, min_length=1)
    refinedweb: RefinedWebLinesConfig = RefinedWebLinesConfig()
    boilerplate_files: tuple[ListFile, ...] = ()

    @property
    def edits(self) -> bool:
        """Whether anything is carried out."""
        return bool(self.apply or self.boilerplate_files)


class LineRulesConfig(Config):
    """All that the line rules depend on: ``[clean_lines]``, and C4's line rules as ``[measure]`` sets them."""

    clean_lines: CleanLinesConfig
    c4_terminal_punctuation: bool
    c4_min_line_words: int
    c4_max_word_chars: int
    c4_drop_javascript_lines: bool
    c4_drop_policy_lines: bool


def resolve(clean_lines: CleanLinesConfig, measured: MeasureConfig) -> LineRulesConfig:
    """The line rules of a run, with the digest of every list entered.

    Raises:
        ConfigError: if a list is missing or is not the one that was named.
    """
    files = with_digests(clean_lines.boilerplate_files, where="clean_lines.boilerplate_files")
    c4 = {name: getattr(measured, name) for name in LineRulesConfig.model_fields if name.startswith("c4_")}
    return LineRulesConfig(clean_lines=clean_lines.model_copy(update={"boilerplate_files": files}), **c4)
