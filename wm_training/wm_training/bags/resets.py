"""Time that runs backwards within a recording, as after a reset: found, and its stretches laid out in a row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

JUMP_NS = 1_000_000_000  # less is taken for messages that overtook each other
APART_NS = 60_000_000_000  # between two stretches once they are laid out
LEAST = 10  # messages of the leading topic that make a stretch; fewer came late


@dataclass(frozen=True)
class Timeline:
    """What to add to the stamps of each topic, so that time goes forward, and how far it ran back."""

    shifts: Mapping[str, np.ndarray]  # int64[N], ns, by topic
    jumps: tuple[int, ...]  # ns, each time that time ran back

    def note(self, bag: object) -> str:
        """One sentence for people; empty where time goes forward."""
        said = told(self.jumps)
        return said and f"{bag}: {said}; what is before and after are separate episodes."


def header_stamps(messages: Sequence[bytes]) -> np.ndarray:
    """Stamps of messages that begin with a header, without decoding them. int64[N], ns"""
    heads = np.frombuffer(b"".join(m[4:12].ljust(8, b"\0") for m in messages), "<u4").reshape(-1, 2).astype(np.int64)
    return heads[:, 0] * 1_000_000_000 + heads[:, 1]


def told(jumps: Sequence[int]) -> str:
    """How often and how far time runs back; empty where it does not."""
    if not jumps:
        return ""
    times = "once, by" if len(jumps) == 1 else f"{len(jumps)} times, by up to"
    return f"time runs back {times} {max(jumps) * 1e-9:.1f} s"


def stretches(stamps: np.ndarray, least: int = 1) -> np.ndarray:
    """Number of the stretch that each message belongs to, by stamps in the order of recording. int64[N] both, ns

    A new stretch begins where time jumps back and goes on from there. Messages that come late, which time then jumps
    forward over again, begin none, and neither do fewer than `least`.
    """
    number = np.zeros(len(stamps), np.int64)
    start = at = 0
    highest, behind = _behind(stamps)
    while (k := int(np.searchsorted(behind, at - start))) < len(behind):
        first = start + int(behind[k])
        back = start + int(np.searchsorted(highest, highest[first - start], side="right"))  # beyond where it was
        goes_on = back == len(stamps) or stamps[back] - stamps[back - 1] <= JUMP_NS
        if goes_on and back - first >= least:
            number[first:] += 1
            start, at = first, first + 1
            highest, behind = _behind(stamps[start:])
        else:
            at = back
    return number


def _behind(stamps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The latest stamp so far, and the indices of those that lie a jump behind it."""
    highest = np.maximum.accumulate(stamps)
    return highest, np.flatnonzero(stamps < highest - JUMP_NS)


def timeline(stamps: Mapping[str, np.ndarray], order: Mapping[str, np.ndarray], lead: str) -> Timeline:
    """Where time runs back by the stamps of the topic `lead`, and which stretch each message of all topics is of.

    stamps: ns, by topic, in the order of recording. order: number of each message in the recording. int64[N] both.
    """
    leading = stamps[lead]
    number = stretches(leading, LEAST)
    firsts = np.flatnonzero(np.diff(number)) + 1  # first leading message of each stretch but the first
    if not len(firsts):
        return Timeline({topic: np.zeros(len(s), np.int64) for topic, s in stamps.items()}, ())
    offsets, jumps = [0], []
    begins = [0, *firsts.tolist(), len(leading)]
    for k in range(1, len(begins) - 1):
        before, now = leading[begins[k - 1] : begins[k]], leading[begins[k] : begins[k + 1]]
        jumps.append(int(before.max() - now[0]))
        offsets.append(offsets[-1] + int(before.max() - now.min()) + APART_NS)
    shifts = {}
    for topic, own in stamps.items():
        of = number if topic == lead else _of(own, order[topic], leading, order[lead], firsts)
        shifts[topic] = np.array(offsets, np.int64)[of]
    return Timeline(shifts, tuple(jumps))


def _of(own: np.ndarray, order: np.ndarray, leading: np.ndarray, lead: np.ndarray, firsts: np.ndarray) -> np.ndarray:
    """The stretch of each message: by the topic's own jumps where it has as many, else by what leads around it."""
    number = stretches(own)
    if len(own) and number[-1] == len(firsts):
        return number
    number = np.searchsorted(lead[firsts], order)
    for k, first in enumerate(firsts.tolist(), 1):  # published with the reset, before the first leading message
        between = (order > lead[first - 1]) & (order < lead[first])
        is_new = np.abs(own - leading[first]) < np.abs(own - leading[first - 1])
        number[between & is_new] = k
    return number
