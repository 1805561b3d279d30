"""Faults put into the running graph on purpose, and what the car does about them.

`table` lists them; `stream`, `fields` and `clock` say what a message fault does to messages; `interposer_node` wires
that between publishers and subscribers; `inflict` brings every kind about; `stack` runs the graph; `watch` notes what
happens; `judge` makes a result of it; `runner` goes through the list; `report` writes it; `command` is `wm faults`.
"""
