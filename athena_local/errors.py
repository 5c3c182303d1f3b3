"""Errors that a person can act on: one clear sentence with the way out."""

from __future__ import annotations


class AthenaLocalError(Exception):
    """The local Athena cannot do what was asked; the message says why and what helps."""


class AlreadyRunningError(AthenaLocalError):
    """Another process runs the instance of that folder."""
