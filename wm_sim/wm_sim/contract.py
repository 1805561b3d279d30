"""What every simulator is to the stack: one contract, one declaration of what it can do, one registry.

sim_node, `wm collect` and `wm eval` know simulators by this page alone. The simulator of this package is `builtin`;
a package of somebody else adds one by an entry point, and `sim:=NAME` then finds it:

    [options.entry_points]
    wm_sim.simulators =
        NAME = their_package.their_module:SIMULATOR

where SIMULATOR is a `SimulatorSpec`. Importing that module must need nothing but this package: what the simulator
itself needs (a client library, a server) is asked for by `make`, with one sentence of SimError where it is absent.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wm_sim.action import ACCEL_MAX_MPS2, BRAKE_MAX_MPS2, STEER_MAX_RAD
from wm_sim.errors import SimError
from wm_sim.frame import Frame
from wm_sim.observation import CAMERA_HFOV_RAD, STATE_NAMES

if TYPE_CHECKING:
    from wm_sim.drivers.protocol import Driver

GROUP = "wm_sim.simulators"  # entry points
BUILTIN = "builtin"
# Ours, so that they are found in a source tree that was not installed too.
OWN = {
    BUILTIN: "wm_sim.builtin:SIMULATOR",
    "carla": "wm_sim.bridges.carla:SIMULATOR",
    "carracing": "wm_sim.bridges.carracing:SIMULATOR",
    "highway": "wm_sim.bridges.highway:SIMULATOR",
}

LABELS = (
    "lateral_error", "heading_error", "curvature", "gap_ahead", "closing_speed", "lane_width", "red_light_gap",
    "crossing_time",
)  # fmt: skip
# All that a simulator may lack. What it lacks holds a neutral value in its frames, and training leaves it out.
PARTS = (*STATE_NAMES, "scan", *LABELS, "reward", "collided", "off_road")


@dataclass(frozen=True)
class SimulatorConfig:
    """What to ask of any simulator."""

    noise: bool = True  # domain randomisation and the receiver's error, as far as the simulator has them
    route_length_m: float | None = None  # None: the scenario's own
    settings: Mapping[str, str] = field(default_factory=dict)  # its own, by name; see parse_settings


@dataclass(frozen=True)
class Actuators:
    """What an action of ±1 does in this simulator."""

    steer_max_rad: float = STEER_MAX_RAD  # at the tyre; targets beyond it are clipped
    accel_max_mps2: float = ACCEL_MAX_MPS2
    brake_max_mps2: float = BRAKE_MAX_MPS2
    note: str = ""  # where targets are not met as they stand


@dataclass(frozen=True)
class Declaration:
    """What a simulator gives, for people and for training. Plain data: known without starting it."""

    name: str
    about: str  # one line
    scenarios: tuple[str, ...]  # what `reset` takes; one that ends in ":" is a prefix
    camera: str  # what the picture shows
    usual: str = ""  # scenario of a drive that names none; "": the first
    camera_hfov_rad: float | None = CAMERA_HFOV_RAD  # None: no pinhole camera, so camera_info says "uncalibrated"
    scan: str = "72 beams, 60 m"
    actuators: Actuators = Actuators()
    missing: frozenset[str] = frozenset()  # of PARTS
    own_score: str = ""  # what `Frame.own_reward` counts, where the simulator has a task of its own
    settings: Mapping[str, str] = field(default_factory=dict)  # its own settings, each with one line of what it does
    limits: Mapping[str, float] = field(default_factory=dict)  # of the safety gate, where its car is not ours

    def __post_init__(self) -> None:
        unknown = sorted(self.missing - set(PARTS))
        if unknown:
            raise SimError(f"simulator {self.name}: declares {', '.join(unknown)} as missing, which is no such part.")

    def told(self) -> str:
        """What the topic `simulator` and the bags say of it: JSON with its name and what it lacks, sorted."""
        return json.dumps({"name": self.name, "missing": sorted(self.missing)})

    @property
    def usual_scenario(self) -> str:
        """What a drive that names no scenario drives."""
        return self.usual or self.scenarios[0]

    def check_scenario(self, scenario: str) -> None:
        """SimError that lists the scenarios unless this is one."""
        prefixes = tuple(name for name in self.scenarios if name.endswith(":"))
        if scenario not in self.scenarios and not (prefixes and scenario.startswith(prefixes)):
            raise SimError(f"simulator {self.name}: no scenario {scenario!r}. Known are {', '.join(self.scenarios)}.")

    def check_settings(self, settings: Mapping[str, str]) -> None:
        """SimError that lists the settings unless these are some."""
        for name in settings:
            if name not in self.settings:
                known = f"known are {', '.join(self.settings)}" if self.settings else "it has none"
                raise SimError(f"simulator {self.name}: no setting {name!r}; {known}.")


class Simulator(Protocol):
    """One episode at a time, stepped by hand, on physics steps of 0.05 s and model steps of 0.1 s.

    Subclass it: `step` and `prepare` then come with it. The same scenario, seed and actions give the same frames, as
    far as the simulator can. Errors that a user can mend are SimError, in one sentence; after one, `close` still works.
    """

    @property
    def route(self) -> NDArray[np.float64]:
        """The running episode's route [W, 2], m in map, a few metres from point to point."""
        ...

    def reset(self, scenario: str, seed: int) -> Frame:
        """Begin an episode; its first frame has truth.step 0 and the event `reset`."""
        ...

    def command(self, action: ArrayLike) -> None:
        """Execute an action [2] in [-1, 1] (see wm_sim.action) from the next tick on."""
        ...

    def tick(self) -> None:
        """One physics step of 0.05 s. A simulator that moves 0.1 s at once does so on every second tick."""
        ...

    def sense(self) -> Frame:
        """Look at the world as it is, every second tick: sensors, labels, and the events since the last look."""
        ...

    def step(self, action: ArrayLike) -> Frame:
        """A model step of 0.1 s. The action takes effect after half of it, as a command of the stack does."""
        self.tick()
        self.command(action)
        self.tick()
        return self.sense()

    def prepare(self) -> None:
        """Do now what would hold up the first steps of a drive."""
        return None

    def close(self) -> None:
        """Let go of everything, whatever happened before; a second call does nothing."""
        ...


