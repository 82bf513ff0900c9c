//! Who has a certificate, as far as streams, proxies and reports are counted.

/// A digest that stands for whoever has a certificate.
pub type Holder = [u8; 32];
