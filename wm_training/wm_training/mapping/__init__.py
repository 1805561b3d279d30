"""Bags of somebody else: a small YAML file says where our fields are in them."""

from wm_training.mapping.spec import Mapping, Source, read_mapping

__all__ = ["Mapping", "Source", "read_mapping"]
