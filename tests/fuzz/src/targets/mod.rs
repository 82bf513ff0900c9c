//! The parsers, each with well-formed inputs to begin with and what must hold of every input.

mod ads;
mod certificates;
mod join;
mod load_reports;
mod mesh;
mod protobuf;
mod signatures;
mod standalone;
mod xml;

use anyhow::{Result, bail};
use fleetmesh_mesh::ads::stream::Variant;

/// Something that reads what strangers send.
pub trait Target {
    /// Its name, one of [`NAMES`].
    fn name(&self) -> &'static str;

    /// Well-formed inputs, each taken by the parser.
    fn seeds(&self) -> Vec<Vec<u8>>;

    /// Pieces that mean something to the parser.
    fn words(&self) -> &'static [&'static [u8]];

    /// Tries one input: whether the parser took it.
    ///
    /// # Errors
    /// In words: what must hold does not. A panic is a failure as well.
    fn try_input(&self, input: &[u8]) -> Result<bool, String>;
}

/// The names of the targets.
pub const NAMES: [&str; 12] = [
    "ads",
    "ads-delta",
    "certificates",
    "join",
    "load-reports",
    "protobuf",
    "sigv4",
    "standalone-patches",
    "standalone-protobuf",
    "standalone-requests",
    "standalone-selectors",
    "xml",
];

/// The target of this name, with whatever it needs.
///
/// # Errors
/// There is none of this name, or it cannot be set up.
pub fn target(name: &str) -> Result<Box<dyn Target>> {
    Ok(match name {
        "ads" => Box::new(ads::Ads::new(Variant::StateOfTheWorld)?),
        "ads-delta" => Box::new(ads::Ads::new(Variant::Delta)?),
        "certificates" => Box::new(certificates::Certificates::new()?),
        "join" => Box::new(join::JoinTarget::new()?),
        "load-reports" => Box::new(load_reports::LoadReports::new()?),
        "protobuf" => Box::new(protobuf::Protobuf),
        "sigv4" => Box::new(signatures::Signatures::new()?),
        "standalone-patches" => Box::new(standalone::Patches::new()?),
        "standalone-protobuf" => Box::new(standalone::Bodies::new()?),
        "standalone-requests" => Box::new(standalone::Requests::new()?),
        "standalone-selectors" => Box::new(standalone::Selectors::new()?),
        "xml" => Box::new(xml::Xml),
        _ => bail!("no target {name:?}: there are {}", NAMES.join(", ")),
    })
}
