//! The demo's prompts, and the replies of its simulated models. A reply is selected by a substring
//! of its agent's system prompt.

use crate::simulator::script::{Act, Reply, Script};
use serde_json::{Value, json};
use std::time::Duration;

/// Delay between two pieces of text, if a person is watching.
const PAUSE: Duration = Duration::from_millis(20);

/// Characters of a piece.
const PIECE: usize = 7;

/// System prompts with the replies of their agents, in order. The prompts of a manager and a router
/// include those of the agents they choose from, so they come first: the first match wins.
const SAID: [(&str, &[&str]); 16] = [
    (
        LEAD,
        &[
            r#"{"subtasks":[{"worker":"Teacher","task":"Four sessions, each with one exercise."},{"worker":"Host","task":"Room, food and a timetable."}]}"#,
            "09:00 events and streams, 10:45 projections, 13:30 replay by hand, 15:15 failures on purpose. The small room, lunch at noon, \
         everybody's laptop stays open.",
        ],
    ),
    (
        DESK,
        &[
            r#"{"selected_agents":["Billing"],"reasoning":"Two charges for one month are a matter of invoices, not of software."}"#,
        ],
    ),
    (
        WRITER,
        &[
            "We are moving! From the third of March you find us in Bergen, two minutes from the harbour, with room for everybody at last.",
        ],
    ),
    (
        EDITOR,
        &[
            "From 3 March we work in Bergen, two minutes from the harbour. There is room for everybody: come and see us.",
        ],
    ),
    (
        BUILDER,
        &[
            "Write it. An append, a version check and a position are four hundred lines, and you will understand every one of them.",
            "Order under racing writers is the hard part, yes. That is a property to test for, not a reason to buy a black box.",
        ],
    ),
    (
        SCEPTIC,
        &[
            "Buy it. The four hundred lines are the easy half; the other half is what happens when two writers meet a crash.",
            "Then budget for those tests: the store is done when a killed writer loses nothing, not when the demo runs.",
        ],
    ),
    (
        CHAIR,
        &[
            "Both agree where the risk lies: order and crashes. Next round: what would prove it is under control?",
            "Write it, if the tests that kill writers come before the features. Otherwise buy it.",
        ],
    ),
    (
        TEACHER,
        &[
            "Events and streams, projections, replay by hand, failures on purpose; each ends with twenty minutes of work in pairs.",
        ],
    ),
    (
        HOST,
        &[
            "The small room from nine to five, lunch at noon, coffee at half past ten and three, power at every seat.",
        ],
    ),
    (ATTACKER, &["A copy of the database: whoever takes it must not get the keys with it."]),
    (
        OPERATOR,
        &["A key in a log line: it is shipped, indexed and kept long after it was revoked."],
    ),
    (
        LAWYER,
        &["Spending on the wrong account: a run must never fall through to somebody else's key."],
    ),
    (
        SCRIBE,
        &[
            "Three risks: a stolen copy, a secret in a log, a bill on the wrong account. Seal keys, never print them, name the payer.",
        ],
    ),
    (
        BILLING,
        &[
            "The first charge of March is February's, which was late. Nothing was paid twice; here is how to see it on the invoice.",
        ],
    ),
    (ENGINEER, &["Please send the request id."]),
    (WISH, &[DESIGN]),
];

const WRITER: &str = "You write short announcements.";
const EDITOR: &str = "You cut a text to what its reader needs.";
const BUILDER: &str = "You like to build things yourself.";
const SCEPTIC: &str = "You have seen too many home-made stores.";
const CHAIR: &str = "You lead a debate fairly and decide at its end.";
const LEAD: &str = "You split work and put the parts together.";
const TEACHER: &str = "You teach programmers.";
const HOST: &str = "You see to it that guests lack nothing.";
const ATTACKER: &str = "You think like a thief.";
const OPERATOR: &str = "You run servers.";
const LAWYER: &str = "You think of who is liable.";
const SCRIBE: &str = "You merge what several people said into one answer.";
const DESK: &str = "You send questions to whoever can answer them.";
const BILLING: &str = "You explain invoices.";
const ENGINEER: &str = "You mend software.";
const WISH: &str = "Two researchers side by side, then an editor who makes one newsletter of it";
const DESIGN: &str = r#"{"name":"Newsletter","description":"Research side by side, then one edited text","blocks":[{"id":"research","type":"parallel","position":{"x":50,"y":50},"data":{"label":"Research","agents":[{"name":"News","system_prompt":"You find what is new.","role":"worker"},{"name":"Papers","system_prompt":"You read papers.","role":"worker"}],"task":"Find three things worth telling."}},{"id":"edit","type":"sequential","position":{"x":450,"y":50},"data":{"label":"Edit","agents":[{"name":"Editor","system_prompt":"You write one page.","role":"worker"}],"task":"Make a newsletter of it."}}],"connections":[{"id":"c1","source":"research","target":"edit","type":"block"}]}"#;

