// statsd for the dashboards in conf/dashboards: `node stats.js conf/graphite/statsd.js`.
{
  address: "127.0.0.1",
  port: 8125,
  mgmt_address: "127.0.0.1",
  mgmt_port: 8126,
  backends: ["./backends/graphite"],
  graphiteHost: "127.0.0.1",
  graphitePort: 2003,
  // stats.counters.NAME.{count,rate}, stats.timers.NAME.upper_95, stats.gauges.NAME
  graphite: { legacyNamespace: false },
  flushInterval: 10000,
  percentThreshold: [50, 90, 95, 99],
  // a name that is gone has no more points, instead of zeros without end
  deleteIdleStats: true
}
