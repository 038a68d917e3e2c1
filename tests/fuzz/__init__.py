"""Random input, guided by coverage: ``make fuzz SECONDS=120``. Out comes a verdict, or one of our own errors."""
