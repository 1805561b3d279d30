"""What a supervisor decides, without processes or ROS: whom to start again and when, and which node goes next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from wm_ros.exit_codes import EXIT_CONFIG

UNCONFIGURED, INACTIVE, ACTIVE = "unconfigured", "inactive", "active"


@dataclass(frozen=True)
class RespawnPolicy:
    """How often a node that died is started again, and how long that waits."""

    tries: int = 3  # within window_s; one death more and the run ends
    window_s: float = 60.0
    delay_s: float = 0.5  # before the first new start; doubled for each further one in the window

    def delay_after(self, deaths_s: Sequence[float], code: int) -> float | None:
        """Seconds to wait before the next start; None: give up.

        deaths_s: when the process ended, this time last, steady clock. code: how it ended; a process that says by
        EXIT_CONFIG that its settings are wrong would say so again.
        """
        recent = [moment for moment in deaths_s if moment > deaths_s[-1] - self.window_s]
        if code == EXIT_CONFIG or len(recent) > self.tries:
            return None
        return self.delay_s * 2 ** (len(recent) - 1)


NEVER = RespawnPolicy(tries=0)


def due_transitions(order: Sequence[str], states: Mapping[str, str]) -> dict[str, str]:
    """Lifecycle transitions to ask for now, by node.

    Every node may configure at once: loading takes long and nobody hears of it. A node activates once everybody before
    it in `order` is active. states: lifecycle labels; a node that is not heard stands in none of these states.
    """
    due = {name: "configure" for name in order if states.get(name) == UNCONFIGURED}
    first_behind = next((name for name in order if states.get(name) != ACTIVE), None)
    if first_behind is not None and states.get(first_behind) == INACTIVE:
        due[first_behind] = "activate"
    return due
