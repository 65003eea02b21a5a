"""The signals that ask a training to end."""

import signal
import threading
from contextlib import contextmanager

SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")  # Ctrl-C; kill, or a batch system's time limit; a closed terminal


@contextmanager
def handled(handler):
    """Have ``handler(number, frame)`` called for each of SIGNALS within the block."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread can handle signals
        return
    numbers = [getattr(signal, name) for name in SIGNALS if hasattr(signal, name)]
    before = {number: signal.getsignal(number) for number in numbers}
    # Ignored signals stay ignored, as SIGHUP under nohup; None is a handler not set by Python: none can restore it.
    heard = [number for number in numbers if before[number] not in (signal.SIG_IGN, None)]
    for number in heard:
        signal.signal(number, handler)
    try:
        yield
    finally:
        for number in heard:
            signal.signal(number, before[number])
