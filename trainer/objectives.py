"""From a window of tokens to what a model reads and what it is asked: the objectives beside next-token prediction.

A window is C + 1 tokens: the one before a sequence, then the sequence. Every objective gives inputs and targets of C
positions, and how many of the first positions see each other both ways (0: causal). Ids beyond the tokenizer's (mask,
sentinels, modes) follow the vocabulary, so that any shards serve any objective. Draws are a hash of the run's seed and
of where the sequence stands in the run, so a batch is the same however and wherever it is asked for.

* ``causal``: every token from those before it.
* ``prefix``: a first part of random length is given; loss on the rest (Raffel et al. 2020, section 3.2.1).
* ``masked``: 15 % of the tokens are asked for, of which 80 % appear as mask, 10 % as another token, 10 % as themselves
  (Devlin et al. 2019, section 3.1). All positions see each other.
* ``span_corruption``: spans give way to sentinels, behind the text each sentinel is followed by its span, and a last
  sentinel ends the list (Raffel et al. 2020, section 3.1.4; spans as in its ``random_spans_noise_mask``). In a decoder
  the corrupted text is a prefix (Wang et al. 2022).
* ``fill_in_the_middle``: documents become prefix, suffix, middle, each after its token, or suffix before prefix
  (Bavarian et al. 2022, sections 3 and 3.1). Cuts are between tokens, not between characters; the tokens that the
  three new ones push out of the window at its end are lost to the sequence.
* ``ul2``: one of seven denoisers (Tay et al. 2023, table 1 with section 3.1): R (mean span 3 or 8 at 15 %), S (prefix,
  a quarter asked for), X (3, 8, 64 at 50 %, 64 at 15 %), each announced by its mode token.

Deviation: where an objective adds tokens the window's last ones are left out, so that all sequences have one length.
"""

from __future__ import annotations

import numpy as np

from pipeline.hashing import hash_key
from trainer.batch import Batch
from trainer.data import IGNORED_TARGET
from trainer.objective_config import NUM_SENTINELS, SPECIAL_IDS, ObjectiveConfig
from trainer.permutation import uniform_draws

UL2_DENOISERS: tuple[tuple[str, float, float], ...] = (
    ("mode_r", 3, 0.15),
    ("mode_r", 8, 0.15),
    ("mode_s", 0, 0.25),
    ("mode_x", 3, 0.5),
    ("mode_x", 8, 0.5),
    ("mode_x", 64, 0.15),
    ("mode_x", 64, 0.5),
)
"""Mode, mean span in tokens, share of tokens hidden."""


