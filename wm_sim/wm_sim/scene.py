"""What an episode is made of, as arrays: the one layout that scenarios write and kernels read.

A `Scene` never changes while its episode runs; what moves is in `Worlds` (worlds.py). Paths, agents, signals,
conflicts and ribbons are rows whose columns are named below. Arc lengths `s` run along a path from its first sample,
offsets `d` to its left. Path 0 is the ego's route.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

LINE_STEP_M = 0.5  # between the samples of a path
RED_LIGHT_MAX_M, CROSSING_MAX_S = 60.0, 6.0  # as far as the truth tells of hazards, and what it says without one

# Columns of a path sample. The first six are those of a line; the rest matter on path 0.
LX, LY, LCOS, LSIN, LCURVATURE, LYAW = range(6)
LEFT_M, RIGHT_M = 6, 7  # how far left and right of the line the ego may go before it is off the road
LANE_WIDTH_M, LIMIT_MPS = 8, 9
ONCOMING_LEFT = 10  # 1 where the lane to the left belongs to oncoming traffic
PATH_SIZE = 11

# Columns of an agent: another road user, or a thing that stands in the way. S is the arc length of its middle.
S, D, V, A, LENGTH, WIDTH, HEIGHT, KIND, DESIRED, PHASE, WAITED, CX, CY, CYAW, RED, GREEN, BLUE, ACTIVE = range(18)
PATH, BODY = 18, 19  # which path it follows; what it looks like
HEADWAY_S, STANDSTILL_M, ACCEL_MPS2, BRAKE_MPS2, POLITENESS = 20, 21, 22, 23, 24  # IDM and MOBIL
LANES_LEFT, LANES_RIGHT, LANE_M = 25, 26, 27  # lanes beside d = 0 that it may change to, and how wide they are
SHIFT_TO, SHIFT_RATE = 28, 29  # offset d that it moves to, and at which speed (m/s)
TRIGGER_S, TRIGGER_VALUE, TRIGGERED = 30, 31, 32  # meaning depends on KIND, see below
GAP_ACCEPT_S = 33  # time gap it takes at a conflict
TRACK, TRACK_TIME = 34, 35  # recorded track and the time along it
REACTS_TO_EGO = 36  # 0: blind to the ego
NEXT_CHANGE_S = 37  # time (s) before which it does not think about changing lanes
COVER_RIGHT, COVER_LEFT = 38, 39  # offsets between which its body is, or will be once it has moved to SHIFT_TO
CCOS, CSIN = 40, 41  # of CYAW
AGENT_SIZE = 42

# KIND of an agent.
IDM = 0  # follows its path by IDM, changes lanes by MOBIL where LANES_* allow, yields, obeys signals
SCRIPTED = 1  # speeds by its script; SHIFT_TO applied from the start; sees nothing
STATION = 2  # holds TRIGGER_VALUE m ahead of the ego (front bumper to rear bumper) until the time TRIGGER_S; then
#              moves to SHIFT_TO and drives at DESIRED plus the ego's speed at that moment, by IDM behind others
STANDING = 3  # does not move
CROSSING = 4  # waits until the ego is TRIGGER_VALUE s from arc length TRIGGER_S of the route, then goes at DESIRED
LOGGED = 5  # replays its recorded track
REACTIVE = 6  # its recorded track's path, at the recorded speed unless something is ahead (IDM)
BRAKING = 7  # IDM until the ego is within TRIGGER_VALUE s of headway after the time TRIGGER_S; then its script

# BODY of an agent.
CAR, PEDESTRIAN, CYCLIST, BARRIER = range(4)  # a CAR from 2 m height on is a van or truck

# Columns of a script row: drive at this speed, getting there at this rate, then hold it this long.
SCRIPT_SPEED, SCRIPT_RATE, SCRIPT_HOLD = range(3)

# Columns of a recorded track's sample, every 0.1 s; X is NaN where the agent is not there.
TRACK_X, TRACK_Y, TRACK_YAW, TRACK_V, TRACK_ALONG = range(5)
TRACK_STEP_S = 0.1

# Columns of a signal. The lamp is green for GREEN_S, then yellow, then red, over and over; OFFSET_S into it at time 0.
SIGNAL_PATH, STOP_S, SIGNAL_X, SIGNAL_Y, SIGNAL_Z, SIGNAL_YAW, GREEN_S, YELLOW_S, RED_S, OFFSET_S = range(10)
SIGNAL_SIZE = 10
LAMP_GREEN, LAMP_YELLOW, LAMP_RED = range(3)

# Columns of a conflict: who comes along YIELDS gives way to who comes along HAS_WAY, where their paths cross or join.
YIELDS, HAS_WAY, YIELD_IN, YIELD_OUT, WAY_IN, WAY_OUT, YIELD_LINE_S = range(7)
CONFLICT_SIZE = 7

# Overlaps [P, P, 3]: where path a and path b run on the same ground, s_b = s_a + SHIFT for FROM <= s_a <= TO.
OVERLAP_FROM, OVERLAP_TO, OVERLAP_SHIFT = range(3)  # FROM > TO where they never do; a path overlaps itself everywhere

# Columns of a ribbon: a strip of ground between two edges, given by rows FIRST to LAST - 1 of `edges`. Ribbons are
# stored in drawing order. MIDDLE and RADIUS enclose it, so that what is out of sight costs nothing.
RIBBON_FIRST, RIBBON_LAST, SURFACE, MIDDLE_X, MIDDLE_Y, RADIUS_M = range(6)
RIBBON_SIZE = 6
EDGE_LX, EDGE_LY, EDGE_RX, EDGE_RY, EDGE_S = range(5)  # EDGE_S: metres along the ribbon, for dashes
EDGE_SIZE = 5
# SURFACE of a ribbon; solid and dashed paint is a ribbon as wide as its line.
GRASS, SHOULDER, ASPHALT, PAINT, PAINT_DASHED, STOP_LINE, CROSSWALK, KERB = range(8)

# Entries of `setup`, one row an episode.
START_S, FINISH_S, TIME_LIMIT_S, NOISE_ON, SEED = range(5)
BIAS_X, BIAS_Y, BIAS_YAW, DRIFT_X, DRIFT_Y, DRIFT_RADPS, DRIFT_PHASE = range(5, 12)  # of the localisation
FAULT_DELAY_STEPS, FAULT_FREEZE_EVERY_S, FAULT_FREEZE_S, FAULT_DROP_SHARE = range(12, 16)  # of the camera
SETUP_SIZE = 16


class Scene(NamedTuple):
    """The still part of one episode. All float64 but `first`."""

    paths: NDArray[np.float64]  # [M, PATH_SIZE] samples of all paths, one after the other
    first: NDArray[np.int64]  # [P + 1]: path p has the samples first[p] to first[p + 1] - 1
    overlaps: NDArray[np.float64]  # [P, P, 3]
    conflicts: NDArray[np.float64]  # [C, CONFLICT_SIZE]
    signals: NDArray[np.float64]  # [G, SIGNAL_SIZE]
    scripts: NDArray[np.float64]  # [K, R, 3], one script an agent
    tracks: NDArray[np.float64]  # [Q, T, 5] recorded tracks
    ribbons: NDArray[np.float64]  # [B, RIBBON_SIZE]
    edges: NDArray[np.float64]  # [E, EDGE_SIZE]
    route: NDArray[np.float64]  # [W, 2] points of the published route, 2 m apart
    look: NDArray[np.float64]  # [APPEARANCE_SIZE], sensors/appearance.py
    vehicle: NDArray[np.float64]  # VehicleParameters.as_array()
    setup: NDArray[np.float64]  # [SETUP_SIZE]
    agents: NDArray[np.float64]  # [K, AGENT_SIZE] as they are at time 0
    ego: NDArray[np.float64]  # [EGO_STATE_SIZE] at time 0
