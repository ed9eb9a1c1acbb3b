//! Password hashes: argon2id, a bounded number at a time, because each takes 19 MiB and a core.
//!
//! A keyboard decides whether `é` is one character or two, so passwords have one normal form, that of
//! RFC 8265 (`OpaqueString`): spaces of every kind as a plain one, then NFC. Hashes made before that
//! rule are of the form that was typed then.

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
use unicode_normalization::UnicodeNormalization as _;

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
        let (password, salt) = (normal(password), salt(&*self.entropy));
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
        let (forms, nobody) = (forms(password), Arc::clone(&self.nobody));
        self.run(move || {
            let (known, phc) = (phc.is_some(), phc.as_ref().unwrap_or(&nobody));
            let fits = PasswordHash::new(phc.expose()).is_ok_and(|parsed| {
                forms.iter().any(|form| {
                    Argon2::default().verify_password(form.expose().as_bytes(), &parsed).is_ok()
                })
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

/// The normal form of a password.
fn normal(password: &str) -> SecretText {
    let plain_spaces = password.chars().map(|c| if is_space(c) { ' ' } else { c });
    // At once as long as it can be, so that no shorter copy is left behind.
    let mut text = String::with_capacity(password.len().saturating_mul(4));
    text.extend(plain_spaces.nfc());
    SecretText::new(text)
}

/// The category `Zs` of Unicode.
const fn is_space(c: char) -> bool {
    matches!(
        c,
        '\u{a0}' | '\u{1680}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}'
    )
}

/// What a hash may be of: the normal form, and for older hashes the text as it is typed and in the
/// form that a Mac's keyboard gives. Of most passwords all are the same.
fn forms(password: &SecretText) -> Vec<SecretText> {
    let mut forms = vec![normal(password.expose())];
    let mut apart = String::with_capacity(password.expose().len().saturating_mul(8));
    apart.extend(password.expose().nfd());
    let mut joined = String::with_capacity(password.expose().len().saturating_mul(4));
    joined.extend(password.expose().nfc());
    for form in [password.clone(), SecretText::new(joined), SecretText::new(apart)] {
        if forms.iter().all(|known| known.expose() != form.expose()) {
            forms.push(form);
        }
    }
    forms
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

    fn forms_of(text: &str) -> Vec<String> {
        let forms = forms(&SecretText::new(text.to_owned()));
        forms.iter().map(|form| form.expose().to_owned()).collect()
    }

    #[test]
    fn most_passwords_have_one_form_and_the_normal_one_comes_first() {
        assert_eq!(forms_of("correct horse battery"), ["correct horse battery"]);
        for typed in ["caf\u{e9}-long-word", "cafe\u{301}-long-word"] {
            assert_eq!(forms_of(typed), ["caf\u{e9}-long-word", "cafe\u{301}-long-word"]);
        }
        for typed in ["\u{1e9b}\u{323} word", "\u{ac01}\u{11a8} word", "\u{3000}word"] {
            let normal = &forms_of(typed)[0];
            assert_eq!(&forms_of(normal)[0], normal);
            assert!(forms_of(typed).contains(&typed.to_owned()));
        }
        // Compatible is not the same: RFC 8265 keeps what people told apart.
        assert_eq!(forms_of("\u{ff21}\u{fb01}-word")[0], "\u{ff21}\u{fb01}-word");
    }

    #[tokio::test]
    async fn a_password_is_known_in_each_form_and_old_hashes_still_open() {
        let passwords = Passwords::new(1, Arc::new(Counting), TaskTracker::new());
        let text = |text: &str| SecretText::new(text.to_owned());
        let spellings = ["caf\u{e9}\u{a0}word", "cafe\u{301} word", "caf\u{e9}\u{3000}word"];
        for made in spellings {
            let phc = passwords.hash(made).await.unwrap();
            for typed in spellings {
                assert!(passwords.verify(&text(typed), Some(phc.clone())).await.unwrap());
            }
            assert!(!passwords.verify(&text("cafe word"), Some(phc)).await.unwrap());
        }
        for old in ["caf\u{e9}-word", "cafe\u{301}-word"] {
            let phc = hash(old.as_bytes(), &salt(&Counting)).unwrap();
            for typed in ["caf\u{e9}-word", "cafe\u{301}-word"] {
                assert!(passwords.verify(&text(typed), Some(phc.clone())).await.unwrap());
            }
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
