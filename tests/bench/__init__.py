"""What a signature costs, and a start: ``python -m tests.bench``. Ratios to named peers, measured in the same run."""
