"""The roads, one module each. Each reads once, from top to bottom, like its paragraph in the standard."""
