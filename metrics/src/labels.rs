//! The labels of a family, known without a sample of it.

use std::fmt;
use std::hash::Hash;

use prometheus_client::encoding::EncodeLabelSet;

/// A set of labels. Made by [`labels!`](crate::labels), so that the names are those of the members.
pub trait Labels: EncodeLabelSet + Clone + fmt::Debug + Eq + Hash + Send + Sync + 'static {
    /// The names, in the order of the page.
    const NAMES: &'static [&'static str];
}

/// Declares sets of labels: `labels! { struct CallLabels { service: String, result: &'static str } }`. The crate that uses
/// it depends on `prometheus-client` too, which the code that is derived names.
#[macro_export]
macro_rules! labels {
    ($($(#[$attribute:meta])* $visible:vis struct $name:ident { $($label:ident: $type:ty),+ $(,)? })+) => {$(
        $(#[$attribute])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, $crate::EncodeLabelSet)]
        $visible struct $name {
            $($label: $type,)+
        }

        impl $crate::Labels for $name {
            const NAMES: &'static [&'static str] = &[$(stringify!($label)),+];
        }
    )+};
}
