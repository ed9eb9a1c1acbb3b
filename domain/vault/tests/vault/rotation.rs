//! Rotation replaces the key above and leaves the layers below unchanged.

use crate::support::{Counter, KEY, OWNER, RING, api_key};
use claviger_domain::secret::SecretText;
use claviger_vault::*;

fn two_keks(entropy: &Counter) -> (Kek, KekSet, KekSet) {
    let (old, new) = (Kek::generate(entropy), Kek::generate(entropy));
    let before = KekSet::new(vec![Kek::from_bytes(*old.expose())]).unwrap();
    let after =
        KekSet::new(vec![Kek::from_bytes(*new.expose()), Kek::from_bytes(*old.expose())]).unwrap();
    (new, before, after)
}

#[test]
fn a_new_kek_replaces_the_old_one_completely() {
    let entropy = Counter::default();
    let (new, before, during) = two_keks(&entropy);
    let old_id = before.current().id();
    let user = UserKey::generate(&entropy);
    let user_row = wrap_user_key(before.current(), &user, OWNER, 1, &entropy).unwrap();
    let index = IndexKey::generate(&entropy);
    let index_row = wrap_index_key(&user, &index, OWNER, 1, &entropy).unwrap();

    let user_row_after = rewrap_user_key(&during, old_id, OWNER, 1, &user_row, &entropy).unwrap();

    let after = KekSet::new(vec![new]).unwrap();
    let id = after.current().id();
    let user = unwrap_user_key(&after, id, OWNER, 1, &user_row_after).unwrap();
    let kept = unwrap_index_key(&user, OWNER, 1, &index_row).unwrap();
    assert_eq!(
        kept.context_tag("default"),
        index.context_tag("default"),
        "the layers below are unchanged"
    );
    assert_eq!(
        unwrap_user_key(&after, old_id, OWNER, 1, &user_row).err(),
        Some(VaultError::UnknownKek { id: old_id })
    );
    assert_eq!(unwrap_user_key(&after, id, OWNER, 1, &user_row).err(), Some(VaultError::WrongKey));
}

#[test]
fn a_new_user_key_replaces_the_old_one_for_everything_it_sealed() {
    let entropy = Counter::default();
    let (from, to) = (UserKey::generate(&entropy), UserKey::generate(&entropy));
    let change =
        UserKeyChange { owner: OWNER, from: &from, from_version: 1, to: &to, to_version: 2 };
    let (index, content, data) =
        (IndexKey::generate(&entropy), ContentKey::generate(&entropy), DataKey::generate(&entropy));
    let secret = api_key("sk-ant-api03-only-a-test");
    let phc = SecretText::new("$argon2id$v=19$only-a-test".to_owned());
    let old = DataKeyAd { owner: OWNER, key: KEY, secret_version: 3, user_key_version: 1 };
    let new = DataKeyAd { user_key_version: 2, ..old };
    let event = ContentAd { owner: OWNER, stream: RING, version: 1, kind: "KeyAdded", schema: 1 };
    let sealed = seal_secret(&data, &secret, OWNER, KEY, 3, &entropy).unwrap();
    let boxes = seal_content(&content, &event, b"{}", &entropy).unwrap();

    let rows = [
        wrap_index_key(&from, &index, OWNER, 1, &entropy),
        wrap_content_key(&from, &content, OWNER, RING, 1, &entropy),
        wrap_data_key(&from, &data, &old, &entropy),
        seal_credential(
            &from,
            &phc,
            &CredentialAd { owner: OWNER, password_version: 4, user_key_version: 1 },
            &entropy,
        ),
    ]
    .map(Result::unwrap);
    let [index_row, content_row, data_row, credential_row] = [
        rewrap_index_key(&change, &rows[0], &entropy),
        rewrap_content_key(&change, RING, &rows[1], &entropy),
        rewrap_data_key(&change, KEY, 3, &rows[2], &entropy),
        rewrap_credential(&change, 4, &rows[3], &entropy),
    ]
    .map(Result::unwrap);

    assert_eq!(
        unwrap_index_key(&to, OWNER, 2, &index_row).unwrap().context_tag("a"),
        index.context_tag("a")
    );
    let content = unwrap_content_key(&to, OWNER, RING, 2, &content_row).unwrap();
    assert_eq!(*open_content(&content, &event, &boxes).unwrap(), b"{}");
    let data = unwrap_data_key(&to, &new, &data_row).unwrap();
    assert!(open_secret(&data, OWNER, KEY, 3, &sealed).unwrap().expose() == secret.expose());
    assert!(
        open_credential(
            &to,
            &CredentialAd { owner: OWNER, password_version: 4, user_key_version: 2 },
            &credential_row
        )
        .unwrap()
            == phc
    );
    // A repeated rotation finds that the row has moved and returns an error; it cannot move a row
    // twice.
    assert_eq!(rewrap_index_key(&change, &index_row, &entropy), Err(VaultError::WrongKey));
}

#[test]
fn a_kek_set_rejects_empty_and_duplicate_lists_and_selects_by_id() {
    let entropy = Counter::default();
    assert_eq!(KekSet::new(Vec::new()).err(), Some(VaultError::NoKek));
    let keks: Vec<Kek> = (0..3).map(|_| Kek::generate(&entropy)).collect();
    let ids: Vec<[u8; 8]> = keks.iter().map(Kek::id).collect();
    let twice = Kek::from_bytes(*keks[2].expose());
    let set = KekSet::new(keks).unwrap();
    assert_eq!(set.ids(), ids);
    assert_eq!(set.current().id(), ids[0]);
    assert!(ids.iter().all(|id| set.get(*id).unwrap().id() == *id));
    let unknown = set.get([0xab; 8]).err().unwrap();
    assert_eq!(unknown, VaultError::UnknownKek { id: [0xab; 8] });
    assert!(unknown.to_string().contains("abababababababab"));
    let id = twice.id();
    let again =
        vec![twice, Kek::generate(&entropy), Kek::from_bytes(*set.get(id).unwrap().expose())];
    assert_eq!(KekSet::new(again).err(), Some(VaultError::DuplicateKek { id }));
}
