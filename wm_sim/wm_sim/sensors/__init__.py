"""Camera and lidar."""
