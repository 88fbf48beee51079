"""One connection a host, and a pause between two requests, whoever asks."""

from __future__ import annotations

import asyncio
import datetime as dt
import email.utils
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class HostGate:
    """Lets one request at a time through to a host, and none before its time."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.waiting = 0
        self.delay_s = 0.0
        self.not_before_s = 0.0


class HostGates:
    """The gates of all hosts in use; idle ones are forgotten once their pause is over."""

    def __init__(self, delay_s: float, max_wait_s: float, *, most_idle: int = 10_000) -> None:
        """`max_wait_s` caps the pause that a server can ask for."""
        self._delay_s = delay_s
        self._max_wait_s = max_wait_s
        self._most_idle = most_idle
        self._gates: OrderedDict[str, HostGate] = OrderedDict()

    @asynccontextmanager
    async def enter(self, host: str) -> AsyncIterator[None]:
        """Hold the one connection to `host`; the pause to the next begins when it is left."""
        gate = self._gate(host)
        gate.waiting += 1
        try:
            async with gate.lock:
                pause_s = gate.not_before_s - _now_s()
                if pause_s > 0:
                    await asyncio.sleep(pause_s)
                try:
                    yield
                finally:
                    delay_s = max(self._delay_s, gate.delay_s)
                    gate.not_before_s = max(gate.not_before_s, _now_s() + delay_s)
        finally:
            gate.waiting -= 1

    def set_delay(self, host: str, delay_s: float) -> None:
        """Keep to a Crawl-delay, up to the cap."""
        self._gate(host).delay_s = min(delay_s, self._max_wait_s)

    def hold(self, host: str, wait_s: float) -> None:
        """Keep to a Retry-After, up to the cap."""
        gate = self._gate(host)
        gate.not_before_s = max(gate.not_before_s, _now_s() + min(wait_s, self._max_wait_s))

    def _gate(self, host: str) -> HostGate:
        gate = self._gates.get(host)
        if gate is None:
            self._forget_idle()
            gate = self._gates[host] = HostGate()
        self._gates.move_to_end(host)
        return gate

    def _forget_idle(self) -> None:
        if len(self._gates) < self._most_idle:
            return
        now_s = _now_s()
        idle = [
            host for host, gate in self._gates.items()
            if not gate.waiting and gate.not_before_s <= now_s
        ]  # fmt: skip
        for host in idle[: max(1, self._most_idle // 10)]:
            del self._gates[host]


def retry_after_s(value: str, now: dt.datetime) -> float | None:
    """Seconds to wait by a Retry-After header, in either of its forms; None if it says nothing.

    >>> now = dt.datetime(2017, 12, 1, 8, 0, 0, tzinfo=dt.UTC)
    >>> retry_after_s("120", now), retry_after_s("Fri, 01 Dec 2017 08:00:30 GMT", now)
    (120.0, 30.0)
    """
    value = value.strip()
    if not value:
        return None
    if value.isascii() and value.isdigit():
        return float(min(int(value[:9]), 10**9))
    try:
        when = email.utils.parsedate_to_datetime(value)
        if when.tzinfo is None:
            when = when.replace(tzinfo=dt.UTC)
        return max(0.0, (when - now).total_seconds())
    except (ValueError, OverflowError):  # no date, or one that no calendar of ours has
        return None


def _now_s() -> float:
    return asyncio.get_running_loop().time()
