"""The first Ctrl-C asks for a stop, the second one is as before, and so is all afterwards."""

import signal
import threading

import pytest

from regard.train.interrupt import stop_request

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@pytest.fixture
def heard():
    """The signals that reach what was there before."""
    found = []
    before = {
        number: signal.signal(number, lambda number, _frame: found.append(number))
        for number in SIGNALS
    }
    yield found
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", SIGNALS)
def test_the_first_signal_asks_and_the_second_is_as_before(heard, number):
    with stop_request() as stop:
        assert not stop.requested
        signal.raise_signal(number)
        assert stop.requested
        assert not heard
        signal.raise_signal(number)
        assert heard == [number]


def test_signals_are_as_before_after_an_exception(heard):
    with pytest.raises(ZeroDivisionError), stop_request() as stop:
        raise ZeroDivisionError
    for number in SIGNALS:
        signal.raise_signal(number)
    assert heard == list(SIGNALS)
    assert not stop.requested


def test_outside_the_main_thread_signals_are_left_alone(heard):
    def ask():
        with stop_request():
            found.append([signal.getsignal(number) for number in SIGNALS])

    found, before = [], [signal.getsignal(number) for number in SIGNALS]
    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
    assert found == [before]
