//! The accounts, region and partition of a control plane. They are part of every ARN. Pure data.

use std::collections::BTreeSet;

use fleetmesh_model::{Account, AccountId, Arn, ResourceId};

/// Which accounts, in which region of which partition, the resources belong to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The partition, for example `aws` or `aws-cn`.
    pub partition: String,
    /// The region, for example `us-west-2`.
    pub region: String,
    /// The 12 digits of the first account, which everything belongs to that names none.
    pub account: String,
    /// The other accounts that are served. What is stored of an account that is not among them is neither shown nor served.
    pub others: BTreeSet<AccountId>,
}

impl Default for Identity {
    /// An account for trying things out, in `us-west-2`.
    fn default() -> Self {
        Self {
            partition: "aws".into(),
            region: "us-west-2".into(),
            account: "111122223333".into(),
            others: BTreeSet::new(),
        }
    }
}

impl Identity {
    /// The account with these digits; `None` when it is not served.
    pub fn account(&self, digits: &str) -> Option<Account> {
        self.any_account(digits).ok().filter(|account| self.serves(*account))
    }

    /// The account with these digits, whether or not it is served.
    ///
    /// # Errors
    /// In words: it is no account id.
    pub fn any_account(&self, digits: &str) -> Result<Account, String> {
        if digits == self.account {
            return Ok(Account::First);
        }
        digits.parse().map(Account::Other)
    }

    /// The digits of `account`.
    pub fn digits(&self, account: Account) -> String {
        match account {
            Account::First => self.account.clone(),
            Account::Other(id) => id.to_string(),
        }
    }

    /// Whether `account` is served.
    pub fn serves(&self, account: Account) -> bool {
        match account {
            Account::First => true,
            Account::Other(id) => self.others.contains(&id),
        }
    }

    /// The full ARN of `resource`, with the account that owns its mesh.
    pub fn arn(&self, resource: &ResourceId) -> String {
        let (partition, region) = (self.partition.clone(), self.region.clone());
        let account = self.digits(resource.mesh_name().owner());
        Arn { partition, region, account, resource: resource.clone() }.to_string()
    }

    /// The resource that an ARN names; `None` when it is of another partition or region, or of an account that is not served.
    pub fn named(&self, arn: Arn) -> Option<ResourceId> {
        let Arn { partition, region, account, resource } = arn;
        let ours = (&partition, &region) == (&self.partition, &self.region);
        let owner = self.account(&account).filter(|_| ours)?;
        Some(resource.owned_by(owner))
    }

    /// The resource that `text` names in App Mesh's short form, in a mesh of the first account unless it says
    /// `mesh/NAME@ACCOUNT/…`.
    ///
    /// # Errors
    /// In words: it names none, or the account is not served.
    pub fn short(&self, text: &str) -> Result<ResourceId, String> {
        let (resource, owner) = ResourceId::parse_short(text)?;
        let Some(owner) = owner else { return Ok(resource) };
        let owner = self.account(&owner.to_string());
        let owner = owner.ok_or_else(|| format!("{text:?} is of an account that is not served"))?;
        Ok(resource.owned_by(owner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity() -> Identity {
        Identity { others: ["444455556666".parse().expect("an account")].into(), ..Identity::default() }
    }

    #[test]
    fn both_forms_name_the_same_resource_of_the_same_account_and_no_other() {
        let identity = identity();
        let own = ResourceId::virtual_node("apps", "a");
        let others = own.clone().owned_by(identity.account("444455556666").expect("it is served"));
        for (id, arn, short) in [
            (
                &own,
                "arn:aws:appmesh:us-west-2:111122223333:mesh/apps/virtualNode/a",
                "mesh/apps/virtualNode/a",
            ),
            (
                &others,
                "arn:aws:appmesh:us-west-2:444455556666:mesh/apps/virtualNode/a",
                "mesh/apps@444455556666/virtualNode/a",
            ),
        ] {
            assert_eq!(identity.arn(id), arn);
            assert_eq!(identity.named(Arn::parse(arn).expect("an ARN")).as_ref(), Some(id));
            assert_eq!((identity.short(short).as_ref(), id.to_string().as_str()), (Ok(id), short));
        }
        // The first account by its digits is the first account.
        assert_eq!(identity.short("mesh/apps@111122223333/virtualNode/a"), Ok(own));
        assert_eq!(
            identity.short("mesh/apps@444455556666").map(|mesh| mesh.name().to_owned()),
            Ok("apps".to_owned())
        );
        assert!(identity.short("mesh/apps@777788889999/virtualNode/a").is_err());
        for text in [
            "arn:aws:appmesh:us-west-2:777788889999:mesh/apps",
            "arn:aws:appmesh:eu-west-1:444455556666:mesh/apps",
            "arn:aws-cn:appmesh:us-west-2:111122223333:mesh/apps",
        ] {
            assert_eq!(identity.named(Arn::parse(text).expect("an ARN")), None, "{text}");
        }
    }
}
