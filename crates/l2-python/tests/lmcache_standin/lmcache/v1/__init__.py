"""The half of LMCache that is called v1."""
