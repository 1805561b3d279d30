"""What every test gets: a ROS domain of its own, so that a drive beside the tests is left alone."""

import os

os.environ["ROS_DOMAIN_ID"] = os.environ.get("WM_TEST_DOMAIN_ID", str(20 + os.getpid() % 80))
os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
os.environ.setdefault("RMW_IMPLEMENTATION", "rmw_fastrtps_cpp")