class Objective:
    """Makes batches from windows.

    Args:
        config: the objective.
        vocab_size: of the shards; the objective's own ids begin there.
        eos_token_id: ends every document.
        seed: of the run.
    """

    def __init__(self, config: ObjectiveConfig, vocab_size: int, eos_token_id: int, seed: int) -> None:
        self._config = config
        self._eos = eos_token_id
        self._seed = seed
        self._vocab_size = vocab_size
        self._ids = {name: vocab_size + number for number, name in enumerate(SPECIAL_IDS)}
        self._sentinel = vocab_size + len(SPECIAL_IDS)

    def batch(self, windows: np.ndarray, positions: np.ndarray) -> Batch:
        """The batch of some windows.

        Args:
            windows: int64 of shape (rows, C + 1), ``IGNORED_TARGET`` behind the last token of the data.
            positions: of the sequences in the run, int64 of shape (rows,); the draws depend on them.
        """
        if self._config.name == "causal":
            return Batch(np.where(windows[:, :-1] == IGNORED_TARGET, self._eos, windows[:, :-1]), windows[:, 1:])
        rows = [self._row(window, int(position)) for window, position in zip(windows, positions, strict=True)]
        inputs, targets, prefixes = zip(*rows, strict=True)
        lengths = None if self._config.name == "fill_in_the_middle" else np.array(prefixes, dtype=np.int64)
        return Batch(np.stack(inputs), np.stack(targets), lengths)

    def _row(self, window: np.ndarray, position: int) -> tuple[np.ndarray, np.ndarray, int]:
        """Inputs, targets and prefix length of one window."""
        config, context = self._config, len(window) - 1
        key = hash_key(self._seed, "objective", "", position)
        tokens = window[1:][window[1:] != IGNORED_TARGET]
        if config.name == "masked":
            inputs, targets = self._mask(tokens, key)
            return self._fill(inputs, context, self._eos), self._fill(targets, context, IGNORED_TARGET), context
        if config.name == "fill_in_the_middle":
            told = self._rearrange(tokens, key)
            return *self._next_token(window[:1], told, 0, context), 0
        if config.name == "prefix":
            given = int(uniform_draws(key, 1)[0] * len(tokens))
            return *self._next_token(window[:1], tokens, given, context), given + 1
        mode, mean_span, density = None, config.mean_span_tokens, config.noise_density
        if config.name == "ul2":
            chosen = int(uniform_draws(key ^ 1, 1)[0] * len(UL2_DENOISERS))
            mode, mean_span, density = UL2_DENOISERS[chosen]
        start = window[:1] if mode is None else np.array([self._ids[mode]])
        if mode == "mode_s":
            given = int(len(tokens) * (1 - density))
            return *self._next_token(start, tokens, given, context), given + 1
        corrupted, answer = self._corrupt(
            tokens[: _fitting(len(tokens), context, mean_span, density)], mean_span, density, key
        )
        told = np.concatenate([corrupted, answer])
        return *self._next_token(start, told, len(corrupted), context), len(corrupted) + 1

    def _next_token(
        self, start: np.ndarray, told: np.ndarray, given: int, context: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Inputs and targets of next-token prediction on ``told`` after ``start``; the first ``given`` are not asked.

        Position ``given`` reads the last given token and is the first that is asked: it belongs to the prefix.
        """
        inputs = np.concatenate([start, told[:-1]]) if len(told) else told
        inputs = np.where(inputs == IGNORED_TARGET, self._eos, inputs)
        targets = told.copy()
        targets[:given] = IGNORED_TARGET
        return self._fill(inputs, context, self._eos), self._fill(targets, context, IGNORED_TARGET)

    @staticmethod
    def _fill(values: np.ndarray, length: int, filler: int) -> np.ndarray:
        filled = np.full(length, filler, dtype=np.int64)
        kept = values[:length]
        filled[: len(kept)] = kept
        return filled

    def _mask(self, tokens: np.ndarray, key: int) -> tuple[np.ndarray, np.ndarray]:
        chosen, kind, other = uniform_draws(key, 3 * len(tokens)).reshape(3, -1)
        asked = chosen < self._config.noise_density
        inputs = tokens.copy()
        inputs[asked & (kind < 0.8)] = self._ids["mask"]
        is_other = asked & (kind >= 0.8) & (kind < 0.9)
        inputs[is_other] = (other[is_other] * self._vocab_size).astype(np.int64)
        return inputs, np.where(asked, tokens, IGNORED_TARGET)

    def _rearrange(self, tokens: np.ndarray, key: int) -> np.ndarray:
        pieces = []
        ends = np.flatnonzero(tokens == self._eos) + 1
        for number, document in enumerate(np.split(tokens, ends)):
            body = document[document != self._eos]
            if not len(document):
                continue
            is_moved, order, *cuts = uniform_draws(key + number, 4)
            if is_moved >= self._config.fim_rate or not len(body):
                pieces.append(document)
                continue
            first, second = sorted(int(cut * (len(body) + 1)) for cut in cuts)
            prefix, middle, suffix = body[:first], body[first:second], body[second:]
            ids = [np.array([self._ids[name]]) for name in ("prefix", "suffix", "middle")]
            if order < self._config.spm_rate:
                parts = [ids[0], ids[1], suffix, ids[2], prefix, middle]
            else:
                parts = [ids[0], prefix, ids[1], suffix, ids[2], middle]
            pieces.append(np.concatenate([*parts, document[len(body) :]]))
        return np.concatenate(pieces) if pieces else tokens

    def _corrupt(self, tokens: np.ndarray, mean_span: float, density: float, key: int) -> tuple[np.ndarray, np.ndarray]:
        """Text with sentinels for its spans, and the list of spans."""
        is_noise = noise_spans(len(tokens), mean_span, density, key)
        starts = is_noise & ~np.concatenate([[False], is_noise[:-1]])
        number = np.cumsum(starts) - 1
        sentinels = self._sentinel + number
        corrupted = np.where(starts, sentinels, tokens)[~is_noise | starts]
        spans = [tokens[is_noise & (number == span)] for span in range(int(starts.sum()))]
        answer = [np.concatenate([[self._sentinel + index], span]) for index, span in enumerate(spans)]
        end = np.array([self._sentinel + len(spans)])
        return corrupted, np.concatenate([*answer, end]).astype(np.int64)


def num_spans(num_tokens: int, mean_span: float, density: float) -> tuple[int, int]:
    """Hidden tokens and spans of a text: at least one of each and one token left, sentinels permitting."""
    hidden = min(max(round(num_tokens * density), 1), num_tokens - 1)
    spans = min(max(round(hidden / mean_span), 1), hidden, num_tokens - hidden, NUM_SENTINELS - 1)
    return hidden, spans


def _fitting(num_tokens: int, context: int, mean_span: float, density: float) -> int:
    """Tokens of a window whose corrupted form fits into the context: they, two ids a span, and the last sentinel."""
    while num_tokens > 2 and num_tokens + 2 * num_spans(num_tokens, mean_span, density)[1] + 1 > context:
        num_tokens -= 1
    return num_tokens


def noise_spans(num_tokens: int, mean_span: float, density: float, key: int) -> np.ndarray:
    """Which tokens are hidden: spans of random lengths with gaps of random lengths, a gap first.

    Returns:
        bool of shape (num_tokens,); all False below two tokens.
    """
    if num_tokens < 2:
        return np.zeros(num_tokens, dtype=bool)
    hidden, spans = num_spans(num_tokens, mean_span, density)
    gaps = _random_parts(num_tokens - hidden, spans, key ^ 2)
    lengths = _random_parts(hidden, spans, key ^ 3)
    return np.repeat(np.tile([False, True], spans), np.stack([gaps, lengths], axis=1).ravel())


def _random_parts(total: int, num_parts: int, key: int) -> np.ndarray:
    """``total`` cut into ``num_parts`` parts of at least 1, every way equally likely."""
    order = np.argsort(uniform_draws(key, total - 1), kind="stable")
    cuts = np.sort(order[: num_parts - 1]) + 1
    return np.diff(np.concatenate([[0], cuts, [total]]))
