"""Scenes of a few straight paths, built by hand, for tests that know what must happen in them."""

import math
import sys

import numpy as np
import pytest

from wm_sim import scene as at
from wm_sim.observation import EGO_FRONT_X_M
from wm_sim.scenarios.builder import Conditions, EgoStart, SceneBuilder
from wm_sim.scenarios.scenario import Localisation
from wm_sim.sensors.appearance import nominal_appearance
from wm_sim.vehicle import VehicleParameters
from wm_sim.world import World, WorldConfig

WIDTH_M = 3.5
START_S = 20.0


def straight(length=600.0, x=0.0, y=0.0, yaw=0.0, limit=20.0, side=40.0):
    """A straight path [M, PATH_SIZE] from (x, y)."""
    s = np.arange(int(length / at.LINE_STEP_M) + 1) * at.LINE_STEP_M
    path = np.zeros((len(s), at.PATH_SIZE))
    path[:, at.LX], path[:, at.LY] = x + s * math.cos(yaw), y + s * math.sin(yaw)
    path[:, at.LCOS], path[:, at.LSIN], path[:, at.LYAW] = math.cos(yaw), math.sin(yaw), yaw
    path[:, at.LEFT_M] = path[:, at.RIGHT_M] = side
    path[:, at.LANE_WIDTH_M], path[:, at.LIMIT_MPS] = WIDTH_M, limit
    return path


def road_user(kind=at.IDM, s=60.0, v=10.0, d=0.0, path=0, body=at.CAR, desired=None, **columns):
    """An agent [AGENT_SIZE]: a car of 4.5 x 1.8 m unless `columns` say otherwise, by the names of scene.py."""
    agent = np.zeros(at.AGENT_SIZE)
    agent[[at.KIND, at.BODY, at.PATH, at.ACTIVE, at.REACTS_TO_EGO]] = kind, body, path, 1.0, 1.0
    agent[[at.S, at.D, at.V, at.DESIRED]] = s, d, v, v if desired is None else desired
    agent[[at.LENGTH, at.WIDTH, at.HEIGHT]] = 4.5, 1.8, 1.5
    agent[[at.HEADWAY_S, at.STANDSTILL_M, at.ACCEL_MPS2, at.BRAKE_MPS2]] = 1.4, 2.5, 1.8, 2.5
    agent[[at.GAP_ACCEPT_S, at.TRACK]] = 4.0, -1.0
    for name, value in columns.items():
        agent[getattr(at, name)] = value
    return agent


def ego_at(gap, length=4.5):
    """S of an agent whose rear bumper is `gap` ahead of the ego's front bumper at the start."""
    return START_S + EGO_FRONT_X_M + gap + 0.5 * length


def builder(paths=None, speed=0.0, route=400.0, time_limit=300.0, seed=0, lateral=0.0):
    """A SceneBuilder with nominal car and look; path 0 straight along x unless `paths` are given."""
    made = SceneBuilder(Conditions(VehicleParameters(), nominal_appearance(), Localisation(), False))
    for path in paths or [straight()]:
        made.add_path(path)
    made.start_s, made.route_length_m, made.time_limit_s = START_S, route, time_limit
    made.ego = EgoStart(lateral_m=lateral, speed_mps=speed)
    return made


def world_of(made, camera=False, scan=False):
    """A World in which the scene of a SceneBuilder stands."""
    world = World(WorldConfig(camera=camera, scan=scan, noise=False))
    world.reset_to(made.build("by hand", 3))
    return world


def drive(world, seconds, action=(0.0, 0.0)):
    """Agents [T, K, AGENT_SIZE] and egos [T, EGO_STATE_SIZE] after each step under a constant action."""
    agents, egos = [world.cars.copy()], [world.ego.copy()]
    for _ in range(round(seconds / 0.1)):
        world.step(action)
        agents.append(world.cars.copy())
        egos.append(world.ego.copy())
    return np.array(agents), np.array(egos)


@pytest.fixture(scope="session")
def scenes():
    """The functions of this module: scenes of a few straight paths."""
    return sys.modules[__name__]
