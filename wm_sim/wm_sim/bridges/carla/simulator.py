"""The bridge: episodes on a CARLA server, one at a time, and nothing left behind on any way out."""

from __future__ import annotations

import atexit
import math
import signal
import threading
import time
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wm_sim.action import to_physical
from wm_sim.bridges.bridge import Bridge, Look
from wm_sim.bridges.carla import clock, ego, labels, route
from wm_sim.bridges.carla.actuation import PedalControl, ackermann
from wm_sim.bridges.carla.axes import KMH_PER_MPS, along, pose_to_ours, rate_to_ours, rear_axle
from wm_sim.bridges.carla.connection import answers, connect, load_map
from wm_sim.bridges.carla.library import import_carla
from wm_sim.bridges.carla.scan import plain_scan, semantic_scan
from wm_sim.bridges.carla.sensors import Sensors
from wm_sim.bridges.carla.settings import ALL, PEDALS, SEMANTIC, CarlaSettings
from wm_sim.bridges.carla.traffic import TrafficProcess
from wm_sim.bridges.line import Line
from wm_sim.contract import Declaration, SimulatorConfig
from wm_sim.errors import SimError
from wm_sim.observation import LIDAR_X_M, PHYSICS_STEP_S
from wm_sim.scenarios import ROAD

ROUTE_M = 400.0  # where the user asks for no length
SETTLE_TICKS = 20  # a car is set down from above the road, and sensors begin
ARRIVED_M = 5.0  # short of the route's end
USUAL_LIMIT_MPS = 50.0 / KMH_PER_MPS  # where the server gives none
TIME_S, TIME_SPM = 60.0, 0.5  # time limit: so much, and so much a metre
SPECTATOR_M, SPECTATOR_DEG = (-8.0, 5.0), -20.0  # behind, above; pitch


