"""The tests. The folders mirror the package; strangers' judgement, vectors, benchmarks and cards have their own."""
