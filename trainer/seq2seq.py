"""Objectives of an encoder-decoder: what of a window the encoder reads and what the decoder is asked.

A window is the C tokens of a sequence. The encoder reads one part of them, and the decoder, which begins with an
end-of-text token, is asked for the other:

* ``prefix``: an end-of-text token and a first part of random length; asked is the rest (Raffel et al. 2020, section
  3.2.1).
* ``span_corruption``: the text with a sentinel for each span; asked are sentinels with their spans and a last
  sentinel (section 3.1.4). Spans are those of ``objectives.py``.
* ``ul2``: one of its seven denoisers, the encoder's text behind the mode token; S is a prefix of three quarters (Tay
  et al. 2023, table 1 with section 3.1).

Every batch has one size (``sequence_lengths``): that of a full window, of UL2's the largest of its denoisers, of a
prefix C on either side. A full window of span corruption fills both sides to the last place.

With document masking each document of a window is an example of its own, with draws, sentinels and end of its own,
side by side with the others on both sides; the model lets positions see their own document alone, and the decoder's
first position in each reads the end-of-text token. So nothing of one document reaches another. What then does not fit
any more, since each document has sentinels, is left out at the window's end.

The same forms serve to ask a trained model how likely a text is after another (``ContinuationForm``).

Deviation from T5's code: no end-of-text token is put behind source and targets; documents have theirs inside.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.hashing import hash_key
from trainer.batch import Batch, Example, stack_examples
from trainer.data import IGNORED_TARGET
from trainer.objective_config import SPECIAL_IDS, ObjectiveConfig
from trainer.objectives import UL2_DENOISERS, Objective, num_spans
from trainer.permutation import uniform_draws


@dataclass(frozen=True)
class _Denoiser:
    """How one text is divided.

    Args:
        mode: id before the encoder's text; None: none.
        given_share: of the tokens, those at the start that the encoder reads; None: spans are hidden instead.
        mean_span: in tokens.
        density: share of tokens that is hidden.
    """

    mode: int | None
    given_share: float | None
    mean_span: float = 1.0
    density: float = 0.0

    def lengths(self, num_tokens: int) -> tuple[int, int]:
        """Ids of the encoder's and the decoder's side for a text of ``num_tokens``; neither falls as that grows."""
        num_modes = int(self.mode is not None)
        if self.given_share is not None:
            given = int(num_tokens * self.given_share)
            return given + num_modes, num_tokens - given
        hidden, spans = num_spans(num_tokens, self.mean_span, self.density)
        return num_tokens - hidden + spans + num_modes, hidden + spans + 1


class Seq2SeqObjective(Objective):
    """Makes an encoder-decoder's batches from windows.

    Args:
        config: the objective.
        vocab_size: of the shards; the objective's own ids begin there.
        eos_token_id: ends every document; the decoder begins with it.
        seed: of the run.
        document_masking: whether each document is an example of its own.
    """

    def __init__(
        self, config: ObjectiveConfig, vocab_size: int, eos_token_id: int, seed: int, *, document_masking: bool
    ) -> None:
        super().__init__(config, vocab_size, eos_token_id, seed)
        self._document_masking = document_masking

    def batch(self, windows: np.ndarray, positions: np.ndarray) -> Batch:
        """As ``Objective.batch``; the batch has a source."""
        lengths = sequence_lengths(self._config, windows.shape[1] - 1)
        rows = []
        for window, position in zip(windows[:, 1:], positions, strict=True):
            rows.append(self._examples(window[window != IGNORED_TARGET], int(position), lengths))
        return stack_examples(rows, self._eos, lengths)

    def _examples(self, tokens: np.ndarray, position: int, room: tuple[int, int]) -> list[Example]:
        """One window's examples, as far as there is room for them."""
        documents = [tokens]
        if self._document_masking:
            ends = np.flatnonzero(tokens == self._eos) + 1
            documents = [document for document in np.split(tokens, ends) if len(document)]
        examples = []
        for number, document in enumerate(documents):
            key = hash_key(self._seed, "objective", f"document {number}" if number else "", position)
            denoiser = self._denoiser(key)
            fitting = len(document)
            while fitting and any(need > left for need, left in zip(denoiser.lengths(fitting), room, strict=True)):
                fitting -= 1
            if fitting:
                examples.append(self._example(document[:fitting], denoiser, key))
            if fitting < len(document):
                break
            used_source, used_target = denoiser.lengths(fitting)
            room = (room[0] - used_source, room[1] - used_target)
        return examples

    def _denoiser(self, key: int) -> _Denoiser:
        config = self._config
        if config.name == "prefix":
            return _Denoiser(self._eos, float(uniform_draws(key, 1)[0]))
        if config.name == "span_corruption":
            return _Denoiser(None, None, config.mean_span_tokens, config.noise_density)
        mode, mean_span, density = UL2_DENOISERS[int(uniform_draws(key ^ 1, 1)[0] * len(UL2_DENOISERS))]
        return _Denoiser(self._ids[mode], 1 - density if mode == "mode_s" else None, mean_span, density)

    def _example(self, tokens: np.ndarray, denoiser: _Denoiser, key: int) -> Example:
        if denoiser.given_share is not None:
            given = int(len(tokens) * denoiser.given_share)
            source, targets = tokens[:given], tokens[given:]
        else:
            source, targets = self._corrupt(tokens, denoiser.mean_span, denoiser.density, key)
        before = [] if denoiser.mode is None else [denoiser.mode]
        return Example(
            np.concatenate([[self._eos], targets[:-1]]), targets, np.concatenate([np.array(before, np.int64), source])
        )


