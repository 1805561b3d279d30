"""Fast CDR tables against rosbags, which is the reference."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rosbags.interfaces import Nodetype

from wm_ros.topic_table import RECORDED
from wm_training import TrainingError
from wm_training.bags.cdr import Layout, decode, layout_of_values, rows, stamps_ns
from wm_training.bags.schema import NUMPY_TYPES, message, serialise, typestore

TYPES = sorted({topic.type for topic in RECORDED})
STAMP = st.builds(dict, sec=st.integers(0, 2**31 - 1), nanosec=st.integers(0, 10**9 - 1))
WORDS = st.text(st.characters(codec="ascii", exclude_characters="\0"), max_size=20)


def values_of(msgtype: str, draw: st.DrawFn) -> dict:
    """Any values of a message of this type, nested ones included."""
    found = {}
    for name, (kind, detail) in typestore().fielddefs[msgtype][1]:
        if kind == Nodetype.NAME:
            found[name] = message(detail, values_of(detail, draw))
        elif kind == Nodetype.BASE:
            found[name] = draw(scalar(detail[0]))
        else:
            (inner_kind, inner), count = detail
            size = count if kind == Nodetype.ARRAY else draw(st.integers(0, 5))
            if inner_kind == Nodetype.NAME:
                found[name] = [message(inner, values_of(inner, draw)) for _ in range(size)]
            elif inner[0] == "string":
                found[name] = [draw(WORDS) for _ in range(size)]
            else:
                numbers = [draw(scalar(inner[0])) for _ in range(size)]
                found[name] = np.array(numbers, NUMPY_TYPES[inner[0]])
    return found


def scalar(name: str) -> st.SearchStrategy:
    if name == "string":
        return WORDS
    if name == "bool":
        return st.booleans()
    dtype = NUMPY_TYPES[name]
    if dtype.kind == "f":
        return st.floats(width=8 * dtype.itemsize, allow_nan=False)
    limits = np.iinfo("int8" if name == "byte" else dtype)  # rosbags takes a byte for a signed number
    return st.integers(0 if name == "byte" else int(limits.min), int(limits.max))


def flat(msg: object, prefix: str = "") -> dict:
    """Leaves of a rosbags message by dotted path."""
    found = {}
    for name, _ in typestore().fielddefs[msg.__msgtype__][1]:
        value = getattr(msg, name)
        path = f"{prefix}{name}"
        if hasattr(value, "__dataclass_fields__"):
            found |= flat(value, f"{path}.")
        elif isinstance(value, list):
            for index, item in enumerate(value):
                nested = hasattr(item, "__dataclass_fields__")
                found |= flat(item, f"{path}.{index}.") if nested else {f"{path}.{index}": item}
        else:
            found[path] = value
    return found


@pytest.mark.parametrize("msgtype", TYPES)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_a_table_reads_any_message_as_rosbags_does(msgtype: str, data: st.DataObject) -> None:
    raw = serialise(msgtype, values_of(msgtype, data.draw))
    row = Layout.of(raw, msgtype).view([raw])[0]
    expected = flat(typestore().deserialize_cdr(raw, msgtype))
    assert set(expected) == set(row.dtype.names or ())
    for path, value in expected.items():
        got = row[path]
        if isinstance(value, str):
            assert got == value.encode()
        else:
            np.testing.assert_array_equal(got, value)


@pytest.mark.parametrize("msgtype", TYPES)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_a_filled_table_gives_the_bytes_that_rosbags_serialises(msgtype: str, data: st.DataObject) -> None:
    raw = serialise(msgtype, values_of(msgtype, data.draw))
    layout = Layout.of(raw, msgtype)
    other = layout.table(3)
    for name in layout.dtype.names or ():
        if layout.dtype[name].kind in "iuf":
            other[name] = 1  # another message of the same shape ...
        other[name][1] = layout.view([raw])[name][0]  # ... turned into this one, field by field
    assert bytes(rows(other)[1]) == raw


@settings(max_examples=50, deadline=None)
@given(names=st.lists(st.sampled_from(["stop_go", "lane_follow", ""]), min_size=1, max_size=30), data=st.data())
def test_messages_of_differing_layouts_are_decoded_side_by_side(names: list[str], data: st.DataObject) -> None:
    stamps = [data.draw(STAMP) for _ in names]
    raw = [
        serialise("wm_msgs/msg/Truth", {"header": {"stamp": stamp, "frame_id": "map"}, "scenario": name, "step": index})
        for index, (name, stamp) in enumerate(zip(names, stamps, strict=True))
    ]
    seen = {}
    for indices, table in decode(raw, "wm_msgs/msg/Truth"):
        for index, name, step, stamp in zip(indices, table["scenario"], table["step"], stamps_ns(table), strict=True):
            assert step == index and stamp == stamps[index]["sec"] * 10**9 + stamps[index]["nanosec"]
            seen[index] = name.decode()
    assert [seen[i] for i in range(len(names))] == names


def test_bytes_that_a_middleware_appends_are_ignored() -> None:
    raw = serialise("wm_msgs/msg/ControlCommand", {"seq": 7, "limited": True})
    padded = raw + bytes(-len(raw) % 4)
    assert len(padded) > len(raw)
    [(_, table)] = decode([padded, raw], "wm_msgs/msg/ControlCommand")
    assert table["seq"].tolist() == [7, 7] and table["limited"].all()


@pytest.mark.parametrize("cut", [0, 3, 4, 12, 30, 60])
def test_a_cut_message_is_refused_with_a_sentence(cut: int) -> None:
    raw = serialise("wm_msgs/msg/Truth", {"scenario": "stop_go"})
    with pytest.raises(TrainingError, match="wm_msgs/msg/Truth"):
        decode([raw[:cut]], "wm_msgs/msg/Truth")


def test_unknown_fields_are_named() -> None:
    with pytest.raises(KeyError, match="colour"):
        layout_of_values("wm_msgs/msg/Truth", colour=1)
