"""Numbers about what the proxy did: a tree of counters, gauges and histograms."""