/// Scripts the simulated models, slowed down if a person is watching.
pub(super) fn prepare(script: &Script, is_watched: bool) {
    for (marker, texts) in SAID {
        for text in texts {
            let mut reply = Reply::text(*text);
            if is_watched {
                (reply.chunk_delay, reply.chunk_chars) = (Some(PAUSE), PIECE);
            }
            script.on_prompt(marker, Act::Reply(reply));
        }
    }
}

fn agent(name: &str, prompt: &str) -> Value {
    json!({ "name": name, "systemPrompt": prompt })
}

/// One `StartOrchestrationInput` for each pattern.
pub(super) fn runs() -> Vec<Value> {
    let mut chair = agent("Chair", CHAIR);
    if let Some(chair) = chair.as_object_mut() {
        chair.insert("role".to_owned(), json!("MODERATOR"));
    }
    let titled = |title: &str, pattern: Value| json!({ "title": title, "pattern": pattern });
    vec![
        titled(
            "A move",
            json!({ "sequential": {
            "task": "Tell our customers that we move to Bergen on 3 March.",
            "agents": [agent("Writer", WRITER), agent("Editor", EDITOR)],
        } }),
        ),
        titled(
            "Build or buy",
            json!({ "debate": {
            "topic": "Should a small team write its own event store?",
            "agents": [agent("Builder", BUILDER), agent("Sceptic", SCEPTIC), chair],
            "rounds": 2,
        } }),
        ),
        titled(
            "A workshop",
            json!({ "hierarchical": {
            "task": "Plan a one-day workshop on event sourcing.",
            "manager": agent("Lead", LEAD),
            "workers": [agent("Teacher", TEACHER), agent("Host", HOST)],
        } }),
        ),
        titled(
            "What could go wrong",
            json!({ "parallel": {
            "task": "Name the worst risk of keeping other people's API keys.",
            "agents": [agent("Attacker", ATTACKER), agent("Operator", OPERATOR), agent("Lawyer", LAWYER)],
            "aggregator": agent("Scribe", SCRIBE),
        } }),
        ),
        titled(
            "Charged twice",
            json!({ "routing": {
            "task": "My invoice shows two charges for March.",
            "router": agent("Desk", DESK),
            "specialists": [agent("Billing", BILLING), agent("Engineer", ENGINEER)],
        } }),
        ),
        titled("A newsletter", json!({ "design": { "prompt": WISH } })),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_agent_of_the_demo_has_a_reply() {
        let runs = Value::Array(runs()).to_string();
        for (marker, texts) in SAID {
            assert!(runs.contains(marker), "no prompt contains {marker:?}");
            assert!(
                !texts.is_empty() && texts.iter().all(|text| !text.contains("  ")),
                "{marker:?}"
            );
        }
        for start in runs.match_indices("\"systemPrompt\":\"").map(|(at, found)| at + found.len()) {
            let prompt = runs.split_at(start).1.split('"').next().unwrap();
            assert!(SAID.iter().any(|(marker, _)| *marker == prompt), "no reply for {prompt:?}");
        }
    }

    #[test]
    fn a_prompt_that_quotes_another_is_answered_by_its_own_replies() {
        let script = Script::default();
        prepare(&script, false);
        let said = |prompt: &str| match script.take("key", prompt) {
            Some(Act::Reply(reply)) => reply.text.unwrap(),
            other => panic!("{other:?}"),
        };
        let manager = format!("{LEAD}\n# Your workers\n## Teacher\n{TEACHER}\n## Host\n{HOST}");
        assert!(said(&manager).starts_with("{\"subtasks\""));
        assert!(
            said(&format!("{DESK}\n## Billing\n{BILLING}")).starts_with("{\"selected_agents\"")
        );
        assert!(said(TEACHER).starts_with("Events and streams"));
    }
}
