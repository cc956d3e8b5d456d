"""What tests, benchmarks and campaigns share."""
