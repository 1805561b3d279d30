"""A server that speaks enough of CARLA 0.9.16's protocol for the real client library to drive a kinematic car in it.

Its own process: `python -m carla_stand_in --port N` with `tests/` on the path. Port N takes calls (msgpack-RPC over
TCP), port N + 1 serves the streams. No rendering and no physics beyond a bicycle model; docs/carla.md says what it has.
"""
