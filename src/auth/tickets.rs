//! Stream tickets (`ops/docs/FORMATS.md`, section 4), for clients that can't send a header. Tickets
//! are stateless: nothing is stored.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use claviger_application::ForeignToken;
use claviger_domain::actor::Role;
use claviger_domain::id::{SessionId, UserId};
use claviger_domain::secret::SecretText;
use claviger_domain::timestamp::Timestamp;
use claviger_vault::StoreIndexKey;
use std::collections::BTreeSet;
use uuid::Uuid;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ticket {
    pub id: Uuid,
    pub user: UserId,
    pub session: SessionId,
    /// The end of the period for its first use.
    pub first_use_until: Timestamp,
    /// The issuer's token it was made with, which also bounds the ticket's life.
    pub foreign: Option<ForeignToken>,
    /// The roles in that token, where the issuer decides roles.
    pub claimed: BTreeSet<Role>,
}

/// The bit set when the issuer's token decides roles; the lower bits are the roles in [`ROLES`].
const DECIDES_ROLES: u8 = 0x80;

/// Roles and their bits.
const ROLES: [(Role, u8); 3] = [(Role::User, 1), (Role::Auditor, 2), (Role::Admin, 4)];

const MAC: usize = 32;

impl Ticket {
    fn body(&self) -> Vec<u8> {
        let mut body = Vec::with_capacity(128);
        body.push(if self.foreign.is_some() { 2 } else { 1 });
        body.extend_from_slice(self.id.as_bytes());
        body.extend_from_slice(self.user.0.as_bytes());
        body.extend_from_slice(self.session.0.as_bytes());
        body.extend_from_slice(&self.first_use_until.0.to_be_bytes());
        if let Some(foreign) = self.foreign {
            body.extend_from_slice(&foreign.issued_at.0.to_be_bytes());
            body.extend_from_slice(&foreign.until.0.to_be_bytes());
            let claimed = ROLES
                .iter()
                .filter(|(role, _)| self.claimed.contains(role))
                .fold(0, |bits, (_, bit)| bits | bit);
            body.push(if foreign.decides_roles { DECIDES_ROLES | claimed } else { 0 });
        }
        body
    }

    /// Encodes the ticket with its MAC.
    pub(super) fn write(&self, index: &StoreIndexKey) -> SecretText {
        let mut bytes = self.body();
        let mac = index.ticket_mac(&bytes);
        bytes.extend_from_slice(&mac);
        SecretText::new(URL_SAFE_NO_PAD.encode(bytes))
    }