def sequence_lengths(config: ObjectiveConfig, context_tokens: int) -> tuple[int, int]:
    """Positions of encoder and decoder in every batch of windows of ``context_tokens``."""
    if config.name == "prefix":
        return context_tokens, context_tokens
    if config.name == "span_corruption":
        return _Denoiser(None, None, config.mean_span_tokens, config.noise_density).lengths(context_tokens)
    lengths = [
        _Denoiser(0, 1 - density if mode == "mode_s" else None, mean_span, density).lengths(context_tokens)
        for mode, mean_span, density in UL2_DENOISERS
    ]
    return max(source for source, _ in lengths), max(target for _, target in lengths)


@dataclass(frozen=True)
class ContinuationForm:
    """How a text and what may follow it are put to an encoder-decoder: as its objective has them at a text's end.

    Args:
        before, after: ids around the text on the encoder's side; one in all.
        opening: ids that the decoder reads before the continuation; what it is asked begins behind the last.
    """

    before: tuple[int, ...]
    after: tuple[int, ...]
    opening: tuple[int, ...]

    def source(self, text: np.ndarray) -> np.ndarray:
        """What the encoder reads of ``text``; ids, int64 of shape (num_tokens + 1,)."""
        return np.concatenate([self.before, text, self.after]).astype(np.int64)

    def example(self, text: np.ndarray, continuation: np.ndarray) -> Example:
        """``continuation`` asked for after ``text``; ids, each of shape (num_tokens,)."""
        told = np.concatenate([self.opening, continuation]).astype(np.int64)
        targets = told[1:].copy()
        targets[: len(self.opening) - 1] = IGNORED_TARGET
        return Example(told[:-1], targets, self.source(text))


def continuation_form(config: ObjectiveConfig, vocab_size: int, eos_token_id: int) -> ContinuationForm:
    """The form of a training's objective: a prefix, UL2's S, or a text whose last span is hidden."""
    if config.name == "span_corruption":
        sentinel = vocab_size + len(SPECIAL_IDS)
        return ContinuationForm((), (sentinel,), (eos_token_id, sentinel))
    mode = eos_token_id if config.name == "prefix" else vocab_size + SPECIAL_IDS.index("mode_s")
    return ContinuationForm((mode,), (), (eos_token_id,))
