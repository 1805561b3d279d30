"""What has its name is on the disk: bytes are forced out before a file or folder is put in place."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from wm_perception.durable import put_in_place, write_text


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names that were forced to the disk, in order, and what was renamed between."""
    seen: list[str] = []
    sync, replace = os.fsync, Path.replace

    def note_sync(descriptor: int) -> None:
        seen.append(Path(os.readlink(f"/proc/self/fd/{descriptor}")).name)
        sync(descriptor)

    def note_replace(path: Path, target: Path) -> Path:
        seen.append(f"{path.name} becomes {Path(target).name}")
        return replace(path, target)

    monkeypatch.setattr(os, "fsync", note_sync)
    monkeypatch.setattr(Path, "replace", note_replace)
    return seen


def test_a_text_is_on_the_disk_before_it_has_its_name_and_its_folder_after(tmp_path: Path, synced: list[str]) -> None:
    write_text(tmp_path / "a.json", "new")
    assert synced == [".a.json.partial", ".a.json.partial becomes a.json", tmp_path.name]
    assert (tmp_path / "a.json").read_text() == "new" and [p.name for p in tmp_path.iterdir()] == ["a.json"]


def test_a_folder_is_put_in_place_with_all_its_files_on_the_disk(tmp_path: Path, synced: list[str]) -> None:
    (tmp_path / "model.partial").mkdir()
    for name in ("a", "b"):
        (tmp_path / "model.partial" / name).write_text(name)
    put_in_place(tmp_path / "model.partial", tmp_path / "model")
    assert sorted(synced[:2]) == ["a", "b"]
    assert synced[2:] == ["model.partial", "model.partial becomes model", tmp_path.name]


def test_what_cannot_be_forced_out_leaves_the_old_file_and_nothing_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: int) -> None:
        raise OSError(28, "No space left on device")

    (tmp_path / "a.json").write_text("old")
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="No space"):
        write_text(tmp_path / "a.json", "new")
    assert (tmp_path / "a.json").read_text() == "old" and [p.name for p in tmp_path.iterdir()] == ["a.json"]
