"""Synapse: the lakehouse a chat product is run on."""

__version__ = "0.1.0"
