//! The whole program seen from outside: real HTTP against the real server in this process, on every store there is. Only the clock
//! and Anthropic are the tests' own.
#![cfg(test)]

mod client;
mod crash;
mod expiry;
mod foreign;
mod idempotency;
mod inputs;
mod lists;
mod secrets;
mod sessions;
mod sign_in;
mod stage;
mod tokens;
mod tour;
mod verdicts;
mod versions;

/// Tests that run on every store: each body gets a fresh server.
macro_rules! on_every_store {
    () => {};
    (async fn $name:ident($stage:ident: $of:ident) $body:block $($rest:tt)*) => {
        $crate::scenario::on_every_store! { @one $name, $of, $stage, [$stage], $body }
        $crate::scenario::on_every_store! { $($rest)* }
    };
    (async fn $name:ident(mut $stage:ident: $of:ident) $body:block $($rest:tt)*) => {
        $crate::scenario::on_every_store! { @one $name, $of, $stage, [mut $stage], $body }
        $crate::scenario::on_every_store! { $($rest)* }
    };
    (@one $name:ident, $of:ident, $stage:ident, [$($binding:tt)+], $body:block) => {
        #[tokio::test]
        async fn $name() {
            for kind in $crate::scenario::stage::StoreKind::available() {
                let $($binding)+ = $of::open(*kind).await;
                Box::pin(async { $body }).await;
                $stage.close().await;
            }
        }
    };
}
use on_every_store;
