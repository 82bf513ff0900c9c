//! The holder of a certificate, as the unit by which streams, proxies and reports are counted.

/// A digest that stands for whoever has a certificate.
pub type Holder = [u8; 32];
