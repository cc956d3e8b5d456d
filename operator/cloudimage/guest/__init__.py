"""What runs in a server of a boot test, and what it says: user-data, its report, the login."""
