"""Other road users: kernels that move them."""

from wm_sim.geometry import boxes_overlap

__all__ = ["boxes_overlap"]
