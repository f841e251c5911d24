"""Starts the command line.

Owns what a signal does while its modules load, of which nobody may see a traceback. Knows nothing
of commands and imports next to nothing itself: only then can it be stopped in its first moments.
"""

from __future__ import annotations

import sys

if __name__ == "__main__":
    import signal

    # The first process of a container never gets a signal that it does not handle yet, so one that
    # is stopped while it loads would run on until it is killed, half a minute later.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))


def main(argv: list[str] | tuple[str, ...] | None = None) -> int:
    """Run one command and return its exit code."""
    try:
        from agent import commands
    except KeyboardInterrupt:
        return 130
    return commands.run(argv)


if __name__ == "__main__":
    sys.exit(main())
