"""A window that shows pictures as they come, for render_mode "human". pygame is loaded only here."""

from __future__ import annotations

import os
import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wm_sim.errors import SimError


class Window:
    """Opens on the first picture; without a display it says so once and drops the pictures."""

    def __init__(self, title: str, rate_hz: float) -> None:
        self._title, self._rate_hz = title, rate_hz
        self._screen: Any = None

    def show(self, image: NDArray[np.uint8]) -> None:
        """Show an RGB picture [H, W, 3], not sooner than a frame after the last one."""
        pygame = _pygame()
        if self._screen is None:
            self._open(pygame, image.shape[1], image.shape[0])
        pygame.event.pump()  # so that the desktop knows that the program is alive
        self._screen.blit(pygame.surfarray.make_surface(image.swapaxes(0, 1)), (0, 0))
        pygame.display.flip()
        self._clock.tick(self._rate_hz)

    def _open(self, pygame: Any, width: int, height: int) -> None:
        try:
            pygame.display.init()
            self._screen = pygame.display.set_mode((width, height))
        except pygame.error as error:
            raise SimError(
                f"render mode 'human': no window ({error}). Use render_mode='rgb_array' where there is no display."
            ) from error
        if pygame.display.get_driver() == "offscreen" and "SDL_VIDEODRIVER" not in os.environ:
            print("render mode 'human': there is no display here, so nothing is shown; rgb_array gives the pictures.",
                  file=sys.stderr)  # fmt: skip
        pygame.display.set_caption(self._title)
        self._clock = pygame.time.Clock()

    def close(self) -> None:
        """Close the window, if it is open."""
        if self._screen is not None:
            _pygame().display.quit()
            self._screen = None


def _pygame() -> Any:
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
    try:
        import pygame
    except ImportError as error:
        raise SimError("render mode 'human' needs pygame: pip install pygame-ce, or use 'rgb_array'.") from error
    return pygame
