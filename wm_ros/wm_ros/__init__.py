"""What more than one node needs: topic table, node base, conversions between messages and arrays."""

from wm_ros.errors import WmRosError

__all__ = ["WmRosError"]
