//! Password hashes: argon2id, a bounded number at a time, because each takes 19 MiB and a core.

use argon2::password_hash::phc::PasswordHash;
use argon2::{Argon2, Params, PasswordHasher, PasswordVerifier};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use claviger_domain::failure::Failure;
use claviger_domain::secret::SecretText;
use claviger_vault::Entropy;
use std::sync::Arc;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

#[expect(missing_debug_implementations, reason = "holds a hash")]
#[derive(Clone)]
pub struct Passwords {
    places: Arc<Semaphore>,
    entropy: Arc<dyn Entropy>,
    tracker: TaskTracker,
    /// Checked when there is no user, so that the check takes as long as for a real hash.
    nobody: Arc<SecretText>,
}

impl Passwords {
    /// Runs at most `at_once` hashes at a time.
    pub fn new(at_once: usize, entropy: Arc<dyn Entropy>, tracker: TaskTracker) -> Self {
        let nobody = Arc::new(of_nothing(&*entropy));
        Self { places: Arc::new(Semaphore::new(at_once)), entropy, tracker, nobody }
    }

    /// The hash of a password, in PHC format.
    ///
    /// # Errors
    /// When the process is shutting down.
    pub async fn hash(&self, password: &str) -> Result<SecretText, Failure> {
        let (password, salt) = (SecretText::new(password.to_owned()), salt(&*self.entropy));
        self.run(move || hash(password.expose().as_bytes(), &salt)).await?
    }

    /// Whether the password matches the hash. Without a hash it never does, in the same time.
    ///
    /// # Errors
    /// When the process is shutting down.
    pub async fn verify(
        &self,
        password: &SecretText,
        phc: Option<SecretText>,
    ) -> Result<bool, Failure> {
        let (password, nobody) = (password.clone(), Arc::clone(&self.nobody));
        self.run(move || {
            let (known, phc) = (phc.is_some(), phc.as_ref().unwrap_or(&nobody));
            let fits = PasswordHash::new(phc.expose()).is_ok_and(|parsed| {
                Argon2::default().verify_password(password.expose().as_bytes(), &parsed).is_ok()
            });
            known && fits
        })
        .await
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Failure> {
        let _place = self.places.acquire().await.map_err(|_| Failure::internal())?;
        self.tracker.spawn_blocking(work).await.map_err(|_| Failure::internal())
    }
}

fn salt(entropy: &dyn Entropy) -> [u8; 16] {
    let mut salt = [0; 16];
    entropy.fill(&mut salt);
    salt
}

/// A well-formed hash made without hashing: otherwise each start would take 19 MiB and the time of
/// a sign-in.
fn of_nothing(entropy: &dyn Entropy) -> SecretText {
    let mut digest = [0; 32];
    entropy.fill(&mut digest);
    let params = Params::default();
    let (memory, time, lanes) = (params.m_cost(), params.t_cost(), params.p_cost());
    let (salt, digest) = (STANDARD_NO_PAD.encode(salt(entropy)), STANDARD_NO_PAD.encode(digest));
    SecretText::new(format!("$argon2id$v=19$m={memory},t={time},p={lanes}${salt}${digest}"))
}

fn hash(password: &[u8], salt: &[u8]) -> Result<SecretText, Failure> {
    let phc = Argon2::default()
        .hash_password_with_salt(password, salt)
        .map_err(|_| Failure::internal())?;
    Ok(SecretText::new(phc.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Counting;

    impl Entropy for Counting {
        fn fill(&self, out: &mut [u8]) {
            (0..).zip(out).for_each(|(n, byte)| *byte = n);
        }
    }

    #[test]
    fn the_placeholder_hash_is_checked_like_any_other_and_matches_no_password() {
        let nobody = of_nothing(&Counting);
        let any = hash(b"a password", &salt(&Counting)).unwrap();
        let (nobody, any) =
            (PasswordHash::new(nobody.expose()).unwrap(), PasswordHash::new(any.expose()).unwrap());
        assert_eq!(
            (nobody.algorithm, nobody.version, &nobody.params),
            (any.algorithm, any.version, &any.params)
        );
        let lengths =
            |phc: &PasswordHash| (phc.salt.map(|salt| salt.len()), phc.hash.map(|hash| hash.len()));
        assert_eq!(lengths(&nobody), lengths(&any));
        let error = Argon2::default().verify_password(b"a password", &nobody).unwrap_err();
        assert_eq!(error, argon2::password_hash::Error::PasswordInvalid);
    }
}
