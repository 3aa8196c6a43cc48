"""Metrics of the proxy: a tree of counters, gauges and histograms."""
