"""Whether there is a network: no host is to blame for what fails on a machine without one.

A failure that looks the same without a network (nobody knows the name, nobody answers) counts once
anybody else has answered since it began. Until then it is kept back; when many are, or the crawl is
at its end, hosts that have answered before are asked. When none of them does, the crawl stops, and
what was kept back stays pending.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter

from pipeline.crawl.share import ShareResult

SILENT = frozenset({"timeout", "dns", "unreachable"})
"""Failures that look the same when there is no network."""
_DERIVED = frozenset({"robots_unreachable", "host_down"})  # from those
_MOST_SILENT_HOSTS = 10
_MOST_HELD = 10_000  # results, of few hosts


class Network:
    """When anybody answered last, and the failures since then."""

    def __init__(self) -> None:
        self._heard_s = float("-inf")
        self._held: list[ShareResult] = []
        self._sure: list[ShareResult] = []
        self._hosts: set[str] = set()
        self._held_s = 0.0
        self.in_doubt = asyncio.Event()
        """So much fails that somebody should be asked."""
        self.is_lost = False
        """Nobody answers who did before, or nobody ever did."""

    def answered(self) -> None:
        """Somebody did."""
        self._heard_s = time.monotonic()

    def heard_since(self, began_s: float) -> bool:
        """Whether anybody answered since a time of `time.monotonic`."""
        return self._heard_s >= began_s

    def may_be_to_blame(self, state: str, began_s: float) -> bool:
        """Whether a request that began at a time of `time.monotonic` failed for want of it."""
        return state in SILENT | _DERIVED and not self.heard_since(began_s)

    def hold(self, host: str, result: ShareResult) -> None:
        """Keep a failure back."""
        self._confirm()
        self._held.append(result)
        self._hosts.add(host)
        self._held_s = time.monotonic()
        if len(self._hosts) >= _MOST_SILENT_HOSTS or len(self._held) >= _MOST_HELD:
            self.in_doubt.set()

    def has_held(self) -> bool:
        """Whether a failure is kept back."""
        self._confirm()
        return bool(self._held)

    def confirmed(self) -> list[ShareResult]:
        """The failures since which somebody has answered, and none of them a second time."""
        self._confirm()
        sure, self._sure = self._sure, []
        return sure

    def _confirm(self) -> None:
        if self.heard_since(self._held_s):
            self._sure += self._held
            self._held = []
            self._hosts.clear()
            self.in_doubt.clear()

    def summary(self) -> str:
        """What is kept back: "300 links of 12 hosts: dns 290, timeout 10"."""
        counts = Counter(result.state for result in self._held).most_common()
        states = ", ".join(f"{state} {count}" for state, count in counts)
        return f"{len(self._held)} links of {len(self._hosts)} hosts: {states}"
