"""Other simulators behind wm_sim.contract. Each needs a package of its own, asked for when it is made."""
