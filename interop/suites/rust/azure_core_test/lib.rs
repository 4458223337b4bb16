//! The part of azure_core_test that the live tests of azure_messaging_eventhubs use. The published crate of that name
//! works with another version of azure_core.

use azure_core::{
    credentials::{AccessToken, Secret, TokenCredential, TokenRequestOptions},
    time::{Duration, OffsetDateTime},
};
use std::{env, sync::Arc};

/// The attribute `recorded::test(live)`.
pub mod recorded {
    pub use macros::test;
}

/// What a test gets.
pub struct TestContext(Recording);

impl TestContext {
    #[doc(hidden)]
    pub fn live() -> Self {
        TestContext(Recording)
    }

    pub fn recording(&self) -> &Recording {
        &self.0
    }
}

pub struct Recording;

impl Recording {
    /// A variable of the environment.
    pub fn var(&self, name: &str, _: Option<()>) -> String {
        env::var(name).unwrap_or_else(|_| panic!("{name} is not set"))
    }

    pub fn credential(&self) -> Arc<dyn TokenCredential> {
        Arc::new(Credential)
    }
}

/// Hands on the token in the environment.
#[derive(Debug)]
struct Credential;

#[async_trait::async_trait]
impl TokenCredential for Credential {
    async fn get_token(&self, _: &[&str], _: Option<TokenRequestOptions<'_>>) -> azure_core::Result<AccessToken> {
        Ok(AccessToken {
            token: Secret::new(env::var("INTEROP_TOKEN").expect("INTEROP_TOKEN is set")),
            expires_on: OffsetDateTime::now_utc() + Duration::hours(1),
        })
    }
}
