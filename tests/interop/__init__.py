"""Strangers judge our signatures. Nothing of ours is asked whether they are good."""
