"""Who moves the server's time: this client alone, or another one that it follows. And what settings that takes."""

from __future__ import annotations

from typing import Any

from wm_sim.bridges.carla.settings import CarlaSettings
from wm_sim.errors import SimError
from wm_sim.observation import PHYSICS_STEP_S

LISTEN_S = 1.0  # how long to listen whether somebody else ticks
CATCH_UP = 50  # passive: frames to let pass until one is new


def somebody_ticks(world: Any) -> bool:
    """Whether frames come in although this client asks for none."""
    before = world.get_snapshot().frame
    try:
        for _ in range(2):  # the first may have been on its way
            world.wait_for_tick(LISTEN_S)
    except RuntimeError:
        return False
    return bool(world.get_snapshot().frame > before)


def refuse_another_ticker(world: Any, address: str) -> None:
    """SimError where a synchronous server is being ticked by another client."""
    if world.get_settings().synchronous_mode and somebody_ticks(world):
        advice = "stop it, or follow it with sim_settings passive=true"
        raise SimError(f"carla: another client is already ticking the server at {address}; {advice}.")


def take_over(world: Any) -> None:
    """Synchronous mode with our physics step; start from what the server has, everything else stays."""
    settings = world.get_settings()
    settings.synchronous_mode = True
    settings.fixed_delta_seconds = PHYSICS_STEP_S
    settings.no_rendering_mode = False
    if settings.substepping:
        settings.max_substep_delta_time = min(settings.max_substep_delta_time, 0.01)
        settings.max_substeps = max(settings.max_substeps, 5)
    world.apply_settings(settings)


def check_passive(world: Any, settings: CarlaSettings) -> None:
    """SimError unless somebody ticks at our physics step."""
    if not somebody_ticks(world):
        raise SimError(f"carla: passive, but nobody ticks the server at {settings.address}; start that client first.")
    step = world.get_snapshot().timestamp.delta_seconds
    if abs(step - PHYSICS_STEP_S) > 1e-4:
        advice = f"set fixed_delta_seconds to {PHYSICS_STEP_S} there"
        raise SimError(f"carla: passive, and the other client ticks by {step:.3f} s; {advice}.")


def restored(found: Any) -> Any:
    """The settings to leave behind: those that were found, but never a server that waits for ticks nobody gives."""
    found.synchronous_mode = False
    return found
