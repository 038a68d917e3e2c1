"""The life of a certificate: requested, imported, and what stands above it."""
