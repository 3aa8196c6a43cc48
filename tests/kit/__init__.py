"""What the tests share: real servers and clients on loopback, certificates, a clock, a proxy."""
