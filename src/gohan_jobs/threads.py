"""Makes every thread of this library, and names them alike.

Only the pool that runs handlers makes its own. Who starts and ends them: :mod:`gohan_jobs.runtime`
those of a lifecycle; each watch on etcd, each server of probes or of a simulated Heat, and each
``BackgroundHook`` its own one.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

__all__ = ["THREAD_NAME", "new_thread"]

THREAD_NAME = "gohan-jobs-"
"""Begins the names of all threads."""


def new_thread(name: str, run: Callable[[], None]) -> threading.Thread:
    """A thread that is yet to be started, and never keeps a process alive.

    Args:
        name: what comes after :data:`THREAD_NAME`.
        run: what it does.
    """
    return threading.Thread(target=run, name=f"{THREAD_NAME}{name}", daemon=True)
