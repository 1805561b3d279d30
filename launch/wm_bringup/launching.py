"""What the launch files share: arguments declared from a table, and processes as launch_ros nodes.

Imported by launch files only, which run where launch_ros is installed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from launch.actions import DeclareLaunchArgument, OpaqueFunction, Shutdown
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import LifecycleNode

from launch import LaunchDescription
from wm_bringup.drive import QUIET_ENV
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


def lifecycle_nodes(
    processes: Iterable[Process], parameter_files: list[str], log_level: str, namespace: str = ""
) -> list[Any]:
    """One LifecycleNode a process; each configures and activates itself (`autostart`)."""
    return [
        LifecycleNode(
            package=process.package,
            executable=process.executable,
            name=process.name,
            namespace=namespace,
            parameters=[*parameter_files, process.parameters],
            arguments=["--ros-args", "--log-level", log_level],
            additional_env=QUIET_ENV,
            output="screen",
            # A stack with a part missing must not go on driving; a replay without one compares nothing.
            on_exit=Shutdown(reason=f"{process.name} ended"),
        )
        for process in processes
    ]
