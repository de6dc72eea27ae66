"""What tests stand on: stub backends, a breaking proxy, a raw client, a gateway to test."""
