"""What tests of several files need."""

import signal

import pytest


@pytest.fixture
def signals_of_a_terminal():
    """Let signals act as in a terminal: nohup and a shell's background jobs start programs that ignore some of them."""
    handlers = {"SIGINT": signal.default_int_handler, "SIGHUP": signal.SIG_DFL}
    numbers = {getattr(signal, name): handler for name, handler in handlers.items() if hasattr(signal, name)}
    before = {number: signal.signal(number, handler) for number, handler in numbers.items()}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)
