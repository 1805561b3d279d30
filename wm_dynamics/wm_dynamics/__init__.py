"""Latent dynamics, prediction heads, model folders and the engines that run them."""
