"""Finds addresses: DNS, files, cluster APIs. Each is a Source, which works while observed."""
