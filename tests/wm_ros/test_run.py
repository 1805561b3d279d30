"""The process around a node keeps nothing of a message that it has handled."""

from rclpy.task import Future

from wm_ros.run import Stopped


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
