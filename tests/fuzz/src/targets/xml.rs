//! Answers of STS, in XML. Of a document only the caller is taken, and a caller that becomes the name of a role in a
//! certificate is read from it as the same.

use fleetmesh_control_plane::fuzzing::sts_caller;
use fleetmesh_mesh::grant::Joined;

use super::Target;

/// See the module.
pub struct Xml;

impl Target for Xml {
    fn name(&self) -> &'static str {
        "xml"
    }

    fn seeds(&self) -> Vec<Vec<u8>> {
        let caller = |arn: &str, id: &str| {
            format!(
                "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\n\
                 <GetCallerIdentityResult>\n<Arn>{arn}</Arn>\n<UserId>{id}</UserId>\n<Account>111122223333</Account>\n\
                 </GetCallerIdentityResult>\n<ResponseMetadata><RequestId>1</RequestId></ResponseMetadata>\n\
                 </GetCallerIdentityResponse>\n"
            )
        };
        let instance = "i-0123456789abcdef0";
        let session = format!("arn:aws:sts::111122223333:assumed-role/apps-serviceB/{instance}");
        [
            caller(&session, &format!("AROAEXAMPLEEXAMPLE00:{instance}")),
            caller("arn:aws:iam::111122223333:user/somebody", "AIDAEXAMPLEEXAMPLE00"),
        ]
        .map(String::into_bytes)
        .to_vec()
    }

    fn words(&self) -> &'static [&'static [u8]] {
        &[
            b"<Arn>",
            b"</Arn>",
            b"<UserId>",
            b"<GetCallerIdentityResult>",
            b"</GetCallerIdentityResult>",
            b"<![CDATA[",
            b"]]>",
            b"&amp;",
            b"&lt;Arn&gt;",
            b"&#x2f;",
            b"&#0;",
            b"<!DOCTYPE a [<!ENTITY b \"c\">]>",
            b"&b;",
            b"<!--",
            b"<?xml version=\"1.0\"?>",
            b"<a><a><a><a><a><a><a><a>",
        ]
    }

    fn try_input(&self, input: &[u8]) -> Result<bool, String> {
        let Ok(caller) = sts_caller(input) else { return Ok(false) };
        if caller.arn.len() + caller.user_id.len() > input.len() {
            return Err("the caller is longer than the answer".to_owned());
        }
        let Ok(joined) = Joined::parse(&caller) else { return Ok(true) };
        let uris = joined.uris();
        let read = Joined::of(uris.iter().map(String::as_str));
        if read.as_ref() != Some(&joined) || uris.iter().any(|uri| !uri.is_ascii()) {
            return Err(format!("{joined:?} is read from a certificate as {read:?}"));
        }
        Ok(true)
    }
}
