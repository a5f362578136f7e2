"""Row stage: from text to what deduplication compares, namely a MinHash signature, its LSH bands, and a text hash.

Text is read once, in numba kernels over the Arrow buffers (``pipeline/kernels/minhash.py``, ``text_hash.py``);
everything after it works on the columns written here. The choice of bands fixes which pairs can become candidates
(``pipeline/lsh_banding.py``): for FineWeb's 14 × 8 a pair shares a band with a probability of .57 at Jaccard similarity
.70, .77 at .75, .92 at .80 and .99 at .85.

Cost: about 4 ns a byte of text on one core at 112 permutations and word 5-grams, three times that with characters.
"""

from __future__ import annotations

from typing import Literal

import pyarrow as pa
from pydantic import Field, model_validator

from pipeline.config import Config
from pipeline.kernels.minhash import make_permutations, sketch
from pipeline.kernels.shingles import Shingling
from pipeline.kernels.text_hash import text_hashes
from pipeline.lsh_banding import PRESETS, Banding, PresetName, banding_for
from pipeline.stage import Stage, with_columns

NAME = "minhash_signatures"
VERSION = "3"
_DEFAULT = "fineweb"

MINHASH_SCHEMA = pa.schema(
    [
        ("signature", pa.binary()),  # num_perm values, u32 little-endian; null without a word of text
        ("bands", pa.list_(pa.int64())),  # one hash per band; null where the signature is
        ("text_hash", pa.binary()),  # blake2b-128 of the text with white space collapsed; null without text
    ]
)


class MinHashConfig(Config):
    """``[dedup.minhash]``: shingles, permutations and bands.

    Bands come from one of four: ``preset``; ``num_bands``, with num_perm / num_bands rows each; ``threshold``, from
    which datasketch's optimiser chooses both, with ``recall`` or without; or none of them, for FineWeb's 14 bands.

    Args:
        preset: a published choice of num_perm, bands and shingles; shingles may be given beside it.
        num_perm: signature values; 112 if not given.
        num_bands: bands, each of num_perm / num_bands values.
        threshold: Jaccard similarity from which pairs are to be caught; some permutations may be left over for the
            estimate of similarity.
        recall: share of the pairs at ``threshold`` that must become candidates; without it, the area of false
            positives and that of false negatives count the same.
        shingle_words: words in a shingle; 5 if neither this nor ``shingle_chars`` is given.
        shingle_chars: characters in a shingle, instead of words.
        shingle_hash: ``mix64`` is fast; ``sha1``, some twenty times slower, makes the signatures those of
            ``datasketch.MinHash``.
        scheme: datasketch's permutations: its own since 2.0, or those before.
        seed: of the permutations.

    Source: FineWeb (Penedo et al. 2024, section 3.4) for the defaults: word 5-grams, 14 bands of 8. Deviations: digits
    are kept, punctuation separates words, shingle hashes have 32 bits instead of 64 (``datasketch``'s width).
    """

    preset: PresetName | None = None
    num_perm: int | None = Field(default=None, ge=2, le=1 << 14)
    num_bands: int | None = Field(default=None, ge=1)
    threshold: float | None = Field(default=None, gt=0, lt=1)
    recall: float | None = Field(default=None, gt=0, lt=1)
    shingle_words: int | None = Field(default=None, ge=1, le=64)
    shingle_chars: int | None = Field(default=None, ge=1, le=256)
    shingle_hash: Literal["mix64", "sha1"] = "mix64"
    scheme: Literal["affine32", "legacy"] = "affine32"
    seed: int = Field(default=1, ge=0, lt=1 << 32)

    @model_validator(mode="after")
    def _check_bands(self) -> MinHashConfig:
        given = [name for name in ("num_perm", "num_bands", "threshold", "recall") if getattr(self, name) is not None]
        if self.preset is not None and given:
            raise ValueError(
                f"preset={self.preset!r} settles permutations and bands, and so does {given[0]}="
                f"{getattr(self, given[0])}; expected one of the two; remove one"
            )
        if self.threshold is not None and self.num_bands is not None:
            raise ValueError(
                f"threshold={self.threshold} and num_bands={self.num_bands} both choose the bands; remove one of them"
            )
        if self.recall is not None and self.threshold is None:
            raise ValueError(
                f"recall={self.recall} without threshold; expected the similarity at which that share of pairs is to "
                f"be caught; add threshold, or remove recall"
            )
        if self.shingle_words is not None and self.shingle_chars is not None:
            raise ValueError(
                f"shingle_words={self.shingle_words} and shingle_chars={self.shingle_chars} both say what a shingle "
                f"is; remove one of them"
            )
        num_bands = self.num_bands or PRESETS[_DEFAULT].banding.num_bands
        if self.preset is None and self.threshold is None and self.permutations % num_bands:
            divisors = [n for n in range(1, self.permutations + 1) if self.permutations % n == 0]
            below, above = max(n for n in divisors if n <= num_bands), [n for n in divisors if n > num_bands][:1]
            raise ValueError(
                f"num_perm={self.permutations} is not divisible by num_bands={num_bands}; "
                f"try {' or '.join(map(str, [below, *above]))}"
            )
        if self.recall is not None:
            self.banding()  # refuses what cannot be reached
        return self

    @property
    def permutations(self) -> int:
        """Values of a signature."""
        return self.num_perm or PRESETS[self.preset or _DEFAULT].num_perm

    def banding(self) -> Banding:
        """Bands, and signature values in each."""
        if self.preset is not None:
            return PRESETS[self.preset].banding
        if self.threshold is not None:
            return banding_for(self.threshold, self.recall, self.permutations)
        num_bands = self.num_bands or PRESETS[_DEFAULT].banding.num_bands
        return Banding(num_bands, self.permutations // num_bands)

    def shingling(self) -> Shingling:
        """What a text is cut into."""
        if self.shingle_chars is not None:
            return Shingling(self.shingle_chars, "characters", self.shingle_hash)
        if self.shingle_words is not None:
            return Shingling(self.shingle_words, "words", self.shingle_hash)
        preset = PRESETS[self.preset or _DEFAULT]
        return Shingling(preset.shingle_size, preset.shingle_unit, self.shingle_hash)


def make_stage(config: MinHashConfig) -> Stage:
    """Row stage ``text -> signature, bands, text_hash``; null text gives nulls."""
    permutations = make_permutations(config.permutations, config.seed, config.scheme)
    banding, shingling = config.banding(), config.shingling()

    def apply(batch: pa.RecordBatch) -> pa.RecordBatch:
        text = batch.column("text")
        signature, bands = sketch(
            text,
            permutations,
            shingling=shingling,
            num_bands=banding.num_bands,
            rows_per_band=banding.rows_per_band,
        )
        return with_columns(batch, {"signature": signature, "bands": bands, "text_hash": text_hashes(text)})

    return Stage(
        name=NAME,
        version=VERSION,
        config=config,
        input_schema=pa.schema([("text", pa.string())]),
        output_schema=MINHASH_SCHEMA,
        apply=apply,
    )
