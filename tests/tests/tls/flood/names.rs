//! A proxy with a good certificate that asks for more than there is.

use envoy_types::pb::envoy::service::discovery::v3::{DeltaDiscoveryRequest, DiscoveryRequest};
use envoy_types::pb::google::protobuf::Any;
use envoy_types::pb::google::rpc;
use fleetmesh_testbed::long;
use tonic::Code;

use super::clients::{CLUSTER, DeltaFloodProxy, FloodProxy, FloodTls};
use super::{FloodBed, MIB, NEIGHBOUR, STRANGER};

/// A request for `count` clusters of this form, of some `length` bytes each.
fn naming(count: usize, start: &str, length: usize) -> DiscoveryRequest {
    let names = (0..count).map(|number| format!("{start}{number:0length$}")).collect();
    DiscoveryRequest { resource_names: names, type_url: CLUSTER.into(), ..DiscoveryRequest::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_certified_proxy_takes_little_memory_whatever_it_asks_for() {
    let passes = long::choose(20, 500);
    let mut bed = FloodBed::start("names", &[]).await;
    let folder = bed.certificates.proxy("red", "1d").await;
    let tls = FloodTls::proxy(&bed.certificates, &folder);
    let mut streams = Vec::new();
    for _ in 0..4 {
        streams.push(FloodProxy::open(tls.channel(STRANGER, bed.ads).await.unwrap()).await.unwrap());
    }
    for stream in &mut streams {
        stream.answers.message().await.unwrap();
    }
    let fifth = FloodProxy::open(tls.channel(STRANGER, bed.ads).await.unwrap())
        .await
        .err()
        .expect("it is one too many");
    assert_eq!(i32::from(fifth.code()), 8, "{fifth}");
    assert!(fifth.message().contains("--max-streams-per-certificate"), "{fifth}");

    let before = bed.forget_peak();
    for pass in 0..passes {
        for stream in &mut streams {
            let request = match pass % 2 {
                0 => naming(35_000, "", 1),
                _ => naming(4_000, "cds_egress_apps_", 40),
            };
            // Nobody waits for what it means.
            let _ = stream.requests.send(request).await;
        }
    }
    // Another is served meanwhile, and asks last, so that all of it was read.
    let other = FloodTls::proxy(&bed.certificates, &bed.certificates.proxy_in("other", "red", "1d").await);
    other.configured(NEIGHBOUR, bed.ads).await.unwrap();
    for stream in &mut streams {
        stream.requests.send(naming(5_000, "cds_egress_apps_", 4)).await.unwrap();
        let status = stream.ended().await;
        assert_eq!(i32::from(status.code()), 8, "{status}");
        assert!(status.message().contains("more than 4096 resources of type cluster"), "{status}");
    }
    let grown = bed.peak().saturating_sub(before);
    println!(
        "4 streams of one certificate, {passes} requests of some 240 KB of names each: memory grew by {} MiB",
        grown / MIB
    );
    assert!(grown < 48 * MIB, "{} MiB", grown / MIB);

    refusals_with_details(&mut bed, &tls, passes).await;

    let mut stream = FloodProxy::open(tls.channel(STRANGER, bed.ads).await.unwrap()).await.unwrap();
    let long = DiscoveryRequest { resource_names: vec!["x".repeat(256 * 1024)], ..naming(0, "", 1) };
    stream.requests.send(long).await.unwrap();
    let status = stream.ended().await;
    assert_eq!(i32::from(status.code()), 11, "longer than 256 KiB: {status}");
}

/// The names and versions of `count` clusters, in delta.
fn changing(count: usize, start: &str, length: usize, listed: bool) -> DeltaDiscoveryRequest {
    let names = (0..count).map(|number| format!("{start}{number:0length$}"));
    let mut request = DeltaDiscoveryRequest { type_url: CLUSTER.into(), ..Default::default() };
    if listed {
        request.initial_resource_versions = names.map(|name| (name, String::new())).collect();
    } else {
        request.resource_names_subscribe = names.collect();
    }
    request
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_in_delta() {
    let passes = long::choose(20, 500);
    let mut bed = FloodBed::start("names-delta", &[]).await;
    let folder = bed.certificates.proxy("red", "1d").await;
    let tls = FloodTls::proxy(&bed.certificates, &folder);
    let mut streams = Vec::new();
    for _ in 0..4 {
        let channel = tls.channel(STRANGER, bed.ads).await.unwrap();
        let mut stream = DeltaFloodProxy::open_delta(channel).await.unwrap();
        stream.answers.message().await.unwrap();
        streams.push(stream);
    }
    // Streams of both variants count together.
    let fifth = FloodProxy::open(tls.channel(STRANGER, bed.ads).await.unwrap()).await;
    assert_eq!(i32::from(fifth.err().expect("it is one too many").code()), 8);

    let before = bed.forget_peak();
    for pass in 0..passes {
        for stream in &mut streams {
            let request = match pass % 3 {
                0 => changing(70_000, "", 1, false),
                1 => changing(45_000, "", 1, true),
                _ => changing(4_000, "cds_egress_apps_", 40, true),
            };
            // Nobody waits for what it means.
            let _ = stream.requests.send(request).await;
        }
    }
    for stream in &mut streams {
        // Neither is too many by itself.
        for start in ["cds_egress_apps_", "cds_ingress_apps_"] {
            let _ = stream.requests.send(changing(3_000, start, 4, false)).await;
        }
        let status = stream.ended().await;
        assert_eq!(i32::from(status.code()), 8, "{status}");
        assert!(status.message().contains("more than 4096 resources of type cluster"), "{status}");
    }
    let grown = bed.peak().saturating_sub(before);
    println!(
        "4 streams of one certificate in delta, {passes} requests of some 450 KB each: memory grew by {} MiB",
        grown / MIB
    );
    assert!(grown < 96 * MIB, "{} MiB", grown / MIB);
}

/// Each of these took 24 times its length, or more while its list grew.
async fn refusals_with_details(bed: &mut FloodBed, tls: &FloodTls, passes: usize) {
    let mut streams = Vec::new();
    while streams.len() < 4 {
        let mut stream = match FloodProxy::open(tls.channel(STRANGER, bed.ads).await.unwrap()).await {
            Ok(stream) => stream,
            // The seats of those before are free a moment after their end is sent.
            Err(status) if status.code() == Code::ResourceExhausted => continue,
            Err(status) => panic!("{status}"),
        };
        stream.answers.message().await.unwrap();
        streams.push(stream);
    }
    let details = vec![Any::default(); 130_000];
    let error_detail = Some(rpc::Status { code: 13, message: "no".to_owned(), details });
    let refusal = DiscoveryRequest { error_detail, ..naming(0, "", 1) };
    let before = bed.forget_peak();
    for stream in &mut streams {
        for _ in 0..passes {
            stream.requests.send(refusal.clone()).await.unwrap();
        }
        // It is read last.
        stream.requests.send(naming(5_000, "cds_egress_apps_", 4)).await.unwrap();
    }
    for stream in &mut streams {
        assert_eq!(i32::from(stream.ended().await.code()), 8);
    }
    let grown = bed.peak().saturating_sub(before);
    println!(
        "4 streams of one certificate, {passes} refusals of 260 KB of details each: memory grew by {} KiB",
        grown / 1024
    );
    assert!(grown < 6 * MIB, "{} KiB", grown / 1024);
}
