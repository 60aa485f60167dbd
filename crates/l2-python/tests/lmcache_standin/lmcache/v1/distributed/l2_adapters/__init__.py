"""Adapters of storage."""
