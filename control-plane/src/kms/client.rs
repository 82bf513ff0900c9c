//! The SDK's client of KMS: its calls, and errors with messages. The types of the SDK are used here only.

use std::collections::HashMap;
use std::error::Error;
use std::time::Duration;

use aws_sdk_kms::Client;
use aws_sdk_kms::config::Region;
use aws_sdk_kms::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::{DataKeySpec, MessageType, SigningAlgorithmSpec};
use fleetmesh_model::causes::in_one_line;
use futures::future::BoxFuture;
use tokio::sync::OnceCell;

use super::{DataKey, HeldKey, KeyArn, KmsContext, KmsError, Signing};
use crate::aws::{self, CallLimits};

/// Instances wait for a call, for 30 s at the most.
const LIMITS: CallLimits = CallLimits { attempt: Duration::from_secs(4), operation: Duration::from_secs(10) };
/// What KMS says when what is to be decrypted is not of this key and context.
const FOREIGN: [&str; 2] = ["InvalidCiphertextException", "IncorrectKeyException"];

/// A key of AWS KMS.
#[derive(Debug)]
pub struct AwsKey {
    arn: KeyArn,
    client: OnceCell<Client>,
}

impl AwsKey {
    /// The key with this ARN, in its region and with the credentials that the environment gives in AWS's usual ways. Nothing
    /// is connected yet.
    pub fn new(arn: KeyArn) -> Self {
        Self { arn, client: OnceCell::new() }
    }

    async fn client(&self) -> &Client {
        self.client.get_or_init(|| connect(self.arn.region())).await
    }
}

async fn connect(region: &str) -> Client {
    Client::new(&aws::config(LIMITS, Region::new(region.to_owned())).await)
}

impl HeldKey for AwsKey {
    fn arn(&self) -> &KeyArn {
        &self.arn
    }

    fn public_key(&self) -> BoxFuture<'_, Result<Vec<u8>, KmsError>> {
        Box::pin(async {
            let call = self.client().await.get_public_key().key_id(self.arn.to_string());
            let answer = call.send().await.map_err(|error| failed(&error))?;
            whole(answer.public_key)
        })
    }

    fn sign(&self, digest: Vec<u8>, signing: Signing) -> BoxFuture<'_, Result<Vec<u8>, KmsError>> {
        let algorithm = match signing {
            Signing::EcdsaSha256 => SigningAlgorithmSpec::EcdsaSha256,
            Signing::EcdsaSha384 => SigningAlgorithmSpec::EcdsaSha384,
        };
        Box::pin(async {
            let call = self.client().await.sign().key_id(self.arn.to_string());
            // A message itself may have 4,096 bytes, and a certificate with many names has more.
            let call = call.message(Blob::new(digest)).message_type(MessageType::Digest);
            let answer = call.signing_algorithm(algorithm).send().await.map_err(|error| failed(&error))?;
            whole(answer.signature)
        })
    }

    fn generate_data_key(&self, context: &'static KmsContext) -> BoxFuture<'_, Result<DataKey, KmsError>> {
        Box::pin(async {
            let call = self.client().await.generate_data_key().key_id(self.arn.to_string());
            let call = call.key_spec(DataKeySpec::Aes256).set_encryption_context(Some(pairs(context)));
            let answer = call.send().await.map_err(|error| failed(&error))?;
            Ok(DataKey { plain: whole(answer.plaintext)?, encrypted: whole(answer.ciphertext_blob)? })
        })
    }

    fn decrypt(
        &self,
        encrypted: Vec<u8>,
        context: &'static KmsContext,
    ) -> BoxFuture<'_, Result<Vec<u8>, KmsError>> {
        Box::pin(async {
            // With the key's name: whatever else these credentials may decrypt is none of ours.
            let call = self.client().await.decrypt().key_id(self.arn.to_string());
            let call =
                call.ciphertext_blob(Blob::new(encrypted)).set_encryption_context(Some(pairs(context)));
            whole(call.send().await.map_err(|error| failed(&error))?.plaintext)
        })
    }
}

fn pairs(context: &KmsContext) -> HashMap<String, String> {
    context.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn whole(blob: Option<Blob>) -> Result<Vec<u8>, KmsError> {
    blob.map(Blob::into_inner).ok_or_else(|| KmsError::Failed("KMS's answer is not complete".into()))
}

/// Why a call failed, in one line: KMS's own code and message, or what the transport says.
fn failed<E, R>(error: &SdkError<E, R>) -> KmsError
where
    E: ProvideErrorMetadata + Error + 'static,
    R: std::fmt::Debug,
{
    let SdkError::ServiceError(context) = error else { return KmsError::Failed(in_one_line(error)) };
    let code = context.err().code().unwrap_or("an error without a code");
    let words = match context.err().message() {
        Some(message) => format!("{code}: {message}"),
        None => code.to_owned(),
    };
    if FOREIGN.contains(&code) { KmsError::Foreign(words) } else { KmsError::Failed(words) }
}