    /// Decodes a ticket made by this store's key; `None` for any other text. Whether its session is
    /// still open is up to the store.
    pub(super) fn read(index: &StoreIndexKey, text: &str) -> Option<Self> {
        if text.len() > 200 {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (body, mac) = bytes.split_at_checked(bytes.len().checked_sub(MAC)?)?;
        if !index.verify_ticket_mac(body, mac.try_into().ok()?) {
            return None;
        }
        let (format, rest) = body.split_first()?;
        let (id, rest) = rest.split_at_checked(16)?;
        let (user, rest) = rest.split_at_checked(16)?;
        let (session, rest) = rest.split_at_checked(16)?;
        let (until, rest) = rest.split_at_checked(8)?;
        let id_of = |bytes: &[u8]| bytes.try_into().ok().map(Uuid::from_bytes);
        let (foreign, claimed) = match format {
            1 => rest.is_empty().then(|| (None, BTreeSet::new()))?,
            2 => foreign(rest).map(|(foreign, claimed)| (Some(foreign), claimed))?,
            _ => return None,
        };
        Some(Self {
            id: id_of(id)?,
            user: UserId(id_of(user)?),
            session: SessionId(id_of(session)?),
            first_use_until: time_of(until)?,
            foreign,
            claimed,
        })
    }

    /// The `id:` of a cursor on this ticket's stream. Only the stream's reader can know it.
    pub(super) fn event_id(&self, index: &StoreIndexKey, cursor: &str) -> String {
        let mac = index.ticket_event_mac(self.id, cursor);
        format!("{cursor}.{}", URL_SAFE_NO_PAD.encode(mac))
    }

    /// The cursor in an `id:` that was sent on this ticket's stream.
    pub(super) fn cursor_of(&self, index: &StoreIndexKey, event_id: &str) -> Option<String> {
        if event_id.len() > 200 {
            return None;
        }
        let (cursor, mac) = event_id.split_once('.')?;
        let mac: [u8; 16] = URL_SAFE_NO_PAD.decode(mac).ok()?.try_into().ok()?;
        index.verify_ticket_event_mac(self.id, cursor, &mac).then(|| cursor.to_owned())
    }
}

fn time_of(bytes: &[u8]) -> Option<Timestamp> {
    bytes.try_into().ok().map(u64::from_be_bytes).map(Timestamp)
}

/// The issuer's token recorded in a ticket of the second format.
fn foreign(bytes: &[u8]) -> Option<(ForeignToken, BTreeSet<Role>)> {
    let (issued_at, rest) = bytes.split_at_checked(8)?;
    let (until, rest) = rest.split_at_checked(8)?;
    let [bits] = rest else { return None };
    let foreign = ForeignToken {
        issued_at: time_of(issued_at)?,
        until: time_of(until)?,
        decides_roles: bits & DECIDES_ROLES != 0,
    };
    Some((
        foreign,
        ROLES.iter().filter(|(_, bit)| bits & bit != 0).map(|(role, _)| *role).collect(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use claviger_vault::Entropy;

    struct Fixed(u8);

    impl Entropy for Fixed {
        fn fill(&self, out: &mut [u8]) {
            out.fill(self.0);
        }
    }

    fn ticket() -> Ticket {
        Ticket {
            id: Uuid::from_u128(1),
            user: UserId(Uuid::from_u128(2)),
            session: SessionId(Uuid::from_u128(3)),
            first_use_until: Timestamp(1_760_000_000_000),
            foreign: None,
            claimed: BTreeSet::new(),
        }
    }

    fn foreign(decides_roles: bool, claimed: &[Role]) -> Ticket {
        let token = ForeignToken {
            issued_at: Timestamp(1_759_999_000_000),
            until: Timestamp(1_760_000_600_000),
            decides_roles,
        };
        Ticket { foreign: Some(token), claimed: claimed.iter().copied().collect(), ..ticket() }
    }

    #[test]
    fn only_tickets_of_this_store_are_accepted() {
        let index = StoreIndexKey::generate(&Fixed(7));
        let of_all = foreign(true, Role::ALL);
        for ticket in [ticket(), foreign(false, &[]), foreign(true, &[Role::User]), of_all] {
            let text = ticket.write(&index);
            assert_eq!(Ticket::read(&index, text.expose()), Some(ticket));
            assert_eq!(Ticket::read(&StoreIndexKey::generate(&Fixed(8)), text.expose()), None);
            let bytes = URL_SAFE_NO_PAD.decode(text.expose()).unwrap();
            for n in 0..bytes.len() {
                let mut changed = bytes.clone();
                changed[n] ^= 1;
                assert_eq!(
                    Ticket::read(&index, &URL_SAFE_NO_PAD.encode(&changed)),
                    None,
                    "byte {n}"
                );
                assert_eq!(
                    Ticket::read(&index, &URL_SAFE_NO_PAD.encode(&bytes[..n])),
                    None,
                    "first {n} bytes"
                );
            }
        }
    }

    #[test]
    fn an_id_is_valid_only_on_the_stream_it_was_sent_on() {
        let index = StoreIndexKey::generate(&Fixed(7));
        let ticket = ticket();
        let id = ticket.event_id(&index, "AQAAAAAAAAAB");
        assert_eq!(ticket.cursor_of(&index, &id).as_deref(), Some("AQAAAAAAAAAB"));
        let other = Ticket { id: Uuid::from_u128(9), ..ticket.clone() };
        for (ticket, id) in [
            (&other, id.as_str()),
            (&ticket, "AQAAAAAAAAAB"),
            (&ticket, &id.replace("AB.", "AC.")),
            (&ticket, ""),
        ] {
            assert_eq!(ticket.cursor_of(&index, id), None, "{id}");
        }
    }
}
