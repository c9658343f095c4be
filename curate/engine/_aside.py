"""One worker for questions that come one at a time, beside a verb's own work."""

import threading
import weakref
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic

from curate.config import EngineConfig
from curate.contracts import R, Resources, T, Task
from curate.engine._made import alone

if TYPE_CHECKING:
    from curate.engine._hand import Worker


@dataclass
class Aside(Generic[T, R]):
    """Asks a work, under [engine]'s limits, in a worker that stays until `close`; begun with the first question."""

    config: EngineConfig
    work: Task[T, R]
    needs: Resources = field(default_factory=Resources)

    def __post_init__(self) -> None:
        """Nothing starts before it is asked."""
        self._lock = threading.Lock()
        self._worker: Worker | None = None

    def __call__(self, item: T) -> R:
        """The answer; raises what the work raises, ItemError where the item costs too much."""
        from curate.engine.pool import Pool

        engine = alone(self.config)
        if not isinstance(engine, Pool):
            ((_, found),) = engine.map(self.work, [item], self.needs)
        else:
            with self._lock:
                if self._worker is None:
                    self._worker = engine.worker(self.work, self.needs)
                    weakref.finalize(self, self._worker.close)
                ran = self._worker.run(item)
            if ran is None:
                raise KeyboardInterrupt
            (found,) = ran
        if isinstance(found, Exception):
            raise found
        return found

    def close(self) -> None:
        """End the worker, if there is one."""
        with self._lock:
            worker, self._worker = self._worker, None
        if worker is not None:
            worker.close()