@dataclass(frozen=True)
class SimulatorSpec:
    """A simulator that can be made: what an entry point names."""

    declaration: Declaration
    make: Callable[[SimulatorConfig], Simulator]
    # Reference drivers by name, each from a seed; `expert` is the one that `wm collect` drives and asks by default.
    drivers: Mapping[str, Callable[[int], Driver]] = field(default_factory=dict)
    teachers: tuple[str, ...] = ()  # of these, who sees the simulator's truth


def known_simulators() -> dict[str, str]:
    """Where each simulator is, `module:attribute` by name: ours, then those that installed packages add."""
    found = {point.name: point.value for point in _entry_points()}
    return {**OWN, **{name: found[name] for name in sorted(found) if name not in OWN}}


def find_simulator(name: str) -> SimulatorSpec:
    """The simulator of that name; SimError that lists those known."""
    known = known_simulators()
    if name not in known:
        raise SimError(f"simulator {name!r}: unknown. Known are {', '.join(known)}.")
    module, _, attribute = known[name].partition(":")
    try:
        spec = getattr(import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        problem = f"{known[name]} cannot be loaded ({error}); install its package again"
        raise SimError(f"simulator {name}: {problem}.") from None
    if not isinstance(spec, SimulatorSpec):
        raise SimError(f"simulator {name}: {known[name]} is a {type(spec).__name__}, expected a SimulatorSpec.")
    return spec


def scenarios_of(name: str) -> tuple[str, ...]:
    """The scenarios of a simulator that have a name of their own, without prefixes."""
    return tuple(scenario for scenario in find_simulator(name).declaration.scenarios if not scenario.endswith(":"))


def make_simulator(name: str, config: SimulatorConfig | None = None) -> Simulator:
    """Make the simulator of that name; SimError where it is unknown, absent or asked for a setting it does not have."""
    spec, config = find_simulator(name), config or SimulatorConfig()
    spec.declaration.check_settings(config.settings)
    return spec.make(config)


def parse_settings(text: str) -> dict[str, str]:
    """`host=10.0.0.2,port=2000` as a dictionary; empty for an empty text."""
    found = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, equals, value = part.partition("=")
        if not equals or not name.strip():
            raise SimError(f"simulator setting {part!r}: expected name=value, some separated by commas.")
        found[name.strip()] = value.strip()
    return found


@cache
def _entry_points() -> tuple[Any, ...]:
    return tuple(entry_points(group=GROUP))
