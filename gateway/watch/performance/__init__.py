"""What labels say of predictions: read from the store, looked at, reported."""
