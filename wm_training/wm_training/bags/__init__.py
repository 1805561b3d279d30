"""Bags: the only training input. MCAP, rosbag2 metadata version 9, written and read with rosbags."""
