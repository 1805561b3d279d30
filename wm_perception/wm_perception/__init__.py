"""Observation to embedding and back: preprocessing, encoder, decoder."""
