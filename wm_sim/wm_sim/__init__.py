"""The simulated world: roads, vehicle, traffic, sensors, scenarios, drivers and the Gymnasium environment.

Importing this package registers the Gymnasium ids and is cheap: kernels are compiled only when a world is made.
"""

from wm_sim.errors import SimError

__all__ = ["SimError"]

try:
    from gymnasium.envs.registration import register
except ImportError:  # the ROS nodes need only the observation layout
    pass
else:
    register(
        id="wm_sim/Driving-v0",
        entry_point="wm_sim.env:DrivingEnv",
        vector_entry_point="wm_sim.vector_env:DrivingVectorEnv",
    )
