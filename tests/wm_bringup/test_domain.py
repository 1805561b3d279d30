"""One stack a ROS domain."""

import subprocess
import sys

import pytest

from wm_bringup.domain import chosen_domain, is_free, lock_domain
from wm_bringup.errors import BringupError


@pytest.fixture(autouse=True)
def own_runtime_folder(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))


@pytest.fixture(autouse=True)
def locks_of_our_own(tmp_path, monkeypatch) -> None:
    """Whoever else holds a domain on this machine does not matter here."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))


def test_a_domain_is_held_by_one_and_free_again_afterwards() -> None:
    with lock_domain(7):
        assert not is_free(7)
        assert is_free(8)
        with pytest.raises(BringupError, match=r"ROS domain 7: another stack .*process \d+.*--domain-id 8"):
            lock_domain(7)
    assert is_free(7)


def test_a_holder_that_is_killed_frees_its_domain() -> None:
    program = "from wm_bringup.domain import lock_domain; f = lock_domain(9); print('held', flush=True); input()"
    holder = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert holder.stdout.readline() == "held\n"
    assert not is_free(9)
    holder.kill()
    holder.communicate()
    assert is_free(9)


def test_the_named_domain_comes_before_that_of_the_environment(monkeypatch) -> None:
    monkeypatch.setenv("ROS_DOMAIN_ID", "33")
    assert (chosen_domain(None), chosen_domain(4)) == (33, 4)
    monkeypatch.delenv("ROS_DOMAIN_ID")
    assert chosen_domain(None) == 0


@pytest.mark.parametrize("value", ["-1", "102", "many"])
def test_a_domain_that_cannot_be_is_refused_in_a_sentence(monkeypatch, value: str) -> None:
    monkeypatch.setenv("ROS_DOMAIN_ID", value)
    with pytest.raises(BringupError, match=f"ROS domain {value}"):
        chosen_domain(None)
