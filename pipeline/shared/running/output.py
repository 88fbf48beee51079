"""What a command prints, when nobody reads on."""

from __future__ import annotations

import signal


def end_quietly_with_reader() -> None:
    """End as other commands do when `| head` has read enough: at once, without a traceback.

    For a command that only prints: whoever writes files must get to its cleaning up.
    """
    if hasattr(signal, "SIGPIPE"):  # Windows has none
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
