//! The architecture of a fleet: that of its instance types, which its AMI has to have, too. Pure.

use std::collections::BTreeMap;

use fleetmesh_crds::Reason;
use fleetmesh_crds::fleet::{DEFAULT_SSM_PARAMETER, DEFAULT_SSM_PARAMETER_ARM64, Image};

use super::class::{Admitted, ClassRefusal};
use crate::failure::Failure;

/// The architectures that each instance type runs, in EC2's words, by type.
pub type KnownTypes = BTreeMap<String, Vec<String>>;

/// What never changes about an AMI.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImageFacts {
    /// Whose it is: the account's id, and the alias that EC2 has for it, if any. Empty when the account cannot see it.
    pub owners: Vec<String>,
    /// Its architecture in EC2's words.
    pub architecture: Option<String>,
}

/// An architecture that AMIs are made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Architecture {
    /// Intel's and AMD's, `x86_64`.
    X86,
    /// Graviton, `arm64`.
    Arm,
}

impl Architecture {
    const ALL: [Self; 2] = [Self::X86, Self::Arm];

    /// EC2's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::X86 => "x86_64",
            Self::Arm => "arm64",
        }
    }
}

/// The architecture that all of a fleet's types run; `None` when it launches nothing. Types that the region does not have are passed
/// over as long as it has one.
///
/// # Errors
/// A type runs none that AMIs are made for, or types have none in common: instances of a fleet start from one AMI.
pub fn of_types(admitted: &Admitted, known: &KnownTypes) -> Result<Option<Architecture>, ClassRefusal> {
    let types = admitted.fleet.capacity.iter().flat_map(|capacity| &capacity.instance_types);
    let runs = |type_: &str, one: Architecture| {
        known.get(type_).is_some_and(|runs| runs.iter().any(|word| word == one.as_str()))
    };
    let types: Vec<&String> = types.collect();
    let there: Vec<&&String> = types.iter().filter(|type_| known.contains_key(**type_)).collect();
    if types.is_empty() || admitted.fleet.enroll.is_some() {
        return Ok(None);
    }
    let common = Architecture::ALL
        .into_iter()
        .filter(|_| !there.is_empty())
        .find(|one| there.iter().all(|type_| runs(type_, *one)));
    let named = || {
        let of = |type_: &&String| match known.get(*type_) {
            Some(runs) => format!("{type_} ({})", runs.join(", ")),
            None => format!("{type_} (nothing that EC2 says)"),
        };
        types.iter().map(of).collect::<Vec<_>>().join(", ")
    };
    match common {
        Some(one) => Ok(Some(one)),
        None => Err(ClassRefusal {
            reason: Reason::ValueNotInClass,
            message: format!(
                "the instance types of the fleet run no architecture in common, and its instances start from one AMI: {}. Name types of one architecture in fleet.capacity.instanceTypes, x86_64 or arm64; FleetClass {} has what a fleet gets that names none",
                named(),
                admitted.class
            ),
        }),
    }
}

/// Why nothing is launched when EC2 does not say what the types run.
pub fn unknown(failure: Failure) -> Failure {
    let message = format!(
        "the architecture of the instance types is unknown, and nothing is launched: {}",
        failure.message
    );
    Failure { message, ..failure }
}

/// The AMI of a fleet: what it names or its class, or else Amazon Linux 2023 for its architecture.
pub fn image(admitted: &Admitted, architecture: Option<Architecture>) -> Option<Image> {
    let image = admitted.fleet.image.clone().filter(|_| admitted.fleet.enroll.is_none())?;
    let for_arm = architecture == Some(Architecture::Arm)
        && admitted.default_image
        && image.ssm_parameter.as_deref() == Some(DEFAULT_SSM_PARAMETER);
    let arm = Image { id: None, ssm_parameter: Some(DEFAULT_SSM_PARAMETER_ARM64.to_owned()) };
    Some(if for_arm { arm } else { image })
}

/// Why an AMI does not start on a fleet's instances, if it does not. `of_image` is what EC2 says of the AMI; nothing is refused
/// where it says nothing.
pub fn mismatch(
    admitted: &Admitted,
    architecture: Option<Architecture>,
    image: &str,
    of_image: Option<&str>,
) -> Option<ClassRefusal> {
    let (wanted, found) = (architecture?.as_str(), of_image?);
    let message = format!(
        "the AMI {image} of fleet.image is for {found}, and the instance types of the fleet run {wanted}. Name an AMI for {wanted}, or types of the other architecture, of those that FleetClass {} allows",
        admitted.class
    );
    (wanted != found).then_some(ClassRefusal { reason: Reason::ValueNotInClass, message })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::class::tests::with_types;

    fn known() -> KnownTypes {
        let of = |type_: &str, runs: &[&str]| {
            (type_.to_owned(), runs.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>())
        };
        KnownTypes::from([
            of("t2.small", &["i386", "x86_64"]),
            of("t3.small", &["x86_64"]),
            of("t4g.small", &["arm64"]),
            of("m7g.large", &["arm64"]),
            of("mac2.metal", &["arm64_mac"]),
        ])
    }

    #[test]
    fn the_types_decide_on_the_architecture_and_a_mix_is_refused_with_the_way_out() {
        let of = |types: &[&str]| of_types(&with_types(types), &known());
        assert_eq!(of(&["t3.small", "t2.small"]), Ok(Some(Architecture::X86)));
        assert_eq!(of(&["t4g.small", "m7g.large"]), Ok(Some(Architecture::Arm)));
        assert_eq!(of(&["t9.small", "m7g.large"]), Ok(Some(Architecture::Arm)), "the region has one of them");
        for (mix, words) in [
            (["t3.small", "t4g.small"], "t3.small (x86_64), t4g.small (arm64)"),
            (["t3.small", "mac2.metal"], "mac2.metal (arm64_mac)"),
            (["t9.large", "t9.small"], "t9.small (nothing that EC2 says)"),
        ] {
            let refusal = of(&mix).unwrap_err();
            assert_eq!(refusal.reason, Reason::ValueNotInClass);
            assert!(refusal.message.contains(words), "{}", refusal.message);
            assert!(refusal.message.contains("fleet.capacity.instanceTypes"), "{}", refusal.message);
        }
    }

    #[test]
    fn only_the_default_ami_follows_the_architecture() {
        let arm = Some(Architecture::Arm);
        let default = with_types(&["t4g.small"]);
        let parameter = |image: Option<Image>| image.and_then(|image| image.ssm_parameter);
        assert_eq!(parameter(image(&default, arm)).as_deref(), Some(DEFAULT_SSM_PARAMETER_ARM64));
        assert_eq!(
            parameter(image(&default, Some(Architecture::X86))).as_deref(),
            Some(DEFAULT_SSM_PARAMETER)
        );
        let named = Admitted { default_image: false, ..default };
        assert_eq!(parameter(image(&named, arm)).as_deref(), Some(DEFAULT_SSM_PARAMETER), "as it was named");
        let refusal = mismatch(&named, arm, "ami-1", Some("x86_64")).unwrap();
        assert!(refusal.message.contains("ami-1") && refusal.message.contains("Name an AMI for arm64"));
        assert_eq!(mismatch(&named, arm, "ami-1", Some("arm64")), None);
        assert_eq!(mismatch(&named, arm, "ami-1", None), None, "EC2 says nothing of it");
    }
}
