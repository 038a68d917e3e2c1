"""Random input, guided by coverage: ``make fuzz SECONDS=120``. What comes out is a verdict, or one of our own errors."""
