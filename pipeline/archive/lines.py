"""Text files, plain or compressed, as lines or as one piece, with every damage reported.

Memory: one line or one file, up to the limit given, and one span of decompressed bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import IO

from pipeline.archive.damage import Damage
from pipeline.archive.members import iter_spans


def iter_lines(
    stream: IO[bytes], max_line_bytes: int, starts_line: Callable[[bytes], bool]
) -> Iterator[bytes | int | Damage]:
    """Cut a file into lines.

    Args:
        stream: a seekable binary stream at its beginning.
        max_line_bytes: longer lines are not held.
        starts_line: whether decompressed bytes begin a line; decides where reading goes on after damage.

    Returns:
        Lines without the newline, the number of bytes of a line that is longer than the limit, and damages; the line
        that a damage cuts is lost with it. What follows the last newline is a line if it is not empty.
    """
    held = bytearray()
    passed_bytes = 0  # of a line that is too long
    for event in iter_spans(stream, starts_line):
        if isinstance(event, Damage):
            held.clear()
            passed_bytes = 0
            yield event
            continue
        *complete, rest = event.data.split(b"\n")
        for part in complete:
            length = passed_bytes + len(held) + len(part)
            yield length if length > max_line_bytes else bytes(held) + part
            held.clear()
            passed_bytes = 0
        held += rest
        if passed_bytes + len(held) > max_line_bytes:
            passed_bytes += len(held)
            held.clear()
    if passed_bytes:
        yield passed_bytes + len(held)
    elif held:
        yield bytes(held)


def read_whole(stream: IO[bytes], max_bytes: int) -> bytes | int | Damage:
    """A file as one piece.

    Returns:
        Its bytes, decompressed; their number if they are more than ``max_bytes``; the first damage if there is any.
    """
    content = bytearray()
    num_bytes = 0
    for event in iter_spans(stream, bool):
        if isinstance(event, Damage):
            return event
        num_bytes += len(event.data)
        if num_bytes <= max_bytes:
            content += event.data
    return bytes(content) if num_bytes <= max_bytes else num_bytes


def head_of(stream: IO[bytes]) -> bytes:
    """The first whole lines of a file, decompressed: what its charset is told by. The stream is at its beginning again.

    One span is looked at, which is about 1 MiB of a plain file and at least a few kilobytes of a compressed one; an
    unfinished last line is left out unless it is the only one.
    """
    span = next((event for event in iter_spans(stream, bool) if not isinstance(event, Damage)), None)
    stream.seek(0)
    if span is None:
        return b""
    whole, newline, _ = span.data.rpartition(b"\n")
    return whole + newline or span.data
