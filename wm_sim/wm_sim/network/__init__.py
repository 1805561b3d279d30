"""Road networks: lanes, routes through them, and the paths and ribbons that the kernels read."""
