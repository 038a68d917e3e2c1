"""Tokens to test with."""

from tests.support.fixtures import alice, faulty, faulty_module

__all__ = ["alice", "faulty", "faulty_module"]
