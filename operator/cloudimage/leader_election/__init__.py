"""Of several replicas, the one that holds the Lease acts."""
