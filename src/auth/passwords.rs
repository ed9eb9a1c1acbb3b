//! Password hashes: argon2id, a bounded number at a time, because each takes 19 MiB and a core.

use argon2::password_hash::phc::PasswordHash;
use argon2::{Argon2, PasswordHasher, PasswordVerifier};
use claviger_domain::failure::Failure;
use claviger_domain::secret::SecretText;
use claviger_vault::Entropy;
use std::sync::Arc;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

/// Hashes and checks passwords.
#[expect(missing_debug_implementations, reason = "holds a hash")]
#[derive(Clone)]
pub struct Passwords {
    places: Arc<Semaphore>,
    entropy: Arc<dyn Entropy>,
    tracker: TaskTracker,
    /// A hash of nothing anybody knows: checked when there is no user, so that it takes as long as when there is one.
    nobody: Arc<SecretText>,
}

impl Passwords {
    /// At most `at_once` hashes at a time.
    ///
    /// # Errors
    /// When the parameters of argon2 don't fit, which they do.
    pub fn new(at_once: usize, entropy: Arc<dyn Entropy>, tracker: TaskTracker) -> Result<Self, Failure> {
        let nobody = hash(&salt(&*entropy), &salt(&*entropy))?;
        Ok(Self { places: Arc::new(Semaphore::new(at_once)), entropy, tracker, nobody: Arc::new(nobody) })
    }

    /// The hash of a password, as PHC text.
    ///
    /// # Errors
    /// When the process is going down.
    pub async fn hash(&self, password: &str) -> Result<SecretText, Failure> {
        let (password, salt) = (SecretText::new(password.to_owned()), salt(&*self.entropy));
        self.run(move || hash(password.expose().as_bytes(), &salt)).await?
    }

    /// Does the password fit the hash? Without a hash it doesn't, in the same time.
    ///
    /// # Errors
    /// When the process is going down.
    pub async fn verify(&self, password: &SecretText, phc: Option<SecretText>) -> Result<bool, Failure> {
        let (password, nobody) = (password.clone(), Arc::clone(&self.nobody));
        self.run(move || {
            let (known, phc) = (phc.is_some(), phc.as_ref().unwrap_or(&nobody));
            let fits = PasswordHash::new(phc.expose())
                .is_ok_and(|parsed| Argon2::default().verify_password(password.expose().as_bytes(), &parsed).is_ok());
            known && fits
        })
        .await
    }

    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Failure> {
        let _place = self.places.acquire().await.map_err(|_| Failure::internal())?;
        self.tracker.spawn_blocking(work).await.map_err(|_| Failure::internal())
    }
}

fn salt(entropy: &dyn Entropy) -> [u8; 16] {
    let mut salt = [0; 16];
    entropy.fill(&mut salt);
    salt
}

fn hash(password: &[u8], salt: &[u8]) -> Result<SecretText, Failure> {
    let phc = Argon2::default().hash_password_with_salt(password, salt).map_err(|_| Failure::internal())?;
    Ok(SecretText::new(phc.to_string()))
}
