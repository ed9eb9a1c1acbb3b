//! The claim that holds a user's roles.

use claviger_domain::actor::Role;
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// A claim's name, or a path with dots such as Keycloak's `realm_access.roles`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleClaim(String);

impl RoleClaim {
    /// `None` for a text that is empty or longer than 200 bytes.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        (1..=200).contains(&text.len()).then(|| Self(text.to_owned()))
    }

    /// The roles in the claim: an array of names, or names separated by spaces or commas. Unknown
    /// names belong to other programs and are ignored. `user` need not be listed.
    pub(super) fn roles(&self, claims: &Map<String, Value>) -> BTreeSet<Role> {
        let mut roles = BTreeSet::from([Role::User]);
        // Names with dots are common too (`https://example.org/roles`), so the whole name is tried
        // first.
        let found = claims.get(&self.0).or_else(|| {
            let (first, rest) = self.0.split_once('.')?;
            rest.split('.').try_fold(claims.get(first)?, |value, name| value.get(name))
        });
        match found {
            Some(Value::String(text)) => {
                roles.extend(text.split([' ', ',']).filter_map(Role::parse));
            }
            Some(Value::Array(items)) => {
                roles.extend(items.iter().filter_map(Value::as_str).filter_map(Role::parse));
            }
            Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_)) | None => {}
        }
        roles
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn roles_are_found_where_issuers_put_them() {
        use Role::{Admin, Auditor, User};
        for (name, claims, roles) in [
            ("roles", json!({"roles": ["admin", "zebra"]}), vec![User, Admin]),
            ("roles", json!({"roles": "auditor admin"}), vec![User, Auditor, Admin]),
            ("roles", json!({"roles": "auditor,zebra"}), vec![User, Auditor]),
            (
                "realm_access.roles",
                json!({"realm_access": {"roles": ["auditor"]}}),
                vec![User, Auditor],
            ),
            (
                "https://example.org/roles",
                json!({"https://example.org/roles": ["admin"]}),
                vec![User, Admin],
            ),
            ("a.b", json!({"a.b": ["admin"], "a": {"b": ["auditor"]}}), vec![User, Admin]),
            ("roles", json!({"roles": ["ADMIN", "administrator", "admin "]}), vec![User]),
            ("roles", json!({"roles": {"admin": true}}), vec![User]),
            ("roles", json!({"roles": [["admin"]]}), vec![User]),
            ("roles", json!({"roles": true}), vec![User]),
            ("roles", json!({}), vec![User]),
            ("a.b.c", json!({"a": {"b": "admin"}}), vec![User]),
        ] {
            let claim = RoleClaim::parse(name).unwrap();
            let found: Vec<_> = claim.roles(claims.as_object().unwrap()).into_iter().collect();
            assert_eq!(found, roles, "{name} in {claims}");
        }
        assert_eq!(RoleClaim::parse(" "), None);
    }
}
