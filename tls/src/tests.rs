//! Servers whose chains have innumerable paths.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use rustls::RootCertStore;

use super::*;

#[test]
fn a_client_looks_for_no_path_in_a_chain_without_end() {
    let authority = attacks::among("a", 1).expect("a CA");
    let mut roots = RootCertStore::empty();
    roots.add(authority.certificates[1].clone()).expect("a CA");
    let config = Arc::new(trusting(roots).expect("roots").with_no_client_auth());
    let said =
        |chain| attacks::shown_to(Arc::clone(&config), chain).expect("both").map(|error| error.to_string());
    let why = said(attacks::endless().expect("a chain")).expect("it is refused");
    assert!(why.contains("at most 5 certificates and 16384 bytes are looked at"), "{why}");
    // As many as are looked at: what speaks against these is a signature.
    let why = said(attacks::among("a", MAX_BETWEEN).expect("a chain")).expect("it is refused");
    assert!(!why.contains("are looked at"), "{why}");
}

#[test]
fn both_bounds_hold() {
    let of = |bytes: usize| CertificateDer::from(vec![0; bytes]);
    assert_eq!(within_bounds(&of(4096), &vec![of(3072); MAX_BETWEEN]), Ok(()));
    assert_eq!(within_bounds(&of(1), &vec![of(1); 5]), Err(ChainTooLong { count: 6, bytes: 6 }));
    assert_eq!(within_bounds(&of(MAX_BYTES), &[of(1)]), Err(ChainTooLong { count: 2, bytes: 16_385 }));
    assert_eq!(within_bounds(&of(MAX_BYTES + 1), &[]), Err(ChainTooLong { count: 1, bytes: 16_385 }));
}
