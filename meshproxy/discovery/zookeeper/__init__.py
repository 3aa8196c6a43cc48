"""ZooKeeper: a session with an ensemble, and what its nodes hold, followed as they change."""
