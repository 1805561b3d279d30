"""`wm bench bags`: recording, reading and feeding the trainer, beside rosbags' plain reader in the same run.

All cases run once a round, in turn, on bags that this run writes; figures are medians over the rounds.
"""

from __future__ import annotations

import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wm_bringup.bench import BagsBench

EPISODES, EPISODES_PER_BAG, SEED = 4, 2, 11
BATCH, LENGTH, PICTURES = 24, 30, 7  # what `wm train` draws a step of its first phase
WAIT_LIMIT = 0.05  # share of a training step that waiting for data may take
RATES = {
    "record": "messages/s",
    "record_bytes": "MB/s",
    "rosbags": "frames/s",
    "read": "frames/s",
    "cached": "frames/s",
    "batches": "frames/s",
}
TITLES = {
    "record": "recording (BagWriter)",
    "record_bytes": "recording (BagWriter)",
    "rosbags": "rosbags alone, deserialising",
    "read": "bags to sequences, first time",
    "cached": "bags to sequences, cached, all bytes",
    "batches": "batches for the trainer",
}


def bench_bags(config: BagsBench) -> int:
    """Measure, print a table, write the JSON."""
    from wm_bringup.bench import write_result

    folder = Path(tempfile.mkdtemp(prefix="wm-bench-bags-"))
    try:
        result = measure(folder, config.repeats, config.seconds, config.threads)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    show(result)
    write_result(config.json, result)
    return 0


