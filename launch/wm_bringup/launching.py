"""What the launch files share: arguments declared from a table, and processes as launch_ros nodes.

Imported by launch files only, which run where launch_ros is installed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from launch.actions import DeclareLaunchArgument, OpaqueFunction, Shutdown
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import LifecycleNode

from launch import LaunchDescription
from wm_bringup.drive import QUIET_ENV
from wm_bringup.processes import describe_end
from wm_bringup.security import enclave_arguments
from wm_bringup.supervision import NEVER, RespawnPolicy
from wm_bringup.topology import Process

Arguments = Sequence[tuple[str, str, str, Sequence[str] | None]]  # name, default, text, choices


def description(arguments: Arguments, nodes: Callable[[Any], list[Any]]) -> Any:
    """The LaunchDescription: the arguments, then what `nodes` makes of them."""
    declared = [
        DeclareLaunchArgument(
            name, default_value=default, description=text, **({"choices": choices} if choices else {})
        )
        for name, default, text, choices in arguments
    ]
    return LaunchDescription([*declared, OpaqueFunction(function=nodes)])


def given_values(arguments: Arguments, context: Any) -> dict[str, str]:
    """What the user gave, by name, or the defaults."""
    return {name: LaunchConfiguration(name).perform(context) for name, *_ in arguments}


class OnDeath:
    """What launch does about a process that ended: leave it to `respawn`, or end the launch by the policy.

    A stack with a part missing must not go on driving; a replay without one compares nothing.
    """

    def __init__(self, name: str, policy: RespawnPolicy) -> None:
        self._name, self._policy = name, policy
        self._deaths_s: list[float] = []

    def __call__(self, event: Any, context: Any) -> Any:
        self._deaths_s.append(time.monotonic())
        if self._policy.delay_after(self._deaths_s, event.returncode) is not None:
            return None
        often = f" {len(self._deaths_s)} times" if len(self._deaths_s) > 1 else ""
        return Shutdown(reason=f"{self._name} ended{often} ({describe_end(event.returncode)})")


def lifecycle_nodes(
    processes: Iterable[Process],
    parameter_files: list[str],
    log_level: str,
    namespace: str = "",
    respawn: bool = False,
) -> list[Any]:
    """One LifecycleNode a process; each is brought up by supervisor_node, or configures and activates itself.

    respawn: start who dies again. launch_ros waits the same time before each start, so that the delay does not grow.
    """
    policy = RespawnPolicy()
    return [
        LifecycleNode(
            package=process.package,
            executable=process.executable,
            name=process.name,
            namespace=namespace,
            parameters=[*parameter_files, process.parameters],
            arguments=["--ros-args", "--log-level", log_level, *enclave_arguments(process.name)],
            additional_env=QUIET_ENV,
            output="screen",
            respawn=respawn and process.respawn,
            respawn_delay=policy.delay_s,
            on_exit=OnDeath(process.name, policy if respawn and process.respawn else NEVER),
        )
        for process in processes
    ]
