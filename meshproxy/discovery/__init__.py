"""Where addresses come from: DNS, files, cluster APIs. Each is a Source, at work while observed."""