def measure(folder: Path, repeats: int, seconds: float, threads: int) -> dict[str, Any]:
    """The object that --json writes. folder: an empty one for bags. seconds: how long batches are drawn in a round."""
    from wm_bringup.bench import machine
    from wm_training.collect import CollectConfig, collect
    from wm_training.sequences import load_sequences

    bags = folder / "drives"
    collect(
        CollectConfig(
            out=bags, episodes=EPISODES, episodes_per_bag=EPISODES_PER_BAG, seed=SEED, workers=1, progress=False
        )
    )
    messages = _messages(bags)
    frames = len(load_sequences(bags))
    rates: dict[str, list[float]] = {name: [] for name in RATES}
    for _ in range(repeats):
        took = _seconds(lambda: _record(folder / "copy", messages))
        rates["record"].append(len(messages) / took)
        rates["record_bytes"].append(sum(len(raw) for *_, raw in messages) / took / 1e6)
        shutil.rmtree(folder / "copy")
        rates["rosbags"].append(frames / _seconds(lambda: _deserialise(bags)))
        _forget(bags)
        rates["read"].append(frames / _seconds(lambda: load_sequences(bags)))
        rates["cached"].append(frames / _seconds(lambda: _touch(bags)))
        rates["batches"].append(_batches(bags, seconds))
    rows = [{"name": name, "title": TITLES[name], "unit": RATES[name], **_spread(rates[name])} for name in RATES]
    waits = [_waiting(bags, threads) for _ in range(min(repeats, 3))]
    share = statistics.median(wait["share"] for wait in waits)
    return {
        "bench": "bags",
        "machine": machine(),
        "repeats": repeats,
        "bags": {"bags": EPISODES // EPISODES_PER_BAG, "frames": frames, "messages": len(messages)},
        "rates": rows,
        "times_rosbags": round(statistics.median(rates["read"]) / statistics.median(rates["rosbags"]), 2),
        "training": {
            "step_s": round(statistics.median(wait["step_s"] for wait in waits), 3),
            "draw_s": round(statistics.median(wait["draw_s"] for wait in waits), 5),
            "wait_share": round(share, 5),
            "wanted": WAIT_LIMIT,
            "met": share <= WAIT_LIMIT,
        },
    }


def _seconds(work: Callable[[], Any]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _messages(bags: Path) -> list[tuple[str, str, int, bytes]]:
    """Topic, type, log time and bytes of all messages of all bags, one bag behind the other."""
    from wm_training.bags.reader import find_bags, open_bag

    found = []
    for bag in find_bags(bags):
        with open_bag(bag) as reader:
            found += [(c.topic, c.msgtype, stamp, bytes(raw)) for c, stamp, raw in reader.messages()]
    return found


def _record(path: Path, messages: list[tuple[str, str, int, bytes]]) -> None:
    from wm_training.bags.writer import BagWriter

    with BagWriter(path) as writer:
        for topic, msgtype, stamp, raw in messages:
            if topic not in writer.counts:
                writer.add_topic(topic, msgtype)
            writer.write(topic, stamp, raw)


def _deserialise(bags: Path) -> None:
    """What a reader without this stack's tables does: every message of the topics that training needs, one by one."""
    from wm_training.bag_frames import NEEDED
    from wm_training.bags.reader import find_bags, open_bag
    from wm_training.bags.schema import typestore

    store, wanted = typestore(), {f"/{topic.name.lstrip('/')}" for topic in NEEDED}
    for bag in find_bags(bags):
        with open_bag(bag) as reader:
            for connection, _, raw in reader.messages([c for c in reader.connections if c.topic in wanted]):
                store.deserialize_cdr(raw, connection.msgtype)


def _forget(bags: Path) -> None:
    for cache in bags.glob("*/.sequences-*"):
        shutil.rmtree(cache)


def _touch(bags: Path) -> None:
    """Load from the cache and read every byte of the pictures."""
    from wm_training.sequences import load_sequences

    camera = load_sequences(bags).camera
    for start in range(0, len(camera), 256):
        camera[start : start + 256].sum()


def _source(bags: Path) -> Any:
    import numpy as np

    from wm_training.batches import BatchSource
    from wm_training.sequences import load_sequences

    sequences = load_sequences(bags)
    return BatchSource(sequences, np.arange(sequences.episodes), LENGTH, SEED)


def _batches(bags: Path, seconds: float) -> float:
    """Frames a second in windows as the trainer draws them."""
    source, drawn, began = _source(bags), 0, time.perf_counter()
    while not drawn or time.perf_counter() - began < seconds:
        source.draw(drawn, BATCH, PICTURES)
        drawn += 1
    return drawn * BATCH * LENGTH / (time.perf_counter() - began)


def _waiting(bags: Path, threads: int, steps: int = 3) -> dict[str, float]:
    """Share of a training step of the shipped model that is spent waiting for its batch, drawn ahead in a thread."""
    import torch

    from wm_dynamics.world_model import WorldModel, WorldModelConfig
    from wm_training.feed import Feed
    from wm_training.losses import LossConfig, world_model_loss

    torch.set_num_threads(threads)
    source, model = _source(bags), WorldModel(WorldModelConfig())
    draw_s = _seconds(lambda: source.draw(0, BATCH, PICTURES))
    with Feed(source, BATCH, PICTURES, steps + 1) as feed:
        feed.take(0)  # the first batch cannot be drawn ahead
        waited, began = feed.waited_s, time.perf_counter()
        for step in range(1, steps + 1):
            loss, _ = world_model_loss(model, feed.take(step), LossConfig())
            loss.backward()
            model.zero_grad(set_to_none=True)
        took = time.perf_counter() - began
        return {"step_s": took / steps, "draw_s": draw_s, "share": (feed.waited_s - waited) / took}


def _spread(rates: list[float]) -> dict[str, float]:
    return {"median": round(statistics.median(rates), 1), "low": round(min(rates), 1), "high": round(max(rates), 1)}


def show(result: dict[str, Any]) -> None:
    """Print the tables."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    here, bags, training = result["machine"], result["bags"], result["training"]
    title = f"{here['processor']}, {here['cores']} cores, load {here['load']}: median of {result['repeats']}, "
    title += f"{bags['bags']} bags, {bags['frames']:,} frames, {bags['messages']:,} messages"
    table = Table(title=title, box=SIMPLE_HEAD)
    table.add_column("what")
    for name in ("median", "low", "high"):
        table.add_column(name, justify="right")
    table.add_column("unit")
    for row in result["rates"]:
        table.add_row(row["title"], *(f"{row[k]:,.0f}" for k in ("median", "low", "high")), row["unit"])
    console = Console()
    console.print(table)
    console.print(f"Bags to sequences: {result['times_rosbags']:.1f} × rosbags alone.")
    console.print(
        f"Training step {training['step_s']:.2f} s, a batch {1e3 * training['draw_s']:.1f} ms; waiting for data takes "
        f"{training['wait_share']:.2%} of it (wanted: at most {training['wanted']:.0%})."
    )
