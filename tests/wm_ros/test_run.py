"""The process around a node keeps nothing of a message that it has handled, and takes what waits before it ends."""

import time

from rclpy.task import Future

from wm_ros.run import Stopped, _drain


def test_a_stop_wakes_the_executor_once_however_often_it_asked_for_it():
    woken: list[Future] = []
    stopped = Stopped()
    for _ in range(1000):
        stopped.add_done_callback(woken.append)
    assert not stopped.done()
    stopped.set_result(None)
    assert woken == [stopped]


def test_who_asks_after_the_stop_is_told_at_once():
    woken: list[Future] = []
    stopped = Stopped()
    stopped.set_result(None)
    stopped.add_done_callback(woken.append)
    assert woken == [stopped]


class Waiting:
    """An executor with so many things to do; a turn with nothing to do takes all of its time."""

    def __init__(self, things: int) -> None:
        self.things = things

    def spin_once(self, timeout_sec: float) -> None:
        if self.things:
            self.things -= 1
        else:
            time.sleep(timeout_sec)


def test_a_node_that_is_to_end_takes_all_that_waits_however_much_of_it_is_time_and_timers():
    executor = Waiting(50)
    _drain(executor)
    assert executor.things == 0
