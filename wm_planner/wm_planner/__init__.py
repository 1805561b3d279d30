"""Planning inside the learned world model, and the safety gate that has the last word.

Light on purpose: `wm_planner.safety` needs numpy only, so that the gate's process never loads an inference engine.
"""

from wm_planner.errors import PlannerError

__all__ = ["PlannerError"]
