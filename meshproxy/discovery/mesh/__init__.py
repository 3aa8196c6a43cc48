"""namerd's mesh interface: gRPC calls, and the messages of its protobuf files.

linkerd: mesh/core/src/main/protobuf/{interpreter,resolver,delegator,dtab}.proto
"""
