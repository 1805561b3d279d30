"""Repairing bags: everything up to the cut is there again, and nothing is risked for it."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mcap.reader import make_reader
from rosbags.rosbag2 import Reader

from wm_ros import topic_table as topics
from wm_training import TrainingError
from wm_training.bags import repair as repairing
from wm_training.bags.info import bag_info
from wm_training.bags.repair import repair
from wm_training.bags.schema import serialise
from wm_training.bags.writer import BagWriter, WriterConfig

STEP_NS = 10**7
COUNT = 600
RECORD_BYTES = 31 + len(serialise(topics.STATUS.type, {"header": {"frame_id": "base_link"}}))
KINDS = {
    "plain": WriterConfig(flush_ns=10**9),
    "zstd": WriterConfig(flush_ns=10**9, compress=True),
    "split": WriterConfig(flush_ns=10**9, split_ns=2 * 10**9),
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A bag of each kind with COUNT messages."""
    folder = tmp_path_factory.mktemp("whole")
    for kind, config in KINDS.items():
        with BagWriter(folder / kind / "bag", config) as writer:
            writer.add_topic("/vehicle/status", topics.STATUS.type, topics.bag_qos(topics.STATUS))
            for k in range(COUNT):
                cdr = serialise(topics.STATUS.type, {"header": {"frame_id": "base_link"}, "seq": k})
                writer.write("/vehicle/status", 10**9 + k * STEP_NS, cdr)
            writer.note("source", "a test")
    return {kind: folder / kind / "bag" for kind in KINDS}


def stamps(bag: Path) -> list[int]:
    with Reader(bag) as reader:
        found = [stamp for _, stamp, _ in reader.messages()]
    again = []
    for file in sorted(bag.glob("*.mcap"), key=lambda path: int(path.stem.split("_")[-1])):
        with file.open("rb") as stream:
            again += [m.log_time for _, _, m in make_reader(stream, validate_crcs=True).iter_messages()]
    assert found == again
    return found


def cut(bag: Path, out: Path, share: float, *, file: int = -1) -> tuple[Path, int]:
    """A copy of a bag with one of its files cut at a share of its length; and the bytes left of it."""
    shutil.rmtree(out, ignore_errors=True)
    shutil.copytree(bag, out)
    path = sorted(out.glob("*.mcap"))[file]
    content = path.read_bytes()
    left = int(share * len(content))
    path.write_bytes(content[:left])
    return out, left


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(share=st.floats(0.0, 0.999))
def test_a_bag_cut_anywhere_is_read_up_to_the_cut(whole, tmp_path: Path, kind: str, share: float) -> None:
    bag, left = cut(whole[kind], tmp_path / "bag", share)
    before = sum(f["message_count"] for f in _files(whole[kind])[:-1])
    if kind == "plain":  # known to the byte: all but the record that was cut, and what stands between the records
        least = max((left - 6000) // (RECORD_BYTES + 17), 0)
    else:
        least = before
    try:
        done = repair(bag)
    except TrainingError as error:
        assert least == 0 and "nothing to repair" in str(error)
        assert bag.is_dir()
        return
    assert done is not None and done.kept is None
    found = stamps(bag)
    assert found == [10**9 + k * STEP_NS for k in range(len(found))]
    assert least <= len(found) == done.messages == bag_info(bag).messages <= COUNT
    assert bag_info(bag).source == "a test"
    assert [path.name for path in tmp_path.iterdir()] == ["bag"]
    assert repair(bag) is None


def _files(bag: Path) -> list[dict]:
    import yaml

    return yaml.safe_load((bag / "metadata.yaml").read_text())["rosbag2_bagfile_information"]["files"]


def test_a_file_lost_from_the_end_of_a_split_bag_costs_only_itself(whole, tmp_path: Path) -> None:
    bag, _ = cut(whole["split"], tmp_path / "bag", 0.0)
    done = repair(bag)
    assert done is not None and done.messages == sum(f["message_count"] for f in _files(whole["split"])[:-1])


def test_a_spoilt_chunk_is_left_out_and_the_original_kept(whole, tmp_path: Path) -> None:
    bag, left = cut(whole["plain"], tmp_path / "bag", 0.9)
    file = next(bag.glob("*.mcap"))
    content = bytearray(file.read_bytes())
    content[left // 2] ^= 0xFF
    file.write_bytes(content)
    done = repair(bag)
    assert done is not None and done.spoilt_chunks == 1 and done.kept == tmp_path / "bag.damaged"
    assert 300 < len(stamps(bag)) < 550 and next(done.kept.glob("*.mcap")).read_bytes() == content
    assert "spoilt" in str(done) and str(done.kept) in str(done)


def test_a_killed_writer_loses_at_most_its_flush_time(tmp_path: Path) -> None:
    code = (
        "import sys, time\nfrom wm_training.bags.writer import BagWriter, WriterConfig\n"
        "w = BagWriter(sys.argv[1], WriterConfig(flush_ns=5 * 10**8))\n"
        "w.add_topic('/clock', 'rosgraph_msgs/msg/Clock')\n"
        "for i in range(777): w.write('/clock', i * 10**7, bytes(12))\n"
        "print('ready', flush=True); time.sleep(60)"
    )
    bag = tmp_path / "bag"
    with subprocess.Popen([sys.executable, "-c", code, str(bag)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        with pytest.raises(TrainingError, match="is being written"):
            repair(bag)
        with pytest.raises(TrainingError, match="still being written"):
            bag_info(bag)
        process.send_signal(signal.SIGKILL)
    with pytest.raises(TrainingError, match=r"unfinished.*wm info .*bag --repair"):
        bag_info(bag)
    done = repair(bag)
    assert done is not None and done.bag == bag and 777 - 50 <= done.messages <= 777
    assert stamps(bag) == [i * 10**7 for i in range(done.messages)]
    assert [path.name for path in tmp_path.iterdir()] == ["bag"]


def test_an_interrupted_repair_leaves_everything_as_it_was(whole, tmp_path: Path, monkeypatch) -> None:
    bag, _ = cut(whole["plain"], tmp_path / "bag", 0.7)
    before = {path.name: path.read_bytes() for path in bag.iterdir()}

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(repairing, "_take_place", interrupted)
    with pytest.raises(KeyboardInterrupt):
        repair(bag)
    assert {path.name: path.read_bytes() for path in bag.iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["bag"]


def test_what_cannot_be_repaired_is_told_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="no such bag"):
        repair(tmp_path / "missing")
    (tmp_path / "empty.partial").mkdir()
    with pytest.raises(TrainingError, match="nothing to repair"):
        repair(tmp_path / "empty")
    (tmp_path / "foreign.mcap").write_bytes(b"no MCAP at all, but longer than its magic")
    with pytest.raises(TrainingError, match="nothing to repair"):
        repair(tmp_path / "foreign.mcap")
    (tmp_path / "words.txt").write_text("words")
    with pytest.raises(TrainingError, match="only MCAP"):
        repair(tmp_path / "words.txt")
