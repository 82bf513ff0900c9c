//! Which hosts a gateway route is for. Pure.

use fleetmesh_model::gateway_route_match::GatewayRouteHostnameMatch;

/// Which hosts a route is for. The order is that of what is less special.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Hosts {
    /// This one, in lower case.
    One(String),
    /// Those that end so, in lower case.
    Ending(String),
    /// All of them.
    Any,
}

impl Hosts {
    /// The hosts that `matcher` means. DNS names have no case, and a dot at the end or a star at the beginning says nothing.
    pub(super) fn of(matcher: Option<&GatewayRouteHostnameMatch>) -> Self {
        match matcher {
            None => Self::Any,
            Some(GatewayRouteHostnameMatch::Exact(name)) => {
                Self::One(name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase())
            }
            Some(GatewayRouteHostnameMatch::Suffix(end)) => {
                let end = end.strip_prefix('*').unwrap_or(end);
                let end = end.strip_suffix('.').unwrap_or(end).to_ascii_lowercase();
                if end.is_empty() { Self::Any } else { Self::Ending(end) }
            }
        }
    }

    /// Whether all of `other` are among them.
    pub(super) fn cover(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Any, _) => true,
            (Self::Ending(end), Self::Ending(name) | Self::One(name)) => name.ends_with(end.as_str()),
            (Self::One(name), Self::One(other)) => name == other,
            (Self::Ending(_), Self::Any) | (Self::One(_), Self::Ending(_) | Self::Any) => false,
        }
    }

    /// As Envoy spells them.
    pub(super) fn name(&self) -> String {
        match self {
            Self::One(name) => name.clone(),
            Self::Ending(end) => format!("*{end}"),
            Self::Any => "*".to_owned(),
        }
    }
}
