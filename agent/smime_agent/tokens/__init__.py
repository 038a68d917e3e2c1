"""PKCS#11 tokens: how they are named, opened, logged in to and asked for a signature."""
