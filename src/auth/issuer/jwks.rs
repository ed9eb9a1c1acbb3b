//! An issuer's keys, fetched and cached.
//!
//! Cached keys are returned at once; stale ones are refreshed in the background
//! (stale-while-revalidate), so an issuer that is down changes nothing for known keys until they
//! are too old to use. An unknown key id makes requests wait for a fetch that began after they
//! came. All of them share that fetch, and fetches are spaced by a pause, so nobody can make this
//! server flood the issuer. After a fetch that failed, requests for unknown keys are refused at once
//! for a while.

use super::keys::{IssuerKey, KeySet, KeySetError};
use crate::anthropic::client::is_this_machine;
use futures::StreamExt as _;
use reqwest::{StatusCode, Url, redirect};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

/// Most bytes of a document: a hundred RSA keys with certificates fit.
const MAX_BODY: usize = 512 * 1024;

/// Requests that may wait for a fetch at once; further ones get "unavailable" immediately.
const MAX_WAITING: usize = 500;

/// The keys are unavailable.
#[derive(Debug, thiserror::Error)]
pub enum JwksError {
    /// The address is invalid, or would send keys over the network in clear text.
    #[error(
        "the address of the issuer's keys must be https://… (http:// only on this machine), without a password"
    )]
    Address,
    #[error("cannot create an HTTP client for the issuer's keys")]
    Setup(#[source] reqwest::Error),
    /// No response.
    #[error("the issuer does not respond")]
    Unreachable(#[source] reqwest::Error),
    /// A status other than 200. Redirects aren't followed.
    #[error("the issuer responds with status {0}")]
    Status(StatusCode),
    #[error("the issuer's response is larger than {MAX_BODY} bytes")]
    TooLarge,
    #[error("the issuer's response is not a usable key set")]
    Unusable(#[from] KeySetError),
    /// The last fetch failed and no keys are cached, or too many requests wait for a fetch.
    #[error("the issuer's keys are unavailable")]
    Unavailable,
}

/// When keys are fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JwksSettings {
    /// Older keys are still used, and refreshed in the background.
    pub fresh_for: Duration,
    /// Older keys aren't used: an issuer that was unreachable for this long may have withdrawn
    /// them.
    pub usable_for: Duration,
    /// The least time between the starts of two fetches.
    pub pause: Duration,
    /// For one fetch.
    pub timeout: Duration,
    /// For how long after a fetch that failed nobody waits for another.
    pub after_failure: Duration,
}

impl Default for JwksSettings {
    fn default() -> Self {
        Self {
            fresh_for: Duration::from_mins(5),
            usable_for: Duration::from_hours(24),
            pause: Duration::from_secs(5),
            timeout: Duration::from_secs(5),
            after_failure: Duration::from_secs(10),
        }
    }
}

#[derive(Default)]
struct Known {
    keys: Option<Arc<KeySet>>,
    /// When the fetch of these keys started.
    fetched_at: Option<Instant>,
    /// When the newest fetch started. It may still be running.
    began_at: Option<Instant>,
    /// When the newest completed fetch started, and whether it brought keys.
    ended: Option<(Instant, bool)>,
    /// When the newest completed fetch ended, if it failed.
    failed_at: Option<Instant>,
}

#[expect(missing_debug_implementations, reason = "a client and keys")]
pub struct Jwks {
    url: Url,
    client: reqwest::Client,
    settings: JwksSettings,
    tracker: TaskTracker,
    known: Mutex<Known>,
    /// Held by the request that fetches or waits for the pause to end.
    turn: tokio::sync::Mutex<()>,
    places: Semaphore,
}

/// Parses and checks the address of a key set.
///
/// # Errors
/// [`JwksError::Address`].
pub(crate) fn address(text: &str) -> Result<Url, JwksError> {
    let url = Url::parse(text.trim()).map_err(|_| JwksError::Address)?;
    let carried = url.scheme() == "https" || (url.scheme() == "http" && is_this_machine(&url));
    let plain = url.username().is_empty() && url.password().is_none();
    if carried && plain && url.has_host() { Ok(url) } else { Err(JwksError::Address) }
}

impl Jwks {
    /// Fetches nothing yet.
    ///
    /// # Errors
    /// [`JwksError::Address`], [`JwksError::Setup`].
    pub fn new(
        url: &str,
        settings: JwksSettings,
        tracker: TaskTracker,
    ) -> Result<Arc<Self>, JwksError> {
        let url = address(url)?;
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("claviger/", env!("CARGO_PKG_VERSION")))
            .redirect(redirect::Policy::none())
            .referer(false)
            .no_proxy()
            .no_gzip()
            .no_deflate()
            .no_brotli()
            .timeout(settings.timeout);
        if url.scheme() == "http" {
            builder = builder.tls_certs_only([]);
        }
        let client = builder.build().map_err(|error| JwksError::Setup(error.without_url()))?;
        let places = Semaphore::new(MAX_WAITING);
        Ok(Arc::new(Self {
            url,
            client,
            settings,
            tracker,
            known: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
            places,
        }))
    }

    /// Starts a fetch in the background, so that the first request needn't wait.
    pub fn warm_up(self: &Arc<Self>) {
        self.refresh_behind();
    }

    /// The keys of an id; `None` if the issuer has none with that id.
    ///
    /// # Errors
    /// [`JwksError::Unavailable`] when the issuer's keys can't be fetched.
    pub async fn find(self: &Arc<Self>, kid: &str) -> Result<Option<Vec<IssuerKey>>, JwksError> {
        if let Some(found) = self.at_hand(kid) {
            return Ok(Some(found));
        }
        let came_at = Instant::now();
        // Nothing is known of the key yet, so its token must not count as bad.
        let _place = self.places.try_acquire().map_err(|_| JwksError::Unavailable)?;
        self.unless_just_failed()?;
        let _turn = self.turn.lock().await;
        self.unless_just_failed()?;
        let served = self.lock().ended.filter(|(began_at, _)| *began_at >= came_at);
        let has_keys = if let Some((_, has_keys)) = served {
            has_keys
        } else {
            self.pause().await;
            let jwks = Arc::clone(self);
            // In a task of its own: if this request is dropped, the others still need the result.
            self.tracker.spawn(async move { jwks.fetch().await }).await.unwrap_or(false)
        };
        match self.at_hand(kid) {
            Some(found) => Ok(Some(found)),
            None if has_keys => Ok(None),
            None => Err(JwksError::Unavailable),
        }
    }

    /// An issuer that is down isn't asked again at once, nor waited for by everyone who comes.
    fn unless_just_failed(&self) -> Result<(), JwksError> {
        let failed_at = self.lock().failed_at;
        if failed_at.is_some_and(|at| at.elapsed() < self.settings.after_failure) {
            return Err(JwksError::Unavailable);
        }
        Ok(())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn at_hand(self: &Arc<Self>, kid: &str) -> Option<Vec<IssuerKey>> {
        let (found, age) = {
            let known = self.lock();
            let age = known.fetched_at?.elapsed();
            (known.keys.as_ref()?.find(kid).map(<[IssuerKey]>::to_vec), age)
        };
        if age > self.settings.usable_for {
            return None;
        }
        if age > self.settings.fresh_for {
            self.refresh_behind();
        }
        found
    }

    fn refresh_behind(self: &Arc<Self>) {
        let is_due =
            self.lock().began_at.is_none_or(|began_at| began_at.elapsed() >= self.settings.pause);
        // The holder of the lock is already fetching.
        if !is_due || self.turn.try_lock().is_err() {
            return;
        }
        let jwks = Arc::clone(self);
        self.tracker.spawn(async move {
            let Ok(_turn) = jwks.turn.try_lock() else { return };
            jwks.fetch().await;
        });
    }

    async fn pause(&self) {
        let began_at = self.lock().began_at;
        if let Some(began_at) = began_at {
            tokio::time::sleep_until(began_at + self.settings.pause).await;
        }
    }

    /// Fetches and caches; returns whether there were keys.
    async fn fetch(&self) -> bool {
        let began_at = Instant::now();
        self.lock().began_at = Some(began_at);
        let fetched = self.ask().await;
        let mut known = self.lock();
        known.ended = Some((began_at, fetched.is_ok()));
        known.failed_at = fetched.is_err().then(Instant::now);
        match fetched {
            Ok(keys) => {
                tracing::debug!(keys = keys.len(), "fetched the issuer's keys");
                known.keys = Some(Arc::new(keys));
                known.fetched_at = Some(began_at);
                true
            }
            Err(error) => {
                // The error's cause may quote the response; the kind is enough.
                tracing::warn!(%error, kept = known.keys.is_some(), "cannot fetch the issuer's keys");
                false
            }
        }
    }

    async fn ask(&self) -> Result<KeySet, JwksError> {
        let unreachable = |error: reqwest::Error| JwksError::Unreachable(error.without_url());
        let request = self
            .client
            .get(self.url.clone())
            .header("accept", "application/jwk-set+json, application/json");
        let response = request.send().await.map_err(unreachable)?;
        if response.status() != StatusCode::OK {
            return Err(JwksError::Status(response.status()));
        }
        let mut body = Vec::new();
        let mut pieces = response.bytes_stream();
        while let Some(piece) = pieces.next().await {
            body.extend_from_slice(&piece.map_err(unreachable)?);
            if body.len() > MAX_BODY {
                return Err(JwksError::TooLarge);
            }
        }
        Ok(KeySet::read(&body)?)
    }
}
