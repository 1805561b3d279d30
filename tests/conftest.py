"""What every test gets: a ROS domain of its own, so that a drive or another run beside the tests is left alone."""

import os

from wm_bringup.domain import is_free, lock_domain
from wm_bringup.middleware import CHOICES, middleware_defaults

FIRST, LAST = 20, 59  # tests/system counts down from 101 to 60

for name in CHOICES:
    os.environ.pop(name, None)
os.environ.update(middleware_defaults(os.environ))
if "WM_TEST_DOMAIN_ID" in os.environ:
    os.environ["ROS_DOMAIN_ID"] = os.environ["WM_TEST_DOMAIN_ID"]
else:
    free = next(number for number in range(FIRST, LAST + 1) if is_free(number))
    os.environ["ROS_DOMAIN_ID"] = str(free)
    held_to_the_end = lock_domain(free)
