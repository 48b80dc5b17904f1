"""Says how far work is and how long it will go on."""

import statistics
import time
from collections import deque
from collections.abc import Callable

SAY_SECONDS = 15


class Progress:
    """Counts work in units of one kind and says a line every 15 seconds.

    The time left comes from the median pace of late, so that a pause of the process (Ctrl-Z, a suspended laptop) does
    not count as work.
    """

    def __init__(
        self,
        name: str,
        total: int,
        report: Callable[[str], None],
        *,
        done: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name, self.total, self.done, self.report, self.clock = name, total, done, report, clock
        self.last = self.said = clock()
        self.paces: deque[float] = deque(maxlen=101)

    def advance(self, units: int, note: str = '') -> None:
        """Counts units that were just finished."""
        now = self.clock()
        self.paces.append((now - self.last) / units)
        self.last = now
        self.done += units
        if now - self.said >= SAY_SECONDS:
            self.said = now
            left = (self.total - self.done) * statistics.median(self.paces)
            share = f'{self.done / self.total:.0%}'
            self.report(f'{self.name}: {share}, {note + ", " if note else ""}about {duration(left)} left')


def duration(seconds: float) -> str:
    """`40 s` or `12 min`."""
    return f'{seconds:.0f} s' if seconds < 100 else f'{seconds / 60:.0f} min'
