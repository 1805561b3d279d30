"""What every test gets: a ROS domain of its own, so that a drive or another run beside the tests is left alone."""

import os
import signal
from typing import IO

from wm_bringup.domain import lock_domain
from wm_bringup.errors import BringupError
from wm_bringup.middleware import CHOICES, middleware_defaults

FIRST, LAST = 20, 33  # above 59 lie those of the stacks that tests/system starts, three to each of these

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job, and all it starts, ignore it

for name in CHOICES:
    os.environ.pop(name, None)
os.environ.update(middleware_defaults(os.environ))


def hold_a_free_one() -> tuple[int, IO[str]]:
    for number in range(FIRST, LAST + 1):
        try:
            return number, lock_domain(number)
        except BringupError:
            continue
    raise BringupError(f"every ROS domain from {FIRST} to {LAST} is held by other tests. Wait until they have ended.")


if "WM_TEST_DOMAIN_ID" in os.environ:
    os.environ["ROS_DOMAIN_ID"] = os.environ["WM_TEST_DOMAIN_ID"]
else:
    number, held_to_the_end = hold_a_free_one()
    os.environ["ROS_DOMAIN_ID"] = str(number)
