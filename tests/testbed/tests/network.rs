//! The test bed's own parts, without Fleetmesh: namespaces, DNS, application, load, interception, a static Envoy.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "a test fails by panicking"
)]

use std::time::Duration;

use fleetmesh_testbed::app::{self, AppLoad, LoadOptions, Protocol, Server};
use fleetmesh_testbed::command;
use fleetmesh_testbed::dns::{self, Zone};
use fleetmesh_testbed::envoy::{Envoy, UID};
use fleetmesh_testbed::netns::Network;
use fleetmesh_testbed::run_dir::RunDir;
use fleetmesh_testbed::userns;

/// Envoy between anything and port 80 of this instance's loopback.
const BOOTSTRAP: &str = r"
admin: {address: {socket_address: {address: 127.0.0.1, port_value: 9901}}}
static_resources:
  listeners:
  - address: {socket_address: {address: 0.0.0.0, port_value: 15000}}
    filter_chains:
    - filters:
      - name: tcp
        typed_config:
          '@type': type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy
          stat_prefix: ingress
          cluster: app
  clusters:
  - name: app
    type: STATIC
    load_assignment:
      cluster_name: app
      endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: 80}}}}]}]
";

#[tokio::test]
async fn instances_reach_each_other_by_name_and_load_is_counted() {
    if !userns::wanted() {
        return;
    }
    let run = RunDir::new("network").unwrap();
    let mut network = Network::new(&run).await.unwrap();
    let client = network.instance("a", &run).await.unwrap();
    let host = network.instance("b", &run).await.unwrap();
    let mut zone = Zone::default();
    zone.add("serviceb.apps.local", host.ipv4()).add("serviceb.apps.local", host.ipv6());
    zone.add("six.apps.local", host.ipv6());
    let _dns = dns::start(&network, "apps.local", &zone, &run).await.unwrap();
    let mut server = Server::start("serviceB", Protocol::Http2, 80, &host, &run).await.unwrap();

    for protocol in [Protocol::Http, Protocol::Http2, Protocol::Grpc] {
        let answer =
            app::get(&client, protocol, "http://serviceB.apps.local/x?y=1", &["--header", "a: b"]).await;
        assert_eq!(answer.unwrap().outcome(), Ok("serviceB".to_owned()), "{protocol:?}");
    }
    let answer = app::get(&client, Protocol::Http2, "http://six.apps.local/x", &[]).await.unwrap();
    assert!(answer.body.contains("\"path\":\"/x\""), "{}", answer.body);

    server.fail_next(2).await.unwrap();
    server.set_healthy(false).await.unwrap();
    let ping = app::get(&client, Protocol::Http, "http://serviceb.apps.local/ping", &[]).await.unwrap();
    assert_eq!(ping.status, 503);
    let failed = app::get(&client, Protocol::Grpc, "http://serviceb.apps.local/a/b", &[]).await.unwrap();
    assert_eq!(failed.grpc_status.as_deref(), Some("14"));

    let options = LoadOptions::new("http://serviceb.apps.local/");
    let mut load = AppLoad::start(&options, "one", &client, &run).await.unwrap();
    let enough = Duration::from_secs(30);
    load.until("500 answers", enough, |tally| tally.answered() >= 500).await.unwrap();
    load.phase("two").await.unwrap();
    load.until("500 more", enough, |tally| tally.phase("two").answered() >= 500).await.unwrap();
    let tally = load.finish().await.unwrap();
    assert_eq!(tally.failed(), 1, "one of the two failures was taken before: {tally:?}");
    for phase in &tally.phases {
        assert_eq!(phase.started, phase.answered() + phase.failed(), "{phase:?}");
    }
    assert_eq!(tally.answered(), tally.phase("one").by("serviceB") + tally.phase("two").by("serviceB"));
}

#[tokio::test]
async fn envoy_runs_as_its_own_user_behind_interception() {
    if !userns::wanted() {
        return;
    }
    let run = RunDir::new("envoy").unwrap();
    let mut network = Network::new(&run).await.unwrap();
    let client = network.instance("a", &run).await.unwrap();
    let host = network.instance("b", &run).await.unwrap();
    let _server = Server::start("tcp", Protocol::Tcp, 80, &host, &run).await.unwrap();
    let mut envoy = Envoy::start_with(BOOTSTRAP, &host, &run).unwrap();
    envoy.ready(&host, Duration::from_secs(60)).await.unwrap();
    let status = std::fs::read_to_string(format!("/proc/{}/status", envoy.process().id())).unwrap();
    let uids = status.lines().find(|line| line.starts_with("Uid:")).unwrap();
    assert!(uids.contains(&UID.to_string()), "{uids}");

    let mut redirect = host.command("iptables");
    redirect.args("-t nat -A PREROUTING -p tcp --dport 80 -j REDIRECT --to-ports 15000".split(' '));
    command::run(redirect).await.unwrap();
    let url = format!("tcp://{}:80", host.ipv4());
    let answer = app::get(&client, Protocol::Tcp, &url, &[]).await.unwrap();
    assert_eq!(answer.responder, "tcp");
    let through = envoy.stat(&host, "tcp.ingress.downstream_cx_total").await.unwrap();
    assert_eq!(through, Some(1), "the connection went through Envoy");
}
