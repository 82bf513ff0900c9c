//! The calls of KMS, by signed requests.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fleetmesh_signing::JsonOperation;
use futures::future::BoxFuture;
use serde_json::{Map, Value, json};

use super::{DataKey, HeldKey, KeyArn, KmsContext, KmsError, Signing};
use crate::aws::{CallFailure, CallLimits, JsonClient};

/// Instances wait for a call, for 30 s at the most.
const LIMITS: CallLimits = CallLimits { attempt: Duration::from_secs(4), operation: Duration::from_secs(10) };
/// The most bytes of an answer: a ciphertext has at most 6,144 (`CiphertextType`).
const LONGEST: usize = 64 * 1024;
/// What KMS says when what is to be decrypted is not of this key and context.
const FOREIGN: [&str; 2] = ["InvalidCiphertextException", "IncorrectKeyException"];

const GET_PUBLIC_KEY: JsonOperation = operation("TrentService.GetPublicKey");
const SIGN: JsonOperation = operation("TrentService.Sign");
const GENERATE_DATA_KEY: JsonOperation = operation("TrentService.GenerateDataKey");
const DECRYPT: JsonOperation = operation("TrentService.Decrypt");

const fn operation(target: &'static str) -> JsonOperation {
    JsonOperation { service: "kms", host: "kms", service_id: "KMS", target }
}

/// A key of AWS KMS.
#[derive(Debug)]
pub struct AwsKey {
    arn: KeyArn,
    client: JsonClient,
}

impl AwsKey {
    /// The key with this ARN, in its region and with the credentials that the environment gives in AWS's usual ways. Nothing
    /// is connected yet.
    pub fn new(arn: KeyArn) -> Self {
        let client = JsonClient::new(arn.region().to_owned(), LIMITS, LONGEST);
        Self { arn, client }
    }

    /// With the key's name in every request: whatever else these credentials may do is none of ours.
    async fn call(&self, operation: &JsonOperation, mut input: Value) -> Result<Value, KmsError> {
        input["KeyId"] = self.arn.to_string().into();
        Ok(self.client.call(operation, self.arn.region(), &input).await?)
    }
}

impl HeldKey for AwsKey {
    fn arn(&self) -> &KeyArn {
        &self.arn
    }

    fn public_key(&self) -> BoxFuture<'_, Result<Vec<u8>, KmsError>> {
        Box::pin(async { blob(&self.call(&GET_PUBLIC_KEY, json!({})).await?, "PublicKey") })
    }

    fn sign(&self, digest: Vec<u8>, signing: Signing) -> BoxFuture<'_, Result<Vec<u8>, KmsError>> {
        let algorithm = match signing {
            Signing::EcdsaSha256 => "ECDSA_SHA_256",
            Signing::EcdsaSha384 => "ECDSA_SHA_384",
        };
        // A message itself may have 4,096 bytes, and a certificate with many names has more.
        let message = STANDARD.encode(digest);
        let input = json!({ "Message": message, "MessageType": "DIGEST", "SigningAlgorithm": algorithm });
        Box::pin(async { blob(&self.call(&SIGN, input).await?, "Signature") })
    }

    fn generate_data_key(&self, context: &'static KmsContext) -> BoxFuture<'_, Result<DataKey, KmsError>> {
        let input = json!({ "KeySpec": "AES_256", "EncryptionContext": pairs(context) });
        Box::pin(async {
            let answer = self.call(&GENERATE_DATA_KEY, input).await?;
            Ok(DataKey { plain: blob(&answer, "Plaintext")?, encrypted: blob(&answer, "CiphertextBlob")? })
        })
    }

    fn decrypt(
        &self,
        encrypted: Vec<u8>,
        context: &'static KmsContext,
    ) -> BoxFuture<'_, Result<Vec<u8>, KmsError>> {
        let encrypted = STANDARD.encode(encrypted);
        let input = json!({ "CiphertextBlob": encrypted, "EncryptionContext": pairs(context) });
        Box::pin(async { blob(&self.call(&DECRYPT, input).await?, "Plaintext") })
    }
}

fn pairs(context: &KmsContext) -> Map<String, Value> {
    context.iter().map(|(key, value)| ((*key).to_owned(), (*value).into())).collect()
}

/// The bytes of a member of an answer. What is wrong with them is not shown: they may be a key.
fn blob(answer: &Value, member: &str) -> Result<Vec<u8>, KmsError> {
    let decoded = answer[member].as_str().and_then(|text| STANDARD.decode(text).ok());
    decoded.ok_or_else(|| KmsError::Failed("KMS's answer is not complete".into()))
}

impl From<CallFailure> for KmsError {
    fn from(failure: CallFailure) -> Self {
        let CallFailure { code, words } = failure;
        if FOREIGN.contains(&code.as_str()) { Self::Foreign(words) } else { Self::Failed(words) }
    }
}
