"""Errors that a person can act on: one clear sentence, and the exit code of the command line."""

from __future__ import annotations


class SynapseError(Exception):
    """Something went wrong; the message names the file, row or setting and the way out."""

    exit_code = 1

    def __init__(self, message: str, exit_code: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        if exit_code is not None:
            self.exit_code = exit_code


class UsageError(SynapseError):
    """The command was given something that it cannot take (exit code 2)."""

    exit_code = 2


class LeaseHeldError(SynapseError):
    """Another run works on the same lake (exit code 3)."""

    exit_code = 3


class LeaseLostError(SynapseError):
    """Another run has taken over: this one may record and publish nothing any more."""
