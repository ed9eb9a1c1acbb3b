//! Whether a deployment can give the store's guarantees, judged by its own replies. Pure, so that
//! every kind of deployment is tested without having one.

use mongodb::bson::{Bson, Document};

/// The wire protocol of server 5.0.
const WIRE_5_0: i64 = 13;

/// Why a deployment is refused, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    #[error("the server is older than 5.0: upgrade it")]
    Old,
    /// No replica set, so no transactions.
    #[error(
        "it is a standalone server, which has no transactions: restart it with --replSet and run rs.initiate() once (one node \
         will do); `docker compose -f ops/compose.yaml up` starts one ready for use"
    )]
    Standalone,
    /// Too few of the voting members hold data.
    #[error(
        "its replica set has {bearing} data-bearing voting members of {voting}, so one lost member stalls every majority write \
         or loses it: replace the arbiter with a data-bearing member"
    )]
    Arbiters {
        /// Members that hold data and vote.
        bearing: usize,
        /// Members that vote.
        voting: usize,
    },
    /// Writes are acknowledged by a majority before they are on disk.
    #[error(
        "its replica set has writeConcernMajorityJournalDefault: false, so writes that a majority acknowledged may be lost in a \
         power failure: set it to true with rs.reconfig()"
    )]
    Unjournaled,
    /// The reply is not understood.
    #[error("its reply to hello is not understood: use a MongoDB server, 5.0 or newer")]
    Unclear,
}

/// Judges by the reply to `hello`, and by the reply to `replSetGetConfig` if this user may request
/// it.
///
/// # Errors
/// [`Unfit`], with what to do about it.
pub fn judge(hello: &Document, config: Option<&Document>) -> Result<(), Unfit> {
    let wire = number(hello.get("maxWireVersion")).ok_or(Unfit::Unclear)?;
    if wire < WIRE_5_0 {
        return Err(Unfit::Old);
    }
    // A router: its shards are always replica sets.
    if hello.get_str("msg").is_ok_and(|kind| kind == "isdbgrid") {
        return Ok(());
    }
    if hello.get_str("setName").is_err() {
        return Err(Unfit::Standalone);
    }
    let members = config.and_then(|reply| reply.get_document("config").ok());
    let (bearing, voting) = match members {
        Some(config) => {
            if config
                .get_bool("writeConcernMajorityJournalDefault")
                .is_ok_and(|journaled| !journaled)
            {
                return Err(Unfit::Unjournaled);
            }
            votes(config)
        }
        None => names(hello),
    };
    // If some voters hold no data, the loss of one data-bearing member must still leave a majority
    // of the voters that holds data.
    if bearing < voting && bearing <= voting / 2 + 1 {
        return Err(Unfit::Arbiters { bearing, voting });
    }
    Ok(())
}

/// Data-bearing voters, and all voters, of a configuration.
fn votes(config: &Document) -> (usize, usize) {
    let members = config.get_array("members").map(Vec::as_slice).unwrap_or_default();
    let voters = members
        .iter()
        .filter_map(Bson::as_document)
        .filter(|member| number(member.get("votes")) != Some(0));
    let (mut bearing, mut voting) = (0, 0);
    for member in voters {
        voting += 1;
        bearing += usize::from(!member.get_bool("arbiterOnly").unwrap_or(false));
    }
    (bearing, voting)
}

/// The same from the names in `hello`, which do not show which members have no vote.
fn names(hello: &Document) -> (usize, usize) {
    let count = |name| hello.get_array(name).map_or(0, Vec::len);
    let bearing = count("hosts") + count("passives");
    (bearing, bearing + count("arbiters"))
}

/// An integer of any numeric BSON type.
pub(super) fn number(value: Option<&Bson>) -> Option<i64> {
    match value {
        Some(Bson::Int32(number)) => Some(i64::from(*number)),
        Some(Bson::Int64(number)) => Some(*number),
        #[expect(
            clippy::cast_possible_truncation,
            reason = "checked to be a whole number that fits"
        )]
        Some(Bson::Double(number)) if number.fract() == 0.0 && number.abs() < 9e15 => {
            Some(*number as i64)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mongodb::bson::doc;

    fn set(hosts: &[&str], arbiters: &[&str]) -> Document {
        doc! { "maxWireVersion": 21, "setName": "rs0", "hosts": hosts, "arbiters": arbiters, "isWritablePrimary": true }
    }

    fn config(members: Vec<Document>) -> Document {
        doc! { "config": { "_id": "rs0", "members": members, "writeConcernMajorityJournalDefault": true } }
    }

    fn member(arbiter: bool, votes: i32) -> Document {
        doc! { "arbiterOnly": arbiter, "votes": votes }
    }

    #[test]
    fn deployments_are_judged_by_their_replies() {
        let arbiters = |bearing, voting| Err(Unfit::Arbiters { bearing, voting });
        let table = [
            ("one node", set(&["a"], &[]), None, Ok(())),
            ("three nodes", set(&["a", "b", "c"], &[]), None, Ok(())),
            ("a router", doc! { "maxWireVersion": 17, "msg": "isdbgrid" }, None, Ok(())),
            (
                "5.0",
                doc! { "maxWireVersion": 13_i64, "setName": "rs0", "hosts": ["a"] },
                None,
                Ok(()),
            ),
            (
                "4.4",
                doc! { "maxWireVersion": 9, "setName": "rs0", "hosts": ["a"] },
                None,
                Err(Unfit::Old),
            ),
            (
                "4.9 as a double",
                doc! { "maxWireVersion": 12.0, "setName": "rs0" },
                None,
                Err(Unfit::Old),
            ),
            (
                "standalone",
                doc! { "maxWireVersion": 21, "isWritablePrimary": true },
                None,
                Err(Unfit::Standalone),
            ),
            ("something else", doc! { "ok": 1 }, None, Err(Unfit::Unclear)),
            ("two and an arbiter", set(&["a", "b"], &["c"]), None, arbiters(2, 3)),
            ("one and an arbiter", set(&["a"], &["c"]), None, arbiters(1, 2)),
            ("four and an arbiter", set(&["a", "b", "c", "d"], &["e"]), None, Ok(())),
            ("three and two arbiters", set(&["a", "b", "c"], &["d", "e"]), None, arbiters(3, 5)),
            (
                "two and an arbiter, by configuration",
                set(&["a", "b"], &["c"]),
                Some(config(vec![member(false, 1), member(false, 1), member(true, 1)])),
                arbiters(2, 3),
            ),
            (
                "a hidden member without a vote",
                set(&["a", "b", "c"], &[]),
                Some(config(vec![
                    member(false, 1),
                    member(false, 1),
                    member(false, 1),
                    member(false, 0),
                ])),
                Ok(()),
            ),
            (
                "majority without a journal",
                set(&["a"], &[]),
                Some(
                    doc! { "config": { "members": [member(false, 1)], "writeConcernMajorityJournalDefault": false } },
                ),
                Err(Unfit::Unjournaled),
            ),
        ];
        for (name, hello, config, expected) in table {
            assert_eq!(judge(&hello, config.as_ref()), expected, "{name}");
        }
    }
}
