"""The process around a node: start, spin, clean end on a signal, one sentence when something is wrong."""

from __future__ import annotations

import faulthandler
import gc
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.signals import SignalHandlerOptions
from rclpy.task import Future

from wm_ros.exit_codes import EXIT_CONFIG, EXIT_FAILED
from wm_ros.node import StackNode
from wm_ros.scheduling import prefer_realtime

DRAIN_S, QUIET_S = 3.0, 0.05
LEAVE_S = 8.0  # to leave the middleware; takes far below a second unless something in there hangs


@contextmanager
def _signals(stop: Callable[[], None]) -> Iterator[None]:
    """Call `stop` from a thread on SIGINT or SIGTERM.

    A Python handler alone would wait until the executor returns from its wait; the wakeup descriptor is written at
    once, by whatever thread the signal reaches. Further signals change nothing: the clean-up already runs.
    """
    reader, writer = socket.socketpair()
    writer.setblocking(False)
    previous = {number: signal.signal(number, lambda *_: None) for number in (signal.SIGINT, signal.SIGTERM)}
    previous_fd = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)

    def watch() -> None:
        numbers = reader.recv(1)
        if numbers:
            stop()

    thread = threading.Thread(target=watch, name="signals", daemon=True)
    thread.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(previous_fd)
        for number, handler in previous.items():
            signal.signal(number, handler)
        writer.close()
        thread.join()
        reader.close()


class Stopped(Future):
    """Done when the process is to end.

    rclpy's executor adds a callback that wakes it at every spin, which is every message, and keeps them all: the gate
    grew by 120 MiB an hour. One is enough.
    """

    _watched = False

    def add_done_callback(self, callback: Callable[[Future], None]) -> None:
        if not self._watched:
            self._watched = True
            super().add_done_callback(callback)


def _drain(executor: SingleThreadedExecutor) -> None:
    """Let a node take what had arrived when it was asked to end; at most DRAIN_S where more and more arrives.

    Only a turn in which nothing at all happened counts as quiet: of what waits, time and timers may come first.
    """
    until_s, quiet = time.monotonic() + DRAIN_S, 0
    while quiet < 3 and time.monotonic() < until_s:
        began_s = time.monotonic()
        executor.spin_once(timeout_sec=QUIET_S)
        quiet = quiet + 1 if time.monotonic() - began_s >= QUIET_S else 0


def is_ours(error: BaseException) -> bool:
    """Whether an error is one of the stack's own: a sentence for the user rather than a bug."""
    return isinstance(error, RuntimeError) and type(error).__module__.partition(".")[0].startswith("wm_")


def run(node_class: Callable[[], StackNode], args: list[str] | None = None) -> None:
    """Run a node until it finishes or SIGINT or SIGTERM arrives. Ends the process where the exit code is not 0.

    Without `args` the process is the node's own: what is wrong before it works ends it with EXIT_CONFIG, so that
    whoever started it does not try again.
    """
    rclpy.init(args=args, signal_handler_options=SignalHandlerOptions.NO)
    stopped = Stopped()

    def stop() -> None:
        if not stopped.done():
            stopped.set_result(None)

    code, refused = 0, EXIT_CONFIG if args is None else EXIT_FAILED
    node: StackNode | None = None
    with _signals(stop):
        executor = SingleThreadedExecutor()
        try:
            node = node_class()
            node.on_finish, node.schedule = stop, prefer_realtime
            executor.add_node(node)
            node.start()
            refused = EXIT_FAILED
            gc.collect()
            gc.freeze()  # modules and all that was made at start stay: to go through them again takes up to 0.1 s
            executor.spin_until_future_complete(stopped)
            if node.drains:
                _drain(executor)
            code = node.exit_code
        except Exception as error:
            if not is_ours(error):
                raise
            print(error, file=sys.stderr, flush=True)
            code = refused
        finally:
            if node is not None:
                node.stop()
            # What hangs in C hears no signal, and whoever waits for this process would wait for ever: after LEAVE_S it
            # shows its stacks and ends with exit code 1. The node's own work is done and closed by then.
            faulthandler.dump_traceback_later(LEAVE_S, exit=True)
            executor.shutdown()  # before the node: it may still hold handles of it
            if node is not None:
                node.destroy_node()
            rclpy.try_shutdown()
            faulthandler.cancel_dump_traceback_later()
    if code:
        sys.exit(code)
