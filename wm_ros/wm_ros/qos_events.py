"""Warnings about publishers and subscriptions that do not fit, so that nothing goes between them.

rclpy puts two events of every publisher and subscription into the set that it waits on, and goes through all of them in
Python at every message: half of the processor time that a message takes. They happen when somebody joins a topic, so
here they are looked at once a second.
"""

from __future__ import annotations

from typing import Any

from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.context import Context
from rclpy.event_handler import EventHandler, PublisherEventCallbacks, SubscriptionEventCallbacks
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.publisher import Publisher

NOT_OF_PUBLISHER = PublisherEventCallbacks(use_default_callbacks=False)
NOT_OF_SUBSCRIPTION = SubscriptionEventCallbacks(use_default_callbacks=False)


class QosEvents:
    """The events of one node's publishers and subscriptions, made without events of their own."""

    def __init__(self) -> None:
        self._group = MutuallyExclusiveCallbackGroup()
        self._handlers: list[EventHandler] = []

    def watch_publisher(self, publisher: Publisher) -> None:
        """Warn, as rclpy does, of subscriptions that this publisher does not reach."""
        self._watch(PublisherEventCallbacks(), publisher)

    def watch_subscription(self, subscription: Any) -> None:
        """Warn, as rclpy does, of publishers that this subscription does not hear."""
        self._watch(SubscriptionEventCallbacks(), subscription)

    def _watch(self, events: Any, entity: Any) -> None:
        self._handlers += events.create_event_handlers(self._group, entity.handle, entity.topic_name)

    def check(self, context: Context) -> None:
        """Warn of what has joined since the last time. Never waits."""
        if not self._handlers:
            return
        with context.handle:
            looked_at = rclpy_implementation.WaitSet(0, 0, 0, 0, 0, len(self._handlers), context.handle)
            looked_at.clear_entities()
            for handler in self._handlers:
                handler.add_to_wait_set(looked_at)
            looked_at.wait(0)
            for handler in self._handlers:
                if handler.is_ready(looked_at):
                    handler.callback(handler.take_data())

    def destroy(self) -> None:
        """Let go of the events; before their publishers and subscriptions go."""
        while self._handlers:
            self._handlers.pop().destroy()