class CarlaSimulator(Bridge):
    """CARLA through its Python client: one ego, its sensors, traffic; the only ticker unless passive."""

    def __init__(self, declaration: Declaration, config: SimulatorConfig, settings: CarlaSettings) -> None:
        super().__init__(declaration, config)
        self.settings = settings
        self._carla = import_carla()
        self._client: Any = None
        self._found: Any = None  # the server's settings before us
        self._lost = False  # the server, as far as known
        self._traffic: TrafficProcess | None = None
        self._clear()
        self._before_sigterm: Any = None
        self._opendrive: Path | None = None
        atexit.register(self.close)
        self._catch_sigterm()
        try:
            self._open()
        except BaseException:
            self.close()
            raise

    # Connection.

    def _open(self) -> None:
        self._client = connect(self.settings)
        self._lost = False
        self._world = self._client.get_world()
        self._found = self._world.get_settings()
        self._found_weather = self._world.get_weather()
        if self.settings.passive:
            clock.check_passive(self._world, self.settings)
        else:
            clock.refuse_another_ticker(self._world, self.settings.address)
        self._prepare_world()

    def _prepare_world(self) -> None:
        """Map, weather and clock."""
        if not self.settings.passive:
            self._world.apply_settings(clock.restored(self._world.get_settings()))  # a map loads while time runs
            self._world = load_map(self._client, self._world, self.settings, self._opendrive)
            clock.take_over(self._world)
        if self.settings.weather:
            preset = getattr(self._carla.WeatherParameters, self.settings.weather, None)
            if not isinstance(preset, self._carla.WeatherParameters):
                raise SimError(f"carla: no weather {self.settings.weather!r}; take a preset, as ClearNoon.")
            self._world.set_weather(preset)
        self._map = self._world.get_map()
        self._frame_number = self._world.get_snapshot().frame
        self._client.set_timeout(self.settings.tick_timeout_s)

    def _clear(self) -> None:
        self._ego: Any = None
        self._sensors: Sensors | None = None
        self._spectator: Any = None
        self.chassis: Any = None  # Chassis, once there is an ego

    # Episodes.

    def begin(self, scenario: str, seed: int) -> NDArray[np.float64]:
        self._leave_episode()
        if scenario != "traffic" or self._lost:
            self._leave_traffic()
        opendrive = Path(scenario[len(ROAD) :].split(",", maxsplit=1)[0]) if scenario.startswith(ROAD) else None
        try:
            if self._lost or self._client is None:
                self._opendrive = opendrive
                self._open()
            elif opendrive != self._opendrive:
                if self.settings.passive:
                    raise SimError("carla: passive, so the map is the other client's; start without road.")
                self._opendrive = opendrive
                self._prepare_world()
            return self._begin(scenario, seed)
        except SimError:
            raise
        except RuntimeError as error:
            raise self._loss(error) from None

    def _begin(self, scenario: str, seed: int) -> NDArray[np.float64]:
        rng = np.random.default_rng(seed)
        self._client.set_timeout(self.settings.timeout_s)
        self._ego, start = ego.spawn(self._carla, self._world, self.settings, rng)
        self._pedals, self._real_mps2, self._before_mps = PedalControl(), 0.0, 0.0
        if scenario == "traffic" and self.settings.traffic and not self.settings.passive:
            self._traffic = self._traffic or TrafficProcess(self.settings)
            try:
                self._traffic.populate(seed, start)
            except SimError:
                self._leave_traffic()
                raise
            self._frame_number = self._world.get_snapshot().frame
        self._client.set_timeout(self.settings.tick_timeout_s)
        self._hold()
        self._move_on()
        self.chassis = ego.read_chassis(self._ego)
        self._sensors = Sensors(self._carla, self._world, self._ego, self.chassis.rear_axle_x_m, self.settings)
        for _ in range(SETTLE_TICKS):
            self._hold()
            self._move_on()
        self._sensors.collisions()  # setting the car down is none
        self._sensors.crossed_markings()
        self._crossed, self._hit, self._off, self._end = 0, "", False, ""
        self._others = self._road_users()
        way = self._way(rng)
        self.line = Line(route.with_run_up(route.route_points(way)))
        x, y, _ = self._pose()
        self._start_s = self._s = self.line.locate(x, y)[0]
        self._limit_s = TIME_S + TIME_SPM * self.line.length_m
        return self.line.xy

    def _way(self, rng: np.random.Generator) -> list[Any]:
        """Waypoints from the ego to where it shall go."""
        start = self._map.get_waypoint(self._ego.get_location())
        if self.settings.destination < 0:
            return route.route_of_length(start, self.config.route_length_m or ROUTE_M, rng)
        places = ego.starts(self._carla, self._map)
        if self.settings.destination >= len(places):
            raise SimError(f"carla: destination {self.settings.destination}: there are 0 to {len(places) - 1}.")
        return route.route_to(start, self._map.get_waypoint(places[self.settings.destination].location))

    def _road_users(self) -> list[Any]:
        """Everybody else, looked up once: who comes later is known by the scan alone."""
        actors = self._world.get_actors()
        users = [*actors.filter("vehicle.*"), *actors.filter("walker.pedestrian.*")]
        return [actor for actor in users if actor.id != self._ego.id]

    # Time.

    @property
    def along_m(self) -> float:
        """Where base_link is along `line`, m."""
        return self._s

    def advance(self) -> None:
        try:
            self._apply()
            self._move_on()
        except SimError:
            raise
        except RuntimeError as error:
            raise self._loss(error) from None

    def _move_on(self) -> None:
        """One tick, given or waited for; the snapshot of it."""
        before = self._frame_number
        if self.settings.passive:
            self._frame_number = self._follow(before)
        elif self._traffic is not None:
            self._frame_number = self._tick_with_traffic(self._traffic)
        else:
            self._frame_number = self._world.tick(self.settings.tick_timeout_s)
        if not self.settings.passive and self._frame_number != before + 1:
            extra = self._frame_number - before - 1
            advice = "stop it, or follow it with sim_settings passive=true"
            raise SimError(f"carla: another client ticks too ({extra} frames came between two of ours); {advice}.")
        self._snapshot = self._world.get_snapshot()
        state = self._snapshot.find(self._ego.id)
        if state is None:
            raise SimError("carla: the ego is gone from the server; somebody destroyed it or changed the map.")
        self._state = state
        yaw = self._pose()[2]
        speed = along(state.get_velocity(), yaw)
        self._real_mps2, self._before_mps = (speed - self._before_mps) / PHYSICS_STEP_S, speed
        if self.settings.spectator:
            self._show(state.get_transform())

    def _follow(self, before: int) -> int:
        for _ in range(clock.CATCH_UP):
            frame = int(self._world.wait_for_tick(self.settings.tick_timeout_s).frame)
            if frame > before:
                return frame
        raise SimError(f"carla: passive, and the server at {self.settings.address} shows no new frame.")

    def _tick_with_traffic(self, traffic: TrafficProcess) -> int:
        """The traffic's process ticks; wait until the new frame is here too."""
        try:
            frame = traffic.tick(self.settings.tick_timeout_s + 0.5)
        except SimError as error:
            raise self._loss(error) from None
        until = time.monotonic() + self.settings.tick_timeout_s
        while self._world.get_snapshot().frame < frame:
            if time.monotonic() > until:
                raise RuntimeError(f"frame {frame} was ticked and did not arrive")
            time.sleep(0.0005)
        return frame

    # Control.

    def _apply(self) -> None:
        """Hand the newest action to the car."""
        angle, wanted = (float(value) for value in to_physical(self.action))
        speed, command = self._before_mps, self._carla.command
        if self.settings.control == PEDALS or not hasattr(command, "ApplyVehicleAckermannControl"):
            pedals = self._pedals.pedals(self.chassis, angle, wanted, speed, self._real_mps2, PHYSICS_STEP_S)
            control = self._carla.VehicleControl(throttle=pedals.throttle, steer=pedals.steer, brake=pedals.brake)
            self._send(command.ApplyVehicleControl(self._ego.id, control))
            return
        target = ackermann(self.chassis, angle, wanted, speed)
        wish = self._carla.VehicleAckermannControl(
            steer=target.steer, speed=target.speed, acceleration=target.acceleration
        )
        self._send(command.ApplyVehicleAckermannControl(self._ego.id, wish))

    def _hold(self) -> None:
        self._send(self._carla.command.ApplyVehicleControl(self._ego.id, self._carla.VehicleControl(brake=1.0)))

    def _send(self, command: Any) -> None:
        """Without traffic the tick follows on the same connection, in order; its process has one of its own."""
        if self._traffic is None and not self.settings.passive:
            self._client.apply_batch([command], False)
            return
        for answer in self._client.apply_batch_sync([command], False):
            if answer.error:
                raise SimError(f"carla: the car took no command ({answer.error}).")

    def _show(self, place: Any) -> None:
        back, up = SPECTATOR_M
        yaw = math.radians(place.rotation.yaw)
        location = self._carla.Location(
            place.location.x + back * math.cos(yaw), place.location.y + back * math.sin(yaw), place.location.z + up
        )
        if self._spectator is None:
            self._spectator = self._world.get_spectator()
        rotation = self._carla.Rotation(pitch=SPECTATOR_DEG, yaw=place.rotation.yaw)
        self._spectator.set_transform(self._carla.Transform(location, rotation))

    # Looking.

    def _pose(self) -> tuple[float, float, float]:
        """Of base_link in map."""
        x, y, yaw = pose_to_ours(self._state.get_transform())
        return rear_axle(x, y, yaw, self.chassis.rear_axle_x_m) if self.chassis is not None else (x, y, yaw)

    def look(self) -> Look:
        try:
            return self._look()
        except SimError:
            raise
        except RuntimeError as error:
            raise self._loss(error) from None

    def _look(self) -> Look:
        assert self._sensors is not None
        pose = self._pose()
        picture = self._sensors.picture(self._frame_number)
        points = self._sensors.points(self._frame_number)
        self._s, lateral, heading, curvature = self.line.locate(pose[0], pose[1], self._s)
        speed, half = self._before_mps, self._ego.bounding_box.extent
        front = half.x + self._ego.bounding_box.location.x - self.chassis.rear_axle_x_m
        boxes = [box for box in (labels.box_of(actor, self._snapshot) for actor in self._others) if box is not None]
        others = np.array(boxes).reshape(-1, 6)
        gap, closing = labels.gap_ahead(self.line, self._s, lateral, speed, others, front, 2.0 * half.y)
        location = self._state.get_transform().location
        lane = self._map.get_waypoint(location)
        self._note_contacts()
        self._off = self._off or not labels.on_road(self._carla, self._map, location)
        progress = self._s - self._start_s
        self._judge(progress)
        limit = self._ego.get_speed_limit() / KMH_PER_MPS
        return Look(
            camera=picture,
            scan=self._scan(points, front),
            pose=pose,
            speed_mps=speed,
            yaw_rate_radps=rate_to_ours(self._state.get_angular_velocity().z),
            steering_angle_rad=self._steering_angle(),
            limit_mps=limit if limit > 0.0 else USUAL_LIMIT_MPS,
            lateral_error_m=lateral,
            heading_error_rad=math.remainder(pose[2] - heading, 2.0 * math.pi),
            curvature_1pm=curvature,
            lane_width_m=float(lane.lane_width) if lane is not None else 3.5,
            progress_m=progress,
            route_length_m=self.line.length_m - self._start_s,
            gap_ahead_m=gap,
            closing_speed_mps=closing,
            collided=bool(self._hit),
            off_road=self._off,
            end=self._end,
            detail=self._detail(progress),
        )

    def _scan(self, points: NDArray, front_m: float) -> NDArray[np.float32]:
        if self.settings.lidar == SEMANTIC:
            return semantic_scan(points, self._ego.id, self.settings.scan == ALL)
        half = self._ego.bounding_box.extent
        front = front_m - LIDAR_X_M
        return plain_scan(points, (front - 2.0 * half.x - 0.2, front + 0.2, half.y + 0.2))

    def _steering_angle(self) -> float:
        """Mean of the front tyres, rad, left positive."""
        wheel = self._carla.VehicleWheelLocation
        angles = [self._ego.get_wheel_steer_angle(side) for side in (wheel.FL_Wheel, wheel.FR_Wheel)]
        return -math.radians(sum(angles) / len(angles))

    def _note_contacts(self) -> None:
        assert self._sensors is not None
        self._crossed += self._sensors.crossed_markings()
        for event in self._sensors.collisions():
            impulse = event.normal_impulse
            change = math.sqrt(impulse.x**2 + impulse.y**2 + impulse.z**2) / max(self.chassis.mass_kg, 1.0)
            other = event.other_actor.type_id if event.other_actor is not None else "something"
            self._hit = self._hit or f"{other}, {change:.1f} m/s lost"

    def _judge(self, progress: float) -> None:
        """What ends the episode, the first thing that does."""
        if self._end:
            return
        if self._hit:
            self._end = "collision"
        elif self._off:
            self._end = "off_road"
        elif progress > self.line.length_m - self._start_s - ARRIVED_M:
            self._end = "route_done"
        elif self.ticks * PHYSICS_STEP_S > self._limit_s:
            self._end = "timeout"

    def _detail(self, progress: float) -> str:
        if self._end == "collision":
            return self._hit
        return f"at {progress:.0f} m, {self._crossed} lane markings crossed"

    # The way out.

    def _loss(self, error: Exception) -> SimError:
        """The sentence for a server that stopped answering; remembers that it did."""
        self._lost = True
        advice = "start it again and reset the simulator, which connects anew"
        return SimError(f"carla: the server at {self.settings.address} stopped answering ({error}); {advice}.")

    def _leave_episode(self) -> None:
        """Take everything of this episode off the server, as far as it still answers."""
        sensors, car = self._sensors, self._ego
        self._clear()
        if sensors is not None:
            sensors.stop()
        numbers = [actor.id for actor in [*(sensors.actors if sensors is not None else []), car] if actor is not None]
        if numbers and self._reachable():
            destroy = self._carla.command.DestroyActor
            self._try(self._client.apply_batch_sync, [destroy(number) for number in numbers], False)

    def _reachable(self) -> bool:
        """Whether the server can still be asked; a dead one would hold up every call for the time-out."""
        self._lost = self._lost or not answers(self.settings)
        return not self._lost

    def _leave_traffic(self) -> None:
        traffic, self._traffic = self._traffic, None
        if traffic is not None:
            traffic.close()

    def _try(self, action: Any, *arguments: Any) -> None:
        try:
            action(*arguments)
        except RuntimeError:
            self._lost = True

    def close(self) -> None:
        """Destroy what was spawned, put back settings and weather; whatever happened before. Twice does nothing."""
        atexit.unregister(self.close)
        try:
            self._leave_traffic()
            self._leave_episode()
            if self._found is not None and not self.settings.passive and self._reachable():
                self._try(self._world.set_weather, self._found_weather)
                self._try(self._world.apply_settings, clock.restored(self._found))
        finally:
            self._client = self._found = None
            self._release_sigterm()

    def _catch_sigterm(self) -> None:
        """Where nobody else handles it, SIGTERM ends the process by way of atexit instead of at once."""
        main = threading.current_thread() is threading.main_thread()
        if main and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            self._before_sigterm = signal.signal(signal.SIGTERM, _leave)

    def _release_sigterm(self) -> None:
        if self._before_sigterm is not None and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, self._before_sigterm)
        self._before_sigterm = None


def _leave(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)
